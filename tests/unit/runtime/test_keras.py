"""Behaviour of scorers/keras.py with `.keras` files that are written on the spot."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from scoring_runtime.errors import ManifestInvalidError, ModelInvalidError
from scoring_runtime.scorers import ModelSource
from scoring_runtime.scorers.keras import KerasScorer
from scoring_runtime.tensors import Signature, TensorSpec

# Keras reads TensorFlow's variables in a way that numpy 2 wants changed.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept:DeprecationWarning:keras")


def save(model: keras.Model, folder: Path) -> Path:
    path = folder / "model.keras"
    model.save(path)
    return path


def load(path: Path, **options: Any) -> KerasScorer:
    scorer = KerasScorer()
    scorer.load(ModelSource(path=path, folder=path.parent, options=options))
    return scorer


def build_two_towers() -> keras.Model:
    left, right = keras.Input((2,), name="left"), keras.Input((2,), name="right")
    difference = keras.layers.Subtract(name="difference")([left, right])
    return keras.Model([left, right], [difference, keras.layers.Add(name="sum")([left, right])])


def test_scores_inputs_by_their_names_whatever_their_order(tmp_path: Path) -> None:
    scorer = load(save(build_two_towers(), tmp_path))
    outputs = scorer.score({"right": np.array([[1, 2]]), "left": np.array([[5, 5]], dtype=np.float32)})
    assert {name: array.tolist() for name, array in outputs.items()} == {"difference": [[4, 3]], "sum": [[6, 7]]}


def test_scores_batches_of_any_size_with_one_graph(tmp_path: Path) -> None:
    scorer = load(save(build_two_towers(), tmp_path))
    for count in (1, 3, 0):
        ones = np.ones((count, 2), np.float32)
        assert scorer.score({"left": ones, "right": ones})["sum"].shape == (count, 2)


def test_describes_inputs_and_outputs(tmp_path: Path) -> None:
    assert load(save(build_two_towers(), tmp_path)).signature == Signature(
        inputs=(
            TensorSpec(name="left", datatype="FP32", shape=(-1, 2)),
            TensorSpec(name="right", datatype="FP32", shape=(-1, 2)),
        ),
        outputs=(
            TensorSpec(name="difference", datatype="FP32", shape=(-1, 2)),
            TensorSpec(name="sum", datatype="FP32", shape=(-1, 2)),
        ),
    )


def test_names_outputs_by_their_keys_where_a_model_has_them(tmp_path: Path) -> None:
    numbers = keras.Input((2,), name="numbers")
    layer = keras.layers.Dense(1, kernel_initializer="ones")
    model = keras.Model({"numbers": numbers}, {"total": layer(numbers), "again": layer(numbers)})
    scorer = load(save(model, tmp_path))
    outputs = scorer.score({"numbers": np.array([[1, 2]])})
    assert {name: array.tolist() for name, array in outputs.items()} == {"total": [[3]], "again": [[3]]}
    assert scorer.signature is not None
    assert sorted(spec.name for spec in scorer.signature.outputs) == ["again", "total"]


def test_scores_a_sequential_model(tmp_path: Path) -> None:
    layers = [keras.Input((2,), name="numbers"), keras.layers.Dense(1, kernel_initializer="ones", name="total")]
    scorer = load(save(keras.Sequential(layers), tmp_path))
    assert scorer.score({"numbers": np.array([[1, 2]])})["total"].tolist() == [[3]]
    assert scorer.signature == Signature(
        inputs=(TensorSpec(name="numbers", datatype="FP32", shape=(-1, 2)),),
        outputs=(TensorSpec(name="total", datatype="FP32", shape=(-1, 1)),),
    )


def test_scores_texts_when_the_model_takes_them(tmp_path: Path) -> None:
    texts = keras.Input((), dtype="string", name="texts")
    hashed = keras.layers.TextVectorization(vocabulary=["yes", "no"], output_sequence_length=2, name="tokens")(texts)
    scorer = load(save(keras.Model(texts, hashed), tmp_path))
    assert scorer.score({"texts": np.array(["yes no", b"no"], dtype=object)})["tokens"].tolist() == [[2, 3], [3, 0]]
    assert scorer.signature is not None
    assert scorer.signature.inputs == (TensorSpec(name="texts", datatype="BYTES", shape=(-1,)),)


def test_reports_device_and_backend(tmp_path: Path) -> None:
    report = load(save(build_two_towers(), tmp_path)).report
    assert report == {"device": "cpu", "framework": f"keras {keras.__version__}, tensorflow"}


def test_model_with_a_lambda_is_refused(tmp_path: Path) -> None:
    numbers = keras.Input((2,), name="numbers")
    path = save(keras.Model(numbers, keras.layers.Lambda(lambda values: values * 2)(numbers)), tmp_path)
    with pytest.raises(ModelInvalidError, match=r"^model\.keras holds code \(a lambda\), which is not run"):
        load(path)


def test_model_with_a_layer_of_ones_own_is_refused(tmp_path: Path) -> None:
    class Own(keras.layers.Layer):  # type: ignore[misc]
        def call(self, values: Any) -> Any:
            return values

    numbers = keras.Input((2,), name="numbers")
    path = save(keras.Model(numbers, Own()(numbers)), tmp_path)
    with pytest.raises(ModelInvalidError, match="has a layer or function that is not Keras' own"):
        load(path)


def test_damaged_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.keras"
    path.write_bytes(b"no zip")
    with pytest.raises(ModelInvalidError, match=r"^model\.keras cannot be read by Keras: "):
        load(path)


def test_h5_file_is_refused_since_its_code_would_run(tmp_path: Path) -> None:
    (tmp_path / "model.h5").touch()
    with pytest.raises(ModelInvalidError, match=r"^model\.h5 is no Keras 3 model file: save it with model\.save"):
        load(tmp_path / "model.h5")


def test_unknown_backend_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ManifestInvalidError, match=r"options\.backend: .*'tensorflow', 'torch' or 'jax'"):
        load(tmp_path / "model.keras", backend="theano")


def test_backend_is_refused_when_keras_computes_with_another(tmp_path: Path) -> None:
    path = save(build_two_towers(), tmp_path)
    with pytest.raises(ModelInvalidError, match="Keras computes with tensorflow in this process, not with torch"):
        load(path, backend="torch")


@pytest.mark.parametrize(
    ("backend", "threads"),
    [
        ("tensorflow", "tensorflow.config.threading.get_intra_op_parallelism_threads()"),
        ("torch", "torch.get_num_threads()"),
    ],
)
def test_scores_silently_with_the_given_threads_on_each_backend(tmp_path: Path, backend: str, threads: str) -> None:
    path = save(build_two_towers(), tmp_path)
    program = f"""
import sys
from pathlib import Path
import numpy as np
from scoring_runtime.scorers import ModelSource
from scoring_runtime.scorers.keras import KerasScorer
scorer = KerasScorer()
scorer.load(ModelSource(path=Path({str(path)!r}), folder=Path("."), options={{"backend": {backend!r}}}, threads=2))
outputs = scorer.score({{"right": np.array([[1, 2]]), "left": np.array([[5, 5]])}})
assert {{name: array.tolist() for name, array in outputs.items()}} == {{"difference": [[4, 3]], "sum": [[6, 7]]}}, outputs
assert scorer.report["framework"].endswith(", {backend}")
import {backend}
assert {threads} == 2
assert ("torch" in sys.modules) != ("tensorflow" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
