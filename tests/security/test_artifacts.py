"""Artifacts from real servers, fetched as the init container fetches them: S3, Azure, Google Cloud Storage and a registry, over TLS."""

import base64
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from artifact_stores import (
    AZURE_ACCOUNT,
    AZURITE_KEY,
    BUCKET,
    S3_KEYS,
    Server,
    open_azurite,
    open_s3,
    put_files,
    run_azurite,
    run_gcs,
    run_registry,
    run_s3,
)
from scoring_runtime.artifacts.digests import compute_digest

FILES = {
    "manifest.json": b"{}",
    "sub/weights 100%.bin": os.urandom(40 * 2**20),
    "sub/ä.txt": b"umlaut",
    "empty": b"",
}
ACCOUNT_HOST = f"{AZURE_ACCOUNT}.dfs.core.windows.net"

Fetch = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of more than one part, with names that have to be coded in URLs."""
    folder = tmp_path_factory.mktemp("artifact") / "faq"
    for name, content in FILES.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder


@pytest.fixture(scope="module")
def objects(folder: Path) -> dict[str, bytes]:
    """Return what lies in each store: the folder, and an archive of it."""
    archive = folder.with_suffix(".tar")
    subprocess.run(["tar", "-cf", archive, "-C", folder, "."], check=True)
    other = {"faq-2/manifest.json": b"another model"}
    return {**{f"faq/{name}": content for name, content in FILES.items()}, "faq.tar": archive.read_bytes(), **other}


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory, objects: dict[str, bytes]) -> Iterator[Server]:
    with run_s3(tmp_path_factory.mktemp("s3")) as server:
        put_files(open_s3(server), objects)
        yield server


@pytest.fixture(scope="module")
def azurite(tmp_path_factory: pytest.TempPathFactory, objects: dict[str, bytes]) -> Iterator[Server]:
    with run_azurite(tmp_path_factory.mktemp("azurite")) as server:
        put_files(open_azurite(server), objects)
        yield server


@pytest.fixture(scope="module")
def gcs(tmp_path_factory: pytest.TempPathFactory, objects: dict[str, bytes]) -> Iterator[Server]:
    with run_gcs(tmp_path_factory.mktemp("gcs"), objects) as server:
        yield server


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with run_registry(tmp_path_factory.mktemp("registry")) as server:
        yield server


@pytest.fixture
def fetch(tmp_path: Path) -> Fetch:
    """Return the command `fetch`, in a process of its own, with a Secret mounted; it returns the record, or the termination message."""

    def run(uri: str, server: Server, secret: dict[str, str], **variables: str) -> dict[str, Any]:
        mounted = tmp_path / "credentials"
        mounted.mkdir(exist_ok=True)
        for key, value in {**secret, "ca.crt": server.authority.read_text()}.items():
            (mounted / key).write_text(value)
        environment = {
            "PATH": os.environ["PATH"],
            "SCORING_MODEL_URI": uri,
            "SCORING_MODEL_SECRET_NAME": "keys",
            "SCORING_CREDENTIALS_DIR": str(mounted),
            "SCORING_WORK_DIR": str(tmp_path / "work"),
            "SCORING_TERMINATION_LOG": str(tmp_path / "termination-log"),
            **variables,
        }
        command = [sys.executable, "-m", "scoring_runtime", "fetch"]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=120)
        for key, value in secret.items():
            assert key == "username" or value not in done.stdout + done.stderr, key
        place = tmp_path / ("work/record.json" if done.returncode == 0 else "termination-log")
        said: dict[str, Any] = json.loads(place.read_text())
        return said

    return run


@pytest.mark.parametrize("name", ["faq", "faq/"])
def test_folder_from_s3(fetch: Fetch, s3: Server, folder: Path, name: str) -> None:
    digest = compute_digest(folder)
    pinned = {"SCORING_MODEL_ENDPOINT": s3.url, "SCORING_MODEL_DIGEST": digest}
    record = fetch(f"s3://{BUCKET}/{name}", s3, S3_KEYS, **pinned)
    assert record["digest"] == digest
    assert compute_digest(Path(record["path"])) == digest


def test_archive_from_s3(fetch: Fetch, s3: Server, folder: Path) -> None:
    record = fetch(f"s3://{BUCKET}/faq.tar", s3, S3_KEYS, SCORING_MODEL_ENDPOINT=s3.url)
    assert record["digest"] == compute_digest(folder.with_suffix(".tar"))
    assert compute_digest(Path(record["path"])) == compute_digest(folder)


@pytest.mark.parametrize(
    ("uri", "secret", "code"),
    [
        (f"s3://{BUCKET}/nowhere/", S3_KEYS, "ArtifactNotFound"),
        (f"s3://{BUCKET}/nowhere.tar", S3_KEYS, "ArtifactNotFound"),
        ("s3://nobucket/faq", S3_KEYS, "ArtifactNotFound"),
        (f"s3://{BUCKET}/faq", {**S3_KEYS, "AWS_SECRET_ACCESS_KEY": "wrong-of-the-tests"}, "AccessDenied"),
    ],
)
def test_what_s3_refuses_is_told(fetch: Fetch, s3: Server, uri: str, secret: dict[str, str], code: str) -> None:
    said = fetch(uri, s3, secret, SCORING_MODEL_ENDPOINT=s3.url)
    assert said["code"] == code, said
    assert uri in said["message"]


def test_other_bytes_than_the_digests_are_refused(fetch: Fetch, s3: Server) -> None:
    pinned = {"SCORING_MODEL_ENDPOINT": s3.url, "SCORING_MODEL_DIGEST": "sha256:" + "0" * 64}
    assert fetch(f"s3://{BUCKET}/faq", s3, S3_KEYS, **pinned)["code"] == "DigestMismatch"


def test_larger_artifact_than_allowed_is_refused(fetch: Fetch, s3: Server) -> None:
    bounded = {"SCORING_MODEL_ENDPOINT": s3.url, "SCORING_MODEL_MAX_BYTES": str(2**20)}
    assert fetch(f"s3://{BUCKET}/faq", s3, S3_KEYS, **bounded)["code"] == "ArtifactTooLarge"


def test_signature_beside_a_folder_in_s3(fetch: Fetch, s3: Server, folder: Path, tmp_path: Path) -> None:
    """By the shell commands of docs/artifacts.md."""
    script = (
        "openssl ecparam -name prime256v1 -genkey -noout -out signing.pem\n"
        "openssl ec -in signing.pem -pubout -out signing.pub\n"
        f"cd {folder} && find . -type f -printf '%P\\n' | LC_ALL=C sort | xargs -r -d '\\n' sha256sum -- "
        f"| openssl dgst -sha256 -sign {tmp_path}/signing.pem | base64 -w 0 > {tmp_path}/faq.sig"
    )
    subprocess.run(["sh", "-ec", script], cwd=tmp_path, check=True, capture_output=True)
    signed = {
        "SCORING_MODEL_ENDPOINT": s3.url,
        "SCORING_MODEL_SIGNATURE_KEY": (tmp_path / "signing.pub").read_text(),
    }
    assert fetch(f"s3://{BUCKET}/faq/", s3, S3_KEYS, **signed)["code"] == "SignatureMissing"
    put_files(open_s3(s3), {"faq.sig": (tmp_path / "faq.sig").read_bytes()})
    assert fetch(f"s3://{BUCKET}/faq/", s3, S3_KEYS, **signed)["digest"] == compute_digest(folder)
    put_files(open_s3(s3), {"faq-2.sig": (tmp_path / "faq.sig").read_bytes()})
    assert fetch(f"s3://{BUCKET}/faq-2/", s3, S3_KEYS, **signed)["code"] == "SignatureInvalid"


@pytest.mark.parametrize("scheme", ["abfs", "abfss"])
@pytest.mark.parametrize("name", ["faq/", "faq.tar"])
def test_folder_and_archive_from_azurite(fetch: Fetch, azurite: Server, folder: Path, scheme: str, name: str) -> None:
    keys = {"AZURE_STORAGE_ACCOUNT_KEY": AZURITE_KEY}
    place = {"SCORING_MODEL_ENDPOINT": f"{azurite.url}/{AZURE_ACCOUNT}"}
    record = fetch(f"{scheme}://{BUCKET}@{ACCOUNT_HOST}/{name}", azurite, keys, **place)
    assert compute_digest(Path(record["path"])) == compute_digest(folder)


def test_wrong_key_for_azurite_is_told(fetch: Fetch, azurite: Server) -> None:
    keys = {"AZURE_STORAGE_ACCOUNT_KEY": base64.b64encode(b"wrong-of-the-tests").decode()}
    place = {"SCORING_MODEL_ENDPOINT": f"{azurite.url}/{AZURE_ACCOUNT}"}
    said = fetch(f"abfs://{BUCKET}@{ACCOUNT_HOST}/faq", azurite, keys, **place)
    assert said["code"] == "AccessDenied"
    assert f"abfs://{BUCKET}@{ACCOUNT_HOST}/faq is refused" in said["message"]


@pytest.mark.parametrize("name", ["faq/", "faq.tar"])
def test_folder_and_archive_from_google_cloud_storage(fetch: Fetch, gcs: Server, folder: Path, name: str) -> None:
    place = {"SCORING_MODEL_ENDPOINT": gcs.url, "SCORING_MODEL_ANONYMOUS": "true"}
    record = fetch(f"gs://{BUCKET}/{name}", gcs, {}, **place)
    assert compute_digest(Path(record["path"])) == compute_digest(folder)


def push(registry: Server, tag: str, files: dict[str, bytes]) -> str:
    """Push an artifact of files as `oras push` does; return the manifest's digest."""
    with httpx.Client(
        base_url=f"{registry.url}/v2/team/faq", auth=("team", "opensesame-of-the-tests"), verify=registry.trust
    ) as client:

        def put_blob(content: bytes) -> dict[str, Any]:
            digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
            place = client.post("/blobs/uploads/").raise_for_status().headers["Location"]
            client.put(
                httpx.URL(place).copy_add_param("digest", digest), content=content, timeout=60
            ).raise_for_status()
            return {"digest": digest, "size": len(content), "mediaType": "application/octet-stream"}

        title = "org.opencontainers.image.title"
        layers = [{**put_blob(content), "annotations": {title: name}} for name, content in files.items()]
        manifest = {
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "artifactType": "application/vnd.unknown.artifact.v1",
            "config": {**put_blob(b"{}"), "mediaType": "application/vnd.oci.empty.v1+json"},
            "layers": layers,
        }
        headers = {"Content-Type": "application/vnd.oci.image.manifest.v1+json"}
        answer = client.put(f"/manifests/{tag}", content=json.dumps(manifest), headers=headers).raise_for_status()
        digest: str = answer.headers["Docker-Content-Digest"]
        return digest


def test_files_and_archive_from_a_registry(
    fetch: Fetch, registry: Server, folder: Path, objects: dict[str, bytes]
) -> None:
    digest = push(registry, "3", FILES)
    push(registry, "3-tar", {"faq.tar": objects["faq.tar"]})
    login = {"username": "team", "password": "opensesame-of-the-tests"}
    config = {".dockerconfigjson": json.dumps({"auths": {registry.address: login}})}
    for reference in (":3", f"@{digest}", ":3-tar"):
        record = fetch(f"oci://{registry.address}/team/faq{reference}", registry, config)
        assert compute_digest(Path(record["path"])) == compute_digest(folder)


def test_wrong_login_for_a_registry_is_told(fetch: Fetch, registry: Server) -> None:
    login = {"username": "team", "password": "wrong-of-the-tests"}
    assert fetch(f"oci://{registry.address}/team/faq:3", registry, login)["code"] == "AccessDenied"
