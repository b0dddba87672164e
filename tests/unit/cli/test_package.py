"""`scoring package` and `scoring init`: a model as its training script has it becomes an artifact that the runtime serves."""

import json
import tarfile
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import onnx
import onnx.helper
import pytest
import yaml
from sklearn.base import BaseEstimator
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

from command_line import Outcome, run_scoring
from scoring_runtime.artifacts.digests import compute_digest

TRAIN = """
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

def train():
    return LogisticRegression(max_iter=1000).fit(*load_iris(return_X_y=True))

model = train()
text = "no model"
"""
ROWS = [[5.1, 3.5, 1.4, 0.2], [6.7, 3.0, 5.2, 2.3]]


class Own(BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """An estimator of the user's own."""

    def predict(self, rows: list[list[float]]) -> list[int]:
        return [0 for _ in rows]


own = Own()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "train.py").write_text(TRAIN)
    (tmp_path / "example.json").write_text(json.dumps({"input": ROWS}))
    return tmp_path


def package(folder: Path, model: object, *more: object) -> Outcome:
    return run_scoring("package", model, "--name", "Iris", "--to", folder / "iris.tar", *more, "-o", "json")


def read_manifest(folder: Path) -> dict[str, Any]:
    with tarfile.open(folder / "iris.tar") as tar:
        content = tar.extractfile("manifest.json")
        assert content is not None
        manifest: dict[str, Any] = json.load(content)
    return manifest


def test_estimator_becomes_a_skops_file_and_its_own_answer_is_expected(folder: Path) -> None:
    example = folder / "example.json"
    done = package(folder, f"{folder}/train.py:train", "--method", "predict_proba", "--example", example, "--no-try")
    assert done.status == 0, done.stderr
    assert done.json["digest"] == compute_digest(folder / "iris.tar")
    manifest = read_manifest(folder)
    assert manifest["model"] == "model.skops"
    expected = LogisticRegression(max_iter=1000).fit(*load_iris(return_X_y=True)).predict_proba(ROWS)
    assert np.allclose(manifest["expect"]["answer"], expected)


def test_same_model_gives_the_same_digest(folder: Path) -> None:
    digests = {package(folder, f"{folder}/train.py:{name}", "--no-try").json["digest"] for name in ("train", "model")}
    assert len(digests) == 1


def test_scoring_model_for_an_artifact_has_its_digest_and_format(folder: Path) -> None:
    digest = package(folder, f"{folder}/train.py:train", "--no-try").json["digest"]
    done = run_scoring("init", folder / "iris.tar", "--uri", "s3://models/iris.tar", "--keys-secret", "iris-keys")
    assert done.status == 0, done.stderr
    body = yaml.safe_load(done.stdout)
    assert body["metadata"]["name"] == "iris"
    assert body["spec"]["model"] == {"uri": "s3://models/iris.tar", "digest": digest, "format": "sklearn"}
    assert body["spec"]["endpoint"] == {"apiKeys": {"secretName": "iris-keys"}}


def test_uri_that_the_cluster_would_refuse_is_refused(folder: Path) -> None:
    package(folder, f"{folder}/train.py:train", "--no-try")
    done = run_scoring("init", folder / "iris.tar", "--uri", "ftp://models/iris.tar")
    assert done.status == 2
    assert "spec.model.uri" in done.stderr
    assert done.stdout == ""


def test_pickle_is_packed_unloaded_and_told_of(folder: Path) -> None:
    joblib.dump(LogisticRegression(max_iter=1000).fit(*load_iris(return_X_y=True)), folder / "model.joblib")
    done = package(folder, folder / "model.joblib", "--no-try")
    assert done.json["format"] == "sklearn"
    assert "can run code" in done.stderr


def test_type_that_the_runtime_does_not_trust_is_named(folder: Path) -> None:
    done = package(folder, f"{__file__}:own", "--no-try")
    assert done.status == 2
    assert "Own" in done.stderr
    assert "--joblib" in done.stderr


@pytest.mark.parametrize(
    ("model", "said"),
    [
        ("missing.skops", "there is no file"),
        ("no.such.module:model", "no module"),
        ("train.py:nothing", "has no nothing"),
        ("train.py:text", "cannot be packed"),
        ("example.json", "the ending is none of"),
    ],
)
def test_what_is_no_model_is_told_with_a_remedy(
    folder: Path, monkeypatch: pytest.MonkeyPatch, model: str, said: str
) -> None:
    monkeypatch.chdir(folder)
    done = package(folder, model)
    assert done.status == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert not (folder / "iris.tar").exists()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--method", "transform"), "has no transform"),
        (("--option", "engine"), "KEY=VALUE"),
        (("--example", "train.py"), "is no JSON"),
    ],
)
def test_wrong_option_is_named(
    folder: Path, monkeypatch: pytest.MonkeyPatch, options: tuple[str, str], said: str
) -> None:
    monkeypatch.chdir(folder)
    done = package(folder, "train.py:train", *options)
    assert done.status == 2
    assert options[0] in done.stderr
    assert said in done.stderr


def write_onnx(path: Path) -> None:
    """Write a model that doubles its input."""
    value = [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [None, 2]) for name in ("x", "y")]
    two = onnx.helper.make_tensor("two", onnx.TensorProto.FLOAT, [1], [2.0])
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("Mul", ["x", "two"], ["y"])], "double", value[:1], value[1:], [two]
    )
    opset = [onnx.helper.make_opsetid("", 17)]
    onnx.save(onnx.helper.make_model(graph, ir_version=8, opset_imports=opset), path)


def test_onnx_file_is_packed_and_served(folder: Path) -> None:
    write_onnx(folder / "double.onnx")
    (folder / "rows.json").write_text('{"input": [[1, 2]]}')
    (folder / "answer.json").write_text("[[2, 4]]")
    done = package(
        folder, folder / "double.onnx", "--example", folder / "rows.json", "--expect", folder / "answer.json"
    )
    assert done.status == 0, done.stderr
    assert done.json["trial"].endswith("answers as expected")


def test_answer_that_the_model_does_not_give_is_told(folder: Path) -> None:
    write_onnx(folder / "double.onnx")
    (folder / "rows.json").write_text('{"input": [[1, 2]]}')
    (folder / "answer.json").write_text("[[3, 4]]")
    done = package(
        folder, folder / "double.onnx", "--example", folder / "rows.json", "--expect", folder / "answer.json"
    )
    assert done.status == 2
    assert "UnexpectedAnswer" in done.stderr


def test_failure_of_the_users_own_code_is_told_with_its_place(folder: Path) -> None:
    (folder / "failing.py").write_text("def train():\n    return 1 / 0\n")
    done = package(folder, f"{folder}/failing.py:train")
    assert done.status == 2
    assert "ZeroDivisionError" in done.stderr
    assert "failing.py, line 2" in done.stderr
    assert "Traceback" not in done.stderr


def test_script_that_ends_the_process_is_told(folder: Path) -> None:
    """It would look like success, without an archive."""
    (folder / "ending.py").write_text("import sys\nsys.exit(0)\n")
    done = package(folder, f"{folder}/ending.py:model")
    assert done.status == 2
    assert "SystemExit: 0" in done.stderr


def test_model_is_not_replaced_by_its_archive(folder: Path) -> None:
    model = folder / "iris.tar"
    model.write_bytes(b"all there is")
    done = package(folder, model)
    assert done.status == 2
    assert "is the model itself" in done.stderr
    assert model.read_bytes() == b"all there is"


def test_example_that_does_not_fit_the_model_is_told(folder: Path) -> None:
    (folder / "example.json").write_text('{"input": [[1, 2]]}')
    done = package(folder, f"{folder}/train.py:train", "--example", folder / "example.json")
    assert done.status == 2
    assert "--example" in done.stderr


@pytest.mark.parametrize("name", ["iris.tar.gz", "iris.tgz", "iris.zip", "iris.skops", "iris"])
def test_ending_that_is_no_tar_is_refused(folder: Path, name: str) -> None:
    done = run_scoring("package", f"{folder}/train.py:train", "--name", "iris", "--to", folder / name)
    assert done.status == 2
    assert f"--to: {folder / name}" in done.stderr
    assert "give it the ending .tar" in done.stderr
    assert not (folder / name).exists()


def test_trial_that_fails_leaves_the_artifact_before_it(folder: Path) -> None:
    (folder / "iris.tar").write_bytes(b"served now")
    (folder / "answer.json").write_text("[7, 7]")
    before = sorted(folder.iterdir())
    done = package(
        folder, f"{folder}/train.py:train", "--example", folder / "example.json", "--expect", folder / "answer.json"
    )
    assert done.status == 2
    assert "would not serve iris.tar" in done.stderr
    assert (folder / "iris.tar").read_bytes() == b"served now"
    assert [path for path in sorted(folder.iterdir()) if path.name != "__pycache__"] == before


def test_trial_that_succeeds_replaces_the_artifact_before_it(folder: Path) -> None:
    (folder / "iris.tar").write_bytes(b"served now")
    done = package(folder, f"{folder}/train.py:train", "--example", folder / "example.json")
    assert done.status == 0, done.stderr
    assert done.json["archive"] == str(folder / "iris.tar")
    assert done.json["digest"] == compute_digest(folder / "iris.tar")
    assert done.json["bytes"] == (folder / "iris.tar").stat().st_size


def test_folder_that_cannot_be_written_is_told(folder: Path) -> None:
    (folder / "file").write_text("no folder")
    done = run_scoring("package", f"{folder}/train.py:train", "--name", "iris", "--to", folder / "file" / "iris.tar")
    assert done.status == 2
    assert "--to" in done.stderr
    assert "cannot be written" in done.stderr


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"input": [{"name": "x", "datatype": "FP64", "shape": [-1, 4]}]}', "inputs: Field required"),
        ('{"inputs": [{"name": "x", "datatype": "float", "shape": [-1, 4]}]}', "inputs.0.datatype"),
        ('{"inputs": [{"name": "x", "datatype": "FP64", "shape": [-1, -2]}]}', "x: the shape [-1, -2]"),
        ('{"inputs": [{"name": "x", "datatype": "FP64", "shape": [-1, 0]}]}', "x: the shape [-1, 0]"),
        ('{"inputs": []}', "inputs"),
        ('[["x"]]', "an object"),
    ],
)
def test_signature_that_is_none_is_told_with_its_field(folder: Path, text: str, said: str) -> None:
    (folder / "signature.json").write_text(text)
    done = package(folder, f"{folder}/train.py:train", "--signature", folder / "signature.json")
    assert done.status == 2
    assert "--signature: " in done.stderr
    assert said in done.stderr
    assert '{"inputs": [{"name": "x", "datatype": "FP32", "shape": [-1, 4]}]}' in done.stderr


@pytest.fixture
def mlflow_folder(tmp_path: Path) -> Path:
    folder = tmp_path / "churn"
    folder.mkdir()
    (folder / "MLmodel").write_text("artifact_path: churn\nflavors:\n  sklearn: {pickled_model: model.skops}\n")
    (folder / "model.skops").write_bytes(b"a model")
    return folder


def test_scoring_model_for_a_folder_of_mlflow_has_its_digest_and_format(mlflow_folder: Path) -> None:
    done = run_scoring("init", mlflow_folder, "--uri", "s3://models/churn")
    assert done.status == 0, done.stderr
    body = yaml.safe_load(done.stdout)
    assert body["metadata"]["name"] == "churn"
    assert body["spec"]["model"] == {
        "uri": "s3://models/churn",
        "digest": compute_digest(mlflow_folder),
        "format": "mlflow",
    }


def test_scoring_model_for_an_archive_of_mlflow_has_its_format(mlflow_folder: Path) -> None:
    archive = mlflow_folder.with_name("churn.tar")
    with tarfile.open(archive, "w") as tar:
        tar.add(mlflow_folder, arcname=".")
    done = run_scoring("init", archive, "--uri", "s3://models/churn.tar")
    assert done.status == 0, done.stderr
    assert yaml.safe_load(done.stdout)["spec"]["model"]["format"] == "mlflow"


def test_scoring_model_for_a_models_file_has_its_digest_and_format(folder: Path) -> None:
    write_onnx(folder / "double.onnx")
    done = run_scoring("init", folder / "double.onnx", "--uri", "s3://models/double.onnx")
    assert done.status == 0, done.stderr
    body = yaml.safe_load(done.stdout)
    assert body["metadata"]["name"] == "double"
    assert body["spec"]["model"] == {
        "uri": "s3://models/double.onnx",
        "digest": compute_digest(folder / "double.onnx"),
        "format": "onnx",
    }


def test_file_that_is_no_model_has_no_scoring_model(folder: Path) -> None:
    done = run_scoring("init", folder / "train.py", "--uri", "s3://models/train.py")
    assert done.status == 2
    assert "manifest.json" in done.stderr


def test_folder_of_mlflow_that_is_broken_is_told(mlflow_folder: Path) -> None:
    (mlflow_folder / "MLmodel").write_text("flavours: {}\n")
    done = run_scoring("init", mlflow_folder, "--uri", "s3://models/churn")
    assert done.status == 2
    assert "MLmodel: flavors" in done.stderr


def test_folder_of_mlflow_to_package_is_told_of_init(mlflow_folder: Path) -> None:
    done = run_scoring("package", mlflow_folder, "--name", "churn", "--to", mlflow_folder.with_name("churn.tar"))
    assert done.status == 2
    assert "scoring init" in done.stderr
