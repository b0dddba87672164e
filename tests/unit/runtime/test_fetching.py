"""The command `fetch` and what it leaves for the serving container; the command `digest`; and how little they import."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from artifact_servers import ArtifactServer, make_certificate, serve_artifacts
from scoring_runtime.artifacts.digests import compute_digest
from scoring_runtime.artifacts.retrieval import fetch_artifact
from scoring_runtime.errors import ArtifactTooLargeError, FetchFailedError, InvalidSettingsError


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_certificate(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "manifest.json").write_text("{}")
    (folder / "weights.onnx").write_bytes(bytes(10_000))
    return folder


@pytest.fixture
def archive(folder: Path) -> Path:
    archive = folder.with_suffix(".tar")
    subprocess.run(["tar", "-cf", archive, "-C", folder, "."], check=True)
    return archive


@pytest.fixture
def server(certificate: Path, archive: Path) -> Iterator[ArtifactServer]:
    with serve_artifacts(certificate) as server:
        server.files["/model.tar"] = archive.read_bytes()
        yield server


def run_runtime(*arguments: str, **variables: str | Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "NO_PROXY": "127.0.0.1", **{name: str(value) for name, value in variables.items()}}
    command = [sys.executable, "-m", "scoring_runtime", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)


def run_fetch(tmp_path: Path, uri: str, **variables: str | Path) -> subprocess.CompletedProcess[str]:
    places = {"SCORING_WORK_DIR": tmp_path / "work", "SCORING_TERMINATION_LOG": tmp_path / "termination-log"}
    return run_runtime("fetch", SCORING_MODEL_URI=uri, **{**places, **variables})


def test_the_serving_container_takes_what_was_fetched(
    server: ArtifactServer, certificate: Path, folder: Path, archive: Path, tmp_path: Path, make_settings: Any
) -> None:
    uri = f"https://{server.base}/model.tar"
    done = run_fetch(tmp_path, uri + "?signature=hush", SSL_CERT_FILE=f"{certificate}.crt")
    assert done.returncode == 0, done.stdout
    assert "hush" not in done.stdout + done.stderr
    assert json.loads(done.stdout.splitlines()[-1])["digest"] == compute_digest(archive)
    server.files.clear()

    settings = make_settings(uri + "?signature=hush", model_fetched=True, model_digest=compute_digest(archive))
    artifact = fetch_artifact(settings)
    assert (artifact.digest, artifact.size_bytes) == (compute_digest(archive), archive.stat().st_size)
    assert compute_digest(artifact.path) == compute_digest(folder)
    # What was fetched and unpacked does not take its room twice.
    assert sorted(path.name for path in (tmp_path / "work").rglob("*") if path.is_file()) == [
        "manifest.json", "record.json", "weights.onnx"
    ]  # fmt: skip


def test_a_failed_fetch_says_why_and_leaves_no_record(
    server: ArtifactServer, certificate: Path, tmp_path: Path
) -> None:
    uri = f"https://{server.base}/model.tar"
    assert run_fetch(tmp_path, uri, SSL_CERT_FILE=f"{certificate}.crt").returncode == 0
    wrong = {"SSL_CERT_FILE": f"{certificate}.crt", "SCORING_MODEL_DIGEST": "sha256:" + "0" * 64}
    done = run_fetch(tmp_path, uri, **wrong)
    assert done.returncode == 1
    assert json.loads((tmp_path / "termination-log").read_text())["code"] == "DigestMismatch"
    assert not (tmp_path / "work" / "record.json").exists()


def test_a_record_that_is_missing_or_of_another_artifact_is_not_served(make_settings: Any, tmp_path: Path) -> None:
    settings = make_settings("s3://models/faq", model_fetched=True)
    with pytest.raises(FetchFailedError, match="has left no record in"):
        fetch_artifact(settings)
    settings.work_dir.mkdir()
    record = {"uri": "s3://models/other", "digest": "sha256:" + "0" * 64, "bytes": 1, "path": str(tmp_path)}
    (settings.work_dir / "record.json").write_text(json.dumps(record))
    with pytest.raises(InvalidSettingsError, match="What was fetched is s3://models/other"):
        fetch_artifact(settings)
    (settings.work_dir / "record.json").write_text(json.dumps({**record, "uri": "s3://models/faq"}))
    assert fetch_artifact(settings).path == tmp_path
    with pytest.raises(InvalidSettingsError, match="not what is to be served"):
        fetch_artifact(settings.model_copy(update={"model_digest": "sha256:" + "1" * 64}))


def test_a_missing_secret_is_told_by_name(tmp_path: Path) -> None:
    missing = {"SCORING_MODEL_SECRET_NAME": "warehouse", "SCORING_CREDENTIALS_DIR": str(tmp_path / "nowhere")}
    assert run_fetch(tmp_path, "s3://models/faq", **missing).returncode == 1
    assert json.loads((tmp_path / "termination-log").read_text()) == {
        "code": "CredentialsMissing",
        "message": (
            "The Secret warehouse does not exist or is empty: create it with AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, "
            "or correct spec.model.credentials."
        ),
    }


def test_what_lacks_in_a_secret_is_told_by_name(tmp_path: Path) -> None:
    folder = tmp_path / "credentials"
    folder.mkdir()
    (folder / "AWS_ACCESS_KEY_ID").write_text("AKIAABCDEFGHIJKLMNOP")
    given = {"SCORING_MODEL_SECRET_NAME": "warehouse", "SCORING_CREDENTIALS_DIR": str(folder)}
    assert run_fetch(tmp_path, "s3://models/faq", **given).returncode == 1
    said = json.loads((tmp_path / "termination-log").read_text())
    assert said["message"] == "The Secret warehouse has no AWS_SECRET_ACCESS_KEY. Add what s3:// needs."


def test_an_archive_that_unpacks_to_more_than_the_limit_is_refused(tmp_path: Path, make_settings: Any) -> None:
    (tmp_path / "zeros").write_bytes(bytes(10**6))
    subprocess.run(["tar", "-czf", tmp_path / "bomb.tar.gz", "-C", tmp_path, "zeros"], check=True)
    settings = make_settings((tmp_path / "bomb.tar.gz").as_uri(), model_max_bytes=10**5)
    with pytest.raises(ArtifactTooLargeError, match=r"unpacks to more than \d+ bytes"):
        fetch_artifact(settings)


@pytest.mark.parametrize(
    ("arguments", "work", "code"),
    [
        (["fetch"], "scoring_runtime.fetch_command.fetch", "FetchFailed"),
        ([], "scoring_runtime.server.serve", "ScorerFailed"),
        (["fetch"], "scoring_runtime.__main__.read_settings", "FetchFailed"),
    ],
)
def test_an_error_that_nobody_thought_of_is_told_and_its_traceback_is_in_the_log(
    tmp_path: Path, arguments: list[str], work: str, code: str
) -> None:
    script = (
        "import sys, unittest.mock; from scoring_runtime.__main__ import main; sys.argv[0] = 'scoring_runtime'\n"
        f"with unittest.mock.patch('{work}', side_effect=KeyError('hush-hush')): main()"
    )
    environment = {
        **os.environ,
        "SCORING_MODEL_URI": "https://u:hush-hush@models.example.com/faq.tar",
        "SCORING_WORK_DIR": str(tmp_path / "work"),
        "SCORING_TERMINATION_LOG": str(tmp_path / "termination-log"),
    }
    command = [sys.executable, "-c", script, *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert json.loads((tmp_path / "termination-log").read_text()) == {
        "code": code,
        "message": "The runtime ended by an error that it does not know, KeyError. The container's log has the traceback.",
    }
    entries = [json.loads(line) for line in done.stdout.splitlines()]
    assert any("Traceback" in str(entry) for entry in entries)
    assert "hush-hush" not in done.stdout + done.stderr


def test_fetching_imports_no_server_and_only_the_driver_of_its_scheme(archive: Path, tmp_path: Path) -> None:
    script = (
        "import sys; from scoring_runtime.__main__ import main; sys.argv = ['scoring_runtime', 'fetch']; main(); "
        "print(*sys.modules)"
    )
    environment = {
        **os.environ,
        "SCORING_MODEL_URI": archive.as_uri(),
        "SCORING_WORK_DIR": str(tmp_path / "work"),
    }
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True)
    modules = set(json.loads(done.stdout.splitlines()[-1])["event"].split())
    assert "scoring_runtime.fetch_command" in modules
    assert not modules & {"flask", "granian", "prometheus_client", "numpy", "obstore", "urllib3", "cryptography"}


def test_the_command_digest_prints_what_the_field_wants(folder: Path, archive: Path) -> None:
    for path in (folder, archive):
        assert run_runtime("digest", str(path)).stdout == f"{compute_digest(path)}\n"
    done = run_runtime("digest", str(folder / "nowhere"))
    assert (done.returncode, done.stdout) == (1, "")
    assert "nowhere" in done.stderr


def test_other_arguments_are_refused() -> None:
    done = run_runtime("serve")
    assert done.returncode == 1
    assert "usage: python -m scoring_runtime [fetch | digest PATH | keys …]" in done.stderr
