"""Artifacts from inside the image and over https, fetched by a container of its own; a model without a manifest, from a claim."""

import base64
import json
import shutil
import ssl
import subprocess
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pandas as pd
import pytest
import skops.io
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from artifacts import Artifacts
from endpoints import ask, find_address
from kubectl import Manifest
from local_clusters import run_local_cluster
from samples.demo.clusters import Cluster
from samples.demo.volumes import close_volume, copy_artifact, open_volume
from scoring_models import ScoringModels

QUESTION = "how do i remove one thing from an array"
DOCKERFILE = """
ARG BASE_IMAGE
ARG RUNTIME_IMAGE
FROM ${RUNTIME_IMAGE}
COPY javascript-faq.tar /models/javascript-faq.tar
"""


@pytest.fixture(scope="module")
def folder(artifacts: Artifacts, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the FAQ's archive, and a certificate of a server at the address where pods reach this machine."""
    folder = tmp_path_factory.mktemp("served")
    shutil.copy(artifacts.faq, folder / "javascript-faq.tar")
    address = json.loads(run_local_cluster("status", "--output", "json"))["hostAddress"]
    (folder / "address").write_text(address)
    subject = ["-subj", "/CN=artifacts", "-addext", f"subjectAltName=IP:{address}", "-days", "2"]
    files = ["-keyout", str(folder / "ca.key"), "-out", str(folder / "ca.crt")]
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", *subject, *files], check=True, capture_output=True
    )
    return folder


@pytest.fixture(scope="module")
def image(folder: Path, images: dict[str, str]) -> str:
    """Return an image of the runtime with the archive inside."""
    (folder / "Dockerfile").write_text(DOCKERFILE)
    arguments = ["--dockerfile", str(folder / "Dockerfile"), "--tag", "localhost/scoring-e2e-derived"]
    more = ["--build-arg", f"RUNTIME_IMAGE={images['runtime-sklearn']}", "--output", "json"]
    references: dict[str, str] = json.loads(run_local_cluster("load-image", *arguments, *more))
    return references["localhost/scoring-e2e-derived"]


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[str]:
    """Yield the URL of an https server of the folder."""
    handler = partial(SimpleHTTPRequestHandler, directory=str(folder))
    server = ThreadingHTTPServer(((folder / "address").read_text(), 0), handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "ca.crt", folder / "ca.key")
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"https://{(folder / 'address').read_text()}:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_artifact_inside_the_image_is_served(models: ScoringModels, artifacts: Artifacts, image: str) -> None:
    model = {"uri": "file:///models/javascript-faq.tar", "digest": artifacts.faq_digest, "format": "sklearn"}
    models.apply("inside", model=model, hardwareClass="e2e-small", runtime={"image": image})
    models.wait_until_ready("inside", timeout_seconds=180)
    assert ask(models.kubectl, "inside", QUESTION)
    models.kubectl("delete", "scoringmodel", "inside")


@pytest.fixture(scope="module")
def credentials(models: ScoringModels, folder: Path) -> dict[str, str]:
    """Return credentials that make the server be trusted."""
    models.kubectl("create", "secret", "generic", "trust", f"--from-file=ca.crt={folder / 'ca.crt'}")
    return {"secretName": "trust"}


def sign(folder: Path) -> str:
    """Put a signature beside the archive, as docs/artifacts.md says; return the public key."""
    key, public, raw = folder / "signing.pem", folder / "signing.pub", folder / "raw.sig"
    archive = folder / "javascript-faq.tar"
    commands: list[list[str | Path]] = [
        ["openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", key],
        ["openssl", "ec", "-in", key, "-pubout", "-out", public],
        ["openssl", "dgst", "-sha256", "-sign", key, "-out", raw, archive],
    ]
    for command in commands:
        subprocess.run(command, check=True, capture_output=True)
    (folder / "javascript-faq.tar.sig").write_bytes(base64.b64encode(raw.read_bytes()))
    return public.read_text()


def test_artifact_over_https_is_served_and_a_missing_one_is_told(
    models: ScoringModels, artifacts: Artifacts, server: str, credentials: dict[str, str]
) -> None:
    model: Manifest = {"uri": f"{server}/javascript-faq.tar", "digest": artifacts.faq_digest, "format": "sklearn"}
    model["credentials"] = credentials
    models.apply("fetched", model=model, hardwareClass="e2e-small")
    models.wait_until_ready("fetched", timeout_seconds=180)
    assert ask(models.kubectl, "fetched", QUESTION)
    missing = {**model, "uri": f"{server}/nowhere.tar?signature=secret"}
    models.apply("fetched", model=missing, hardwareClass="e2e-small")
    message = models.wait_for_reason("ArtifactNotFound", "fetched", timeout_seconds=120)["message"]
    assert message == f"Nothing at {server}/nowhere.tar: the server answered 404. Correct spec.model.uri."
    assert ask(models.kubectl, "fetched", QUESTION), "the generation before goes on answering"
    models.kubectl("delete", "scoringmodel", "fetched")


def test_signed_artifact_is_served_and_one_of_another_key_is_not(
    models: ScoringModels, folder: Path, server: str, credentials: dict[str, str]
) -> None:
    model: Manifest = {"uri": f"{server}/javascript-faq.tar", "format": "sklearn", "credentials": credentials}
    old = sign(folder)
    models.apply("signed", model={**model, "signature": {"publicKey": old}}, hardwareClass="e2e-small")
    models.wait_until_ready("signed", timeout_seconds=180)
    models.kubectl("delete", "scoringmodel", "signed", "--wait")
    sign(folder)
    models.apply("signed", model={**model, "signature": {"publicKey": old}}, hardwareClass="e2e-small")
    message = models.wait_for_reason("SignatureInvalid", "signed", timeout_seconds=120)["message"]
    assert message.startswith("The artifact's signature is not one by the key of spec.model.signature.")
    conditions = models.kubectl.get("scoringmodel", "signed")["status"]["conditions"]
    assert [condition["type"] for condition in conditions] == ["Ready", "Stalled"]
    models.kubectl("delete", "scoringmodel", "signed")


def test_server_that_is_not_trusted_is_told_and_not_stalled(models: ScoringModels, server: str) -> None:
    model = {"uri": f"{server}/javascript-faq.tar", "format": "sklearn"}
    models.apply("distrusted", model=model, hardwareClass="e2e-small")
    message = models.wait_for_reason("FetchFailed", "distrusted", timeout_seconds=180)["message"]
    assert "could not be fetched" in message
    conditions = models.kubectl.get("scoringmodel", "distrusted")["status"]["conditions"]
    assert [condition["type"] for condition in conditions] == ["Ready", "Reconciling"]
    models.kubectl("delete", "scoringmodel", "distrusted")


def test_model_file_on_a_claim_is_served_as_it_was_saved(
    models: ScoringModels, cluster: Cluster, images: dict[str, str], tmp_path: Path
) -> None:
    table = pd.DataFrame({"city": ["Oslo", "Bergen"] * 4, "member": [True, False] * 4})
    skops.io.dump(
        make_pipeline(OneHotEncoder(), LogisticRegression()).fit(table, ["yes", "no"] * 4), tmp_path / "m.skops"
    )
    open_volume(cluster, models.kubectl.namespace, images["runtime-sklearn"])
    copy_artifact(cluster, models.kubectl.namespace, tmp_path / "m.skops", "bare/churn.skops")
    close_volume(cluster, models.kubectl.namespace)
    models.apply("bare", model={"uri": "pvc://models/bare/churn.skops"}, hardwareClass="e2e-small")
    models.wait_until_ready("bare", timeout_seconds=180)
    address = find_address(models.kubectl, "bare")
    answer = httpx.post(f"{address}/score", json={"input": [{"city": "Oslo", "member": True}]}, timeout=30)
    assert answer.json()["result"][0] == ["yes"]
    models.kubectl("delete", "scoringmodel", "bare")
