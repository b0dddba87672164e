"""Behaviour of scorers/tensorflow.py with SavedModels that are written on the spot."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
import tensorflow as tf

from runtime_tasks import ask, attach_task
from scoring_runtime.errors import ManifestInvalidError, ModelInvalidError, OverloadedError
from scoring_runtime.scorers import ModelSource
from scoring_runtime.scorers.tensorflow import TensorFlowScorer
from scoring_runtime.tensors import Signature, TensorSpec

FLOATS = tf.TensorSpec((None, 3), tf.float32, name="numbers")
TEXTS = tf.TensorSpec((None,), tf.string, name="texts")


def load(folder: Path, **options: Any) -> TensorFlowScorer:
    scorer = TensorFlowScorer()
    scorer.load(ModelSource(path=folder, folder=folder.parent, options=options))
    return scorer


def serve(numbers: Any, texts: Any) -> dict[str, Any]:
    return {"sums": tf.reduce_sum(numbers, axis=1), "upper": tf.strings.upper(texts)}


def double(numbers: Any) -> dict[str, Any]:
    return {"doubled": 2 * numbers}


def keep(anything: Any) -> dict[str, Any]:
    return {"same": tf.identity(anything)}


def fill_memory(sizes: Any) -> dict[str, Any]:
    return {"zeros": tf.zeros([tf.shape(sizes)[0], tf.cast(sizes[0, 0], tf.int32), 2**20])}


SIGNATURES = {
    "serving_default": (serve, [FLOATS, TEXTS]),
    "double": (double, [FLOATS]),
    "keep": (keep, [tf.TensorSpec(None, tf.float32, name="anything")]),
    "fill_memory": (fill_memory, [tf.TensorSpec((None, 1), tf.int64, name="sizes")]),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tensorflow") / "saved_model"
    functions = {name: tf.function(call, input_signature=specs) for name, (call, specs) in SIGNATURES.items()}
    tf.saved_model.save(tf.Module(), str(folder), signatures=functions)
    return folder


def test_scores_named_tensors_with_the_default_signature(folder: Path) -> None:
    texts = np.array(["a", "ü".encode()], dtype=object)
    outputs = load(folder).score({"numbers": np.arange(6, dtype=np.float32).reshape(2, 3), "texts": texts})
    assert outputs["sums"].tolist() == [3, 12]
    assert outputs["upper"].tolist() == [b"A", "ü".encode()]


def test_texts_of_the_model_are_texts_of_the_answer(folder: Path) -> None:
    task = attach_task(load(folder))
    answer = ask(task, [{"numbers": [1, 2, 3], "texts": "a"}])
    assert orjson.loads(orjson.dumps(answer, option=orjson.OPT_SERIALIZE_NUMPY)) == {"sums": [6], "upper": ["A"]}


def test_describes_the_tensors_of_the_signature(folder: Path) -> None:
    assert load(folder).signature == Signature(
        inputs=(
            TensorSpec(name="numbers", datatype="FP32", shape=(-1, 3)),
            TensorSpec(name="texts", datatype="BYTES", shape=(-1,)),
        ),
        outputs=(
            TensorSpec(name="sums", datatype="FP32", shape=(-1,)),
            TensorSpec(name="upper", datatype="BYTES", shape=(-1,)),
        ),
    )


def test_scores_another_signature_when_the_options_name_it(folder: Path) -> None:
    outputs = load(folder, signatureName="double").score({"numbers": np.ones((1, 3))})
    assert outputs["doubled"].dtype == np.float32
    assert outputs["doubled"].tolist() == [[2, 2, 2]]


def test_tells_no_signature_when_the_rank_of_an_input_is_open(folder: Path) -> None:
    scorer = load(folder, signatureName="keep")
    assert scorer.signature is None
    assert scorer.score({"anything": np.ones(2, np.float32)})["same"].tolist() == [1, 1]


def test_reports_device_and_version(folder: Path) -> None:
    assert load(folder).report == {"device": "cpu", "framework": f"tensorflow {tf.__version__}"}


def test_batch_is_refused_as_overload_when_memory_is_full(folder: Path) -> None:
    scorer = load(folder, signatureName="fill_memory")
    assert scorer.score({"sizes": np.array([[1]])})["zeros"].shape == (1, 1, 2**20)
    with pytest.raises(OverloadedError, match="no memory left"):
        scorer.score({"sizes": np.array([[2**30]])})


def test_unknown_signature_is_refused_with_those_there_are(folder: Path) -> None:
    with pytest.raises(ManifestInvalidError, match=r"options\.signatureName.*'other'.*double, fill_memory") as caught:
        load(folder, signatureName="other")
    assert "serving_default" in caught.value.message


def test_unknown_option_is_refused(folder: Path) -> None:
    with pytest.raises(ManifestInvalidError, match=r"options\.signature:"):
        load(folder, signature="serving_default")


def test_folder_without_a_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelInvalidError, match=r"is no SavedModel: name the folder that holds saved_model\.pb"):
        load(tmp_path)


def test_file_instead_of_a_folder_is_refused(folder: Path) -> None:
    with pytest.raises(ModelInvalidError, match=r"saved_model\.pb is no SavedModel"):
        load(folder / "saved_model.pb")


def test_nothing_is_printed_when_a_model_is_loaded_and_scored(folder: Path) -> None:
    program = f"""
from pathlib import Path
import numpy as np
from scoring_runtime.scorers import ModelSource
from scoring_runtime.scorers.tensorflow import TensorFlowScorer
scorer = TensorFlowScorer()
scorer.load(ModelSource(path=Path({str(folder)!r}), folder=Path("."), options={{"signatureName": "double"}}, threads=2))
assert scorer.score({{"numbers": np.ones((1, 3), np.float32)}})["doubled"].sum() == 6
import tensorflow as tf
assert tf.config.threading.get_intra_op_parallelism_threads() == 2
assert tf.config.threading.get_inter_op_parallelism_threads() == 1
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
