"""Models without a manifest: a single file, in place or fetched, and folders and archives that hold nothing else."""

import json
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import joblib
import onnx
import pandas as pd
import pytest
import skops.io
from flask.testing import FlaskClient
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from artifact_servers import make_certificate, serve_artifacts
from runtime_clients import open_client
from scoring_runtime.artifacts.digests import compute_digest
from scoring_runtime.artifacts.retrieval import fetch_artifact
from scoring_runtime.bare_models import find_manifest
from scoring_runtime.errors import DigestMismatchError, DigestRequiredError, ManifestInvalidError
from scoring_runtime.settings import Settings

MakeSettings = Callable[..., Settings]
TABLE = pd.DataFrame({"city": ["Oslo", "Bergen"] * 4, "member": [True, False] * 4})


@pytest.fixture(scope="module")
def estimator() -> Any:
    """One that refuses what it does not know, so that no example could be made up without looking into it."""
    return make_pipeline(OneHotEncoder(), LogisticRegression()).fit(TABLE, ["yes", "no"] * 4)


@pytest.fixture
def skops_file(estimator: Any, tmp_path: Path) -> Path:
    path = tmp_path / "models" / "churn.skops"
    path.parent.mkdir()
    skops.io.dump(estimator, path)
    return path


def score(client: FlaskClient, value: Any) -> Any:
    answer = client.post("/score", json={"input": value})
    assert answer.status_code == 200, answer.text
    assert answer.json is not None
    return answer.json["result"][0]


def test_single_file_is_served_where_it_lies(skops_file: Path, make_settings: MakeSettings) -> None:
    (skops_file.parent / "other.skops").write_text("another model")
    client = open_client(make_settings(skops_file.as_uri()))
    assert score(client, [{"city": "Oslo", "member": True}]) == ["yes"]
    version = client.get("/version").json
    assert version is not None
    assert (version["model"]["name"], version["model"]["digest"]) == ("churn", compute_digest(skops_file))


def test_single_file_is_verified(skops_file: Path, make_settings: MakeSettings) -> None:
    with pytest.raises(DigestMismatchError):
        fetch_artifact(make_settings(skops_file.as_uri(), model_digest="sha256:" + "0" * 64))


def test_file_that_can_run_code_needs_a_digest(estimator: Any, tmp_path: Path, make_settings: MakeSettings) -> None:
    path = tmp_path / "churn.joblib"
    joblib.dump(estimator, path)
    with pytest.raises(DigestRequiredError):
        fetch_artifact(make_settings(path.as_uri()))
    client = open_client(make_settings(path.as_uri(), model_digest=compute_digest(path)))
    assert score(client, [{"city": "Bergen", "member": False}]) == ["no"]


def test_single_file_is_fetched(
    skops_file: Path, make_settings: MakeSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate = make_certificate(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", f"{certificate}.crt")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with serve_artifacts(certificate) as server:
        server.files["/churn.skops"] = skops_file.read_bytes()
        client = open_client(make_settings(f"https://{server.base}/churn.skops"))
    assert score(client, [{"city": "Oslo", "member": True}]) == ["yes"]


def test_onnx_file_tells_its_tensors(tmp_path: Path, make_settings: MakeSettings) -> None:
    values = [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, ["n", 2]) for name in ("x", "y")]
    graph = onnx.helper.make_graph([onnx.helper.make_node("Neg", ["x"], ["y"])], "graph", values[:1], values[1:])
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, tmp_path / "model.onnx")
    client = open_client(make_settings((tmp_path / "model.onnx").as_uri()))
    assert score(client, [[1, 2]]) == [[-1, -2]]


@pytest.mark.parametrize("kind", ["folder", "archive"])
def test_folder_or_archive_may_hold_nothing_but_a_model(
    skops_file: Path, make_settings: MakeSettings, kind: str
) -> None:
    artifact = skops_file.parent
    if kind == "archive":
        artifact = skops_file.parent.parent / "churn.tar"
        with tarfile.open(artifact, "w") as tar:
            tar.add(skops_file, "churn.skops")
    client = open_client(make_settings(artifact.as_uri()))
    assert score(client, [{"city": "Oslo", "member": True}]) == ["yes"]


def test_saved_model_folder_is_served_by_tensorflow(tmp_path: Path) -> None:
    (tmp_path / "saved_model.pb").touch()
    (tmp_path / "variables").mkdir()
    manifest = find_manifest(tmp_path)
    assert (manifest.format, manifest.task, manifest.model) == ("tensorflow", "prediction", ".")


def test_model_beside_other_files_needs_a_manifest(skops_file: Path) -> None:
    (skops_file.parent / "originals.json").write_text("[]")
    with pytest.raises(ManifestInvalidError, match=r"has no manifest\.json at its top"):
        find_manifest(skops_file.parent)


def test_manifest_is_what_counts_where_there_is_one(skops_file: Path) -> None:
    fields = {"name": "mine", "version": "7", "task": "prediction", "model": "churn.skops", "format": "sklearn"}
    (skops_file.parent / "manifest.json").write_text(json.dumps(fields))
    assert find_manifest(skops_file.parent).version == "7"
