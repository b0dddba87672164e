"""Object stores, the Hub and registries, each played by a fake that speaks just enough of the protocol; real ones are in tests/security."""

import base64
import hashlib
import json
import os
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from artifact_servers import ArtifactServer, make_certificate, serve_artifacts
from scoring_runtime.artifacts.credentials import Credentials
from scoring_runtime.artifacts.digests import compute_digest
from scoring_runtime.artifacts.retrieval import fetch_artifact
from scoring_runtime.artifacts.sources import Access, open_source
from scoring_runtime.artifacts.sources.http_client import find_proxy
from scoring_runtime.artifacts.sources.registry_logins import find_login
from scoring_runtime.artifacts.transfers import Bounds, fetch_files
from scoring_runtime.artifacts.uris import parse_uri
from scoring_runtime.errors import (
    AccessDeniedError,
    ArtifactCorruptError,
    ArtifactNotFoundError,
    CredentialsMissingError,
    DigestMismatchError,
    DigestRequiredError,
    FetchFailedError,
    InvalidSettingsError,
    LoadError,
    SignatureMissingError,
)
from scoring_runtime.settings import Settings

FILES = {"manifest.json": b"{}", "sub/weights.bin": os.urandom(100_000), "empty": b""}
COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_certificate(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def server(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ArtifactServer]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr("scoring_runtime.artifacts.transfers.BACKOFF_SECONDS", (0.01, 0.01))
    with serve_artifacts(certificate) as server:
        yield server


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "source"
    for name, content in FILES.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder


class Secret:
    """A Secret as the kubelet mounts it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def fill(self, **values: str) -> None:
        for key, value in values.items():
            data = self.folder / "..data"
            data.mkdir(parents=True, exist_ok=True)
            (data / key).write_text(value + "\n")
            (self.folder / key).unlink(missing_ok=True)
            (self.folder / key).symlink_to(data / key)


@pytest.fixture
def secret(tmp_path: Path, certificate: Path) -> Secret:
    secret = Secret(tmp_path / "credentials")
    secret.fill(**{"ca.crt": Path(f"{certificate}.crt").read_text()})
    return secret


@pytest.fixture
def settings(make_settings: Any, secret: Secret, server: ArtifactServer) -> Any:
    """Return the maker of settings with the Secret mounted, and the server as endpoint unless told otherwise."""

    def make(uri: str, **values: Any) -> Settings:
        defaults = {"model_secret_name": "keys", "credentials_dir": secret.folder}
        made: Settings = make_settings(uri, **{**defaults, "model_endpoint": f"https://{server.base}", **values})
        return made

    return make


def list_objects(*objects: tuple[str, int]) -> bytes:
    """Return the answer of S3's ListObjectsV2."""
    entry = "<Contents><Key>{}</Key><LastModified>2026-01-01T00:00:00.000Z</LastModified><Size>{}</Size></Contents>"
    entries = "".join(entry.format(key, size) for key, size in objects)
    head = '<?xml version="1.0"?><ListBucketResult><Name>models</Name><IsTruncated>false</IsTruncated>'
    return f"{head}<KeyCount>{len(objects)}</KeyCount>{entries}</ListBucketResult>".encode()


@pytest.fixture
def bucket(server: ArtifactServer, secret: Secret) -> ArtifactServer:
    """Return a fake bucket `models` with the folder `faq`, for whoever has the keys."""
    secret.fill(AWS_ACCESS_KEY_ID="AKIAFAKE", AWS_SECRET_ACCESS_KEY="hush")
    server.files["/models"] = list_objects(
        ("faq/", 0), ("faq/sub/", 0), *((f"faq/{name}", len(content)) for name, content in FILES.items())
    )
    server.files.update({f"/models/faq/{name}": content for name, content in FILES.items()})
    return server


def test_keys_of_the_secret_are_not_mixed_with_the_pods_own(
    bucket: ArtifactServer, settings: Any, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.setenv(name, "the-pods-own")
    monkeypatch.setenv("AWS_REGION", "eu-north-1")
    assert fetch_artifact(settings("s3://models/faq")).digest == compute_digest(folder)
    for request in bucket.seen:
        assert "Credential=AKIAFAKE/" in (request.authorization or "")
        assert "/eu-north-1/s3/" in (request.authorization or "")
        assert "x-amz-security-token" not in (request.authorization or "")
    assert os.environ["AWS_SESSION_TOKEN"] == "the-pods-own"


@pytest.mark.parametrize(
    ("uri", "values", "environment"),
    [
        (
            "abfs://models@account.dfs.core.windows.net/faq",
            {"AZURE_STORAGE_SAS_TOKEN": "sv=1&sig=hush"},
            {"AZURE_CLIENT_ID": "pod", "AZURE_TENANT_ID": "t", "AZURE_FEDERATED_TOKEN_FILE": "/nowhere"},
        ),
        ("gs://models/faq", {"service-account.json": "{}"}, {"GOOGLE_APPLICATION_CREDENTIALS": "/nowhere"}),
    ],
    ids=["abfs", "gs"],
)
def test_secret_is_not_ousted_by_a_workload_identity(
    server: ArtifactServer,
    settings: Any,
    secret: Secret,
    monkeypatch: pytest.MonkeyPatch,
    uri: str,
    values: dict[str, str],
    environment: dict[str, str],
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    if "service-account.json" in values:
        values = {"service-account.json": make_service_account()}
    secret.fill(**values)
    with pytest.raises(LoadError) as refused:
        fetch_artifact(settings(uri))
    assert "hush" not in str(refused.value)
    assert any("sig=hush" in asked.path or (asked.authorization or "").startswith("Bearer ey") for asked in server.seen)


def make_service_account() -> str:
    """Return the key of a Google service account, which signs its tokens itself."""
    key = rsa.generate_private_key(65537, 2048).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    fields = {"client_email": "a@b", "private_key_id": "1", "private_key": key.decode()}
    return json.dumps({**fields, "type": "service_account"})


@pytest.mark.parametrize("name", ["AWS_ENDPOINT", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"])
def test_place_that_the_environment_tells_counts_beside_a_secret(
    bucket: ArtifactServer, settings: Any, folder: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, f"https://{bucket.base}")
    artifact = fetch_artifact(settings("s3://models/faq", model_endpoint=None))
    assert artifact.digest == compute_digest(folder)


def test_bucket_in_the_host_is_asked_for_by_the_environment_beside_a_secret(
    bucket: ArtifactServer, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_VIRTUAL_HOSTED_STYLE_REQUEST", "true")
    with pytest.raises(ArtifactNotFoundError):
        fetch_artifact(settings("s3://models/faq"))
    assert not any(request.path.startswith("/models") for request in bucket.seen)


def test_bucket_whose_object_trickles_is_given_up_in_time(
    bucket: ArtifactServer, secret: Secret, tmp_path: Path
) -> None:
    def answer(request: Any, path: str) -> None:
        if not path.endswith("/weights.bin"):
            return bucket.answer(request, path)
        range_ = b"Content-Range: bytes 0-99999/100000\r\nContent-Length: 100000\r\n"
        request.wfile.write(
            b"HTTP/1.1 206 Partial Content\r\nLast-Modified: Thu, 01 Jan 2026 00:00:00 GMT\r\n" + range_
        )
        request.wfile.write(b"\r\n")
        request.close_connection = True
        for _ in range(300):
            request.wfile.write(b"0")
            threading.Event().wait(0.05)
        return None

    bucket.handle = answer
    keys = {path.name: path.read_text().strip() for path in secret.folder.iterdir() if path.is_file()}
    # A request of its own may take longer than is left of the time.
    source = open_source(parse_uri("s3://models/faq"), Access(f"https://{bucket.base}", Credentials(keys), 600))
    (tmp_path / "fetched").mkdir()
    began = time.monotonic()
    with pytest.raises(FetchFailedError, match="Fetching took longer than 1 seconds"):
        fetch_files(source, tmp_path / "fetched", Bounds(max_bytes=2**30, timeout_seconds=1))
    assert time.monotonic() - began < 10


@pytest.mark.parametrize("is_empty", [False, True], ids=["objects", "empty-pages"])
def test_bucket_whose_listing_never_ends_is_given_up_in_time(
    bucket: ArtifactServer, settings: Any, *, is_empty: bool
) -> None:
    def answer(request: Any, path: str) -> None:
        threading.Event().wait(0.05)
        number = len(bucket.seen)
        goes_on = f"<IsTruncated>true</IsTruncated><NextContinuationToken>{number}</NextContinuationToken>"
        listed, end = list_objects(*([] if is_empty else [(f"faq/{number}", 1)])), b"<IsTruncated>false</IsTruncated>"
        bucket.files[path] = listed.replace(end, goes_on.encode()) if number < 300 else listed
        bucket.answer(request, path)

    bucket.handle = answer
    began = time.monotonic()
    with pytest.raises(FetchFailedError, match="Fetching took longer than 1 seconds"):
        fetch_artifact(settings("s3://models/faq", fetch_timeout_seconds=1))
    assert time.monotonic() - began < 10


@pytest.mark.parametrize("uri", ["s3://models/faq", "s3://models/faq/"])
def test_folder_of_a_fake_bucket_is_fetched(bucket: ArtifactServer, settings: Any, folder: Path, uri: str) -> None:
    artifact = fetch_artifact(settings(uri, model_digest=compute_digest(folder)))
    assert compute_digest(artifact.path) == compute_digest(folder)
    assert {path.name for path in artifact.path.rglob("*")} == {"manifest.json", "sub", "weights.bin", "empty"}
    assert all((request.authorization or "").startswith("AWS4-HMAC-SHA256") for request in bucket.seen)
    assert "hush" not in str(bucket.seen)


def test_archive_in_a_fake_bucket_is_fetched(bucket: ArtifactServer, settings: Any, folder: Path) -> None:
    subprocess.run(["tar", "-czf", folder.parent / "faq.tar.gz", "-C", folder, "."], check=True)
    bucket.files["/models/faq.tar.gz"] = (folder.parent / "faq.tar.gz").read_bytes()
    artifact = fetch_artifact(settings("s3://models/faq.tar.gz"))
    assert artifact.digest == compute_digest(folder.parent / "faq.tar.gz")
    assert compute_digest(artifact.path) == compute_digest(folder)


@pytest.mark.parametrize(
    ("key", "error", "message"),
    [
        ("faq/../../etc/passwd", ArtifactCorruptError, "has an object whose name is no path below it"),
        ("faq//x", ArtifactCorruptError, "has an object whose name is no path below it"),
        ("/etc/passwd", ArtifactCorruptError, "lists 'etc/passwd', which is not in it: its server is at fault"),
        ("other/x", ArtifactCorruptError, "lists 'other/x', which is not in it"),
        ("faq/a\\..\\b", ArtifactCorruptError, "is refused: its path leaves the folder"),
    ],
)
def test_key_that_leads_outside_is_refused(
    bucket: ArtifactServer, settings: Any, key: str, error: type[LoadError], message: str
) -> None:
    bucket.files["/models"] = list_objects(("faq/manifest.json", 2), (key, 1))
    wanted = settings("s3://models/faq")
    with pytest.raises(error) as caught:
        fetch_artifact(wanted)
    assert message in caught.value.message
    assert not [path for path in wanted.work_dir.rglob("*") if path.is_file()]


@pytest.mark.parametrize(
    ("status", "error", "message"),
    [
        (
            403,
            AccessDeniedError,
            "s3://models/faq is refused: the server answered 403 Forbidden. Check spec.model.cred",
        ),
        (404, ArtifactNotFoundError, "Nothing at s3://models/faq: the server answered 404 Not Found. Correct spec.mod"),
        (503, FetchFailedError, "s3://models/faq could not be fetched: the server answered 503 Service Unavailable."),
    ],
)
def test_refusal_of_a_fake_bucket_is_told_without_secrets(
    bucket: ArtifactServer, settings: Any, status: int, error: type[LoadError], message: str
) -> None:
    bucket.plans["/models"] = [status]
    with pytest.raises(error) as caught:
        fetch_artifact(settings("s3://models/faq"))
    assert caught.value.message.startswith(message)
    assert "hush" not in caught.value.message
    assert "AKIAFAKE" not in caught.value.message


def test_certificate_that_is_not_trusted_is_told(bucket: ArtifactServer, settings: Any, secret: Secret) -> None:
    (secret.folder / "ca.crt").unlink()
    with pytest.raises(
        FetchFailedError, match=r"could not be fetched: the server's certificate is not valid here, UnknownIssuer\. C"
    ):
        fetch_artifact(settings("s3://models/faq"))
    assert bucket.seen == []


def test_passing_failures_of_a_fake_bucket_are_tried_again(bucket: ArtifactServer, settings: Any, folder: Path) -> None:
    bucket.plans["/models"] = [503, "range"]
    bucket.plans["/models/faq/sub/weights.bin"] = [500, "cut", "range"]
    assert fetch_artifact(settings("s3://models/faq")).digest == compute_digest(folder)


def test_empty_folder_of_a_fake_bucket_is_not_found(bucket: ArtifactServer, settings: Any) -> None:
    bucket.files["/models"] = list_objects(("faq/", 0))
    with pytest.raises(ArtifactNotFoundError, match="there is no such folder"):
        fetch_artifact(settings("s3://models/faq/"))


def test_anonymous_asks_without_credentials(bucket: ArtifactServer, settings: Any, folder: Path) -> None:
    artifact = fetch_artifact(settings("s3://models/faq", model_anonymous=True))
    assert artifact.digest == compute_digest(folder)
    assert {request.authorization for request in bucket.seen} == {None}


def test_half_a_key_pair_is_told(bucket: ArtifactServer, settings: Any, secret: Secret) -> None:
    (secret.folder / "AWS_SECRET_ACCESS_KEY").unlink()
    with pytest.raises(CredentialsMissingError, match="The Secret keys has no AWS_SECRET_ACCESS_KEY"):
        fetch_artifact(settings("s3://models/faq"))
    assert bucket.seen == []


@pytest.mark.parametrize(
    ("uri", "values"),
    [
        ("gs://models/faq", {"service-account.json": "{}"}),
        ("abfs://models@account.dfs.core.windows.net/faq", {"AZURE_STORAGE_ACCOUNT_KEY": "no base64!"}),
    ],
)
def test_credentials_that_cannot_be_read_are_told(
    settings: Any, secret: Secret, uri: str, values: dict[str, str]
) -> None:
    secret.fill(**values)
    with pytest.raises(InvalidSettingsError, match=r"cannot be opened: .* Check its credentials") as caught:
        fetch_artifact(settings(uri))
    assert "no base64" not in caught.value.message


def test_code_in_a_folder_needs_a_digest_over_every_scheme(settings: Any) -> None:
    for uri in ("s3://m/f.pkl", "gs://m/f.joblib", "hf://t/f/model.pt", "abfs://m@a.dfs.core.windows.net/f.keras"):
        with pytest.raises(DigestRequiredError):
            fetch_artifact(settings(uri))


@pytest.fixture
def hub(server: ArtifactServer, secret: Secret) -> ArtifactServer:
    """Return a fake hub with the model team/faq, on two pages."""
    secret.fill(HF_TOKEN="hf_hush")
    entries = [
        {"type": "file", "path": f"onnx/{name}", "size": len(content), "oid": "x"} for name, content in FILES.items()
    ]
    entries[1]["lfs"] = {"oid": hashlib.sha256(FILES["sub/weights.bin"]).hexdigest(), "size": 1}
    tree = f"/api/models/team/faq/tree/{COMMIT}"
    server.files["/api/models/team/faq/revision/main"] = json.dumps({"sha": COMMIT}).encode()
    server.files["/api/models/team/faq/revision/refs%2Fpr%2F1"] = json.dumps({"sha": COMMIT}).encode()
    server.files[tree] = json.dumps([{"type": "directory", "path": "onnx"}, *entries[:1]]).encode()
    server.files["/next"] = json.dumps([*entries[1:], {"type": "file", "path": "README.md", "size": 3}]).encode()
    server.headers[tree] = {"Link": f'<https://{server.base}/next?cursor=x>; rel="next"'}
    server.files.update({f"/team/faq/resolve/{COMMIT}/onnx/{name}": content for name, content in FILES.items()})
    server.files[f"/team/faq/resolve/{COMMIT}/README.md"] = b"hub"
    return server


@pytest.mark.parametrize("revision", ["", "@main", "@refs%2Fpr%2F1"])
def test_folder_of_a_model_on_a_fake_hub_is_fetched_at_one_commit(
    hub: ArtifactServer, settings: Any, folder: Path, revision: str
) -> None:
    artifact = fetch_artifact(settings(f"hf://team/faq{revision}/onnx"))
    assert artifact.digest == compute_digest(folder)
    assert {request.authorization for request in hub.seen} == {"Bearer hf_hush"}


def test_model_on_a_fake_hub_is_fetched_whole(hub: ArtifactServer, settings: Any) -> None:
    artifact = fetch_artifact(settings("hf://team/faq"))
    assert (artifact.path / "README.md").read_bytes() == b"hub"
    assert (artifact.path / "onnx" / "sub" / "weights.bin").read_bytes() == FILES["sub/weights.bin"]
    assert len(hub.seen) > 4


def test_hubs_token_does_not_follow_a_redirect_to_another_host(
    hub: ArtifactServer, settings: Any, certificate: Path, folder: Path
) -> None:
    with serve_artifacts(certificate) as storage:
        storage.files["/blob"] = FILES["sub/weights.bin"]
        hub.plans[f"/team/faq/resolve/{COMMIT}/onnx/sub/weights.bin"] = [302]
        hub.redirect = f"https://{storage.base}/blob?signature=x"
        assert fetch_artifact(settings("hf://team/faq/onnx")).digest == compute_digest(folder)
        assert {request.authorization for request in storage.seen} == {None}


def test_file_that_is_not_what_the_hub_said_is_corrupt(hub: ArtifactServer, settings: Any) -> None:
    path = f"/team/faq/resolve/{COMMIT}/onnx/sub/weights.bin"
    hub.files[path] = bytes(len(hub.files[path]))
    with pytest.raises(
        ArtifactCorruptError, match=r"sub/weights\.bin of hf://team/faq/onnx is not what its server said"
    ):
        fetch_artifact(settings("hf://team/faq/onnx"))


@pytest.mark.parametrize(
    ("uri", "error", "message"),
    [
        ("hf://team/faq/nowhere", ArtifactNotFoundError, r"Nothing at hf://team/faq/nowhere \(commit 0123456789ab\)"),
        ("hf://team/none", ArtifactNotFoundError, "Nothing at hf://team/none: the server answered 404"),
        ("hf://datasets/team", InvalidSettingsError, "names no model"),
    ],
)
def test_what_is_not_on_the_fake_hub_is_told(
    hub: ArtifactServer, settings: Any, uri: str, error: type[LoadError], message: str
) -> None:
    del hub
    with pytest.raises(error, match=message):
        fetch_artifact(settings(uri))


@pytest.mark.parametrize("place", ["https://[::1/x", "https://other:99999999/x"])
def test_hub_whose_list_goes_on_at_what_is_no_address_is_told(hub: ArtifactServer, settings: Any, place: str) -> None:
    hub.headers[f"/api/models/team/faq/tree/{COMMIT}"] = {"Link": f'<{place}>; rel="next"'}
    with pytest.raises(FetchFailedError, match="list of files goes on at another host"):
        fetch_artifact(settings("hf://team/faq"))


def test_token_is_not_sent_without_tls(settings: Any, hub: ArtifactServer) -> None:
    del hub
    with pytest.raises(InvalidSettingsError, match="is not https"):
        fetch_artifact(settings("hf://team/faq", model_endpoint="http://hub.example.com"))


def hash_blob(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def push(server: ArtifactServer, tag: str, files: dict[str, bytes], **annotations: str) -> str:
    """Put an artifact into a fake registry; return the manifest's digest."""
    layers = [
        {
            "digest": hash_blob(content),
            "size": len(content),
            "annotations": {"org.opencontainers.image.title": name, **annotations},
        }
        for name, content in files.items()
    ]
    manifest = json.dumps({"schemaVersion": 2, "layers": layers}).encode()
    server.files[f"/v2/team/faq/manifests/{tag}"] = manifest
    server.files[f"/v2/team/faq/manifests/{hash_blob(manifest)}"] = manifest
    server.files.update({f"/v2/team/faq/blobs/{hash_blob(content)}": content for content in files.values()})
    return hash_blob(manifest)


@pytest.fixture
def registry(server: ArtifactServer, secret: Secret) -> ArtifactServer:
    """Return a fake registry whose tokens are given to whoever has the password."""
    login = {"auth": base64.b64encode(b"user:hush").decode()}
    secret.fill(**{".dockerconfigjson": json.dumps({"auths": {server.base: login}})})
    manifest = "/v2/team/faq/manifests/3"
    server.plans[manifest] = [401, "range"]
    challenge = f'Bearer realm="https://{server.base}/token",service="registry",scope="repository:team/faq:pull"'
    server.headers[manifest] = {"WWW-Authenticate": challenge}
    server.files["/token"] = json.dumps({"token": "t0ken"}).encode()
    return server


def test_files_of_a_fake_registry_are_fetched_with_a_token(
    registry: ArtifactServer, settings: Any, folder: Path
) -> None:
    push(registry, "3", FILES)
    artifact = fetch_artifact(settings(f"oci://{registry.base}/team/faq:3", model_endpoint=None))
    assert artifact.digest == compute_digest(folder)
    (asked,) = [request for request in registry.seen if request.path.startswith("/token")]
    assert asked.authorization == "Basic dXNlcjpodXNo"
    assert asked.path == "/token?scope=repository%3Ateam%2Ffaq%3Apull&service=registry"
    assert {request.authorization for request in registry.seen[3:]} == {"Bearer t0ken"}


def test_archive_of_a_fake_registry_is_unpacked_and_a_signature_beside_it_is_looked_for(
    registry: ArtifactServer, settings: Any, folder: Path
) -> None:
    subprocess.run(["tar", "-cf", folder.parent / "faq.tar", "-C", folder, "."], check=True)
    push(registry, "3", {"faq.tar": (folder.parent / "faq.tar").read_bytes()})
    uri = f"oci://{registry.base}/team/faq:3"
    assert compute_digest(fetch_artifact(settings(uri, model_endpoint=None)).path) == compute_digest(folder)
    key = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n-----END PUBLIC KEY-----"
    with pytest.raises(SignatureMissingError, match=r"There is no signature at oci://.*/team/faq:3\.sig"):
        fetch_artifact(settings(uri, model_endpoint=None, model_signature_key=key))
    push(registry, "3.sig", {"faq.sig": b"x", "note.txt": b"y"})
    with pytest.raises(SignatureMissingError, match="has 2 files: push the signature alone"):
        fetch_artifact(settings(uri, model_endpoint=None, model_signature_key=key))


def test_reference_by_digest_holds_the_registry_to_its_manifest(registry: ArtifactServer, settings: Any) -> None:
    digest = push(registry, "3", FILES)
    uri = f"oci://{registry.base}/team/faq@{digest}"
    assert fetch_artifact(settings(uri, model_endpoint=None)).size_bytes == sum(map(len, FILES.values()))
    registry.files[f"/v2/team/faq/manifests/{digest}"] += b" "
    with pytest.raises(ArtifactCorruptError, match="sent another manifest than the one of this digest"):
        fetch_artifact(settings(uri, model_endpoint=None))


@pytest.mark.parametrize("name", ["../../etc/passwd", "/etc/passwd"])
def test_file_of_a_fake_registry_with_a_path_that_leads_outside_is_refused(
    registry: ArtifactServer, settings: Any, name: str
) -> None:
    push(registry, "3", {name: b"x"})
    with pytest.raises(ArtifactCorruptError, match="its path leaves the folder"):
        fetch_artifact(settings(f"oci://{registry.base}/team/faq:3", model_endpoint=None))


@pytest.mark.parametrize(
    ("uri", "error", "message"),
    [
        ("oci://{base}/team/faq", InvalidSettingsError, "names no tag"),
        ("oci://{base}/team/none:1", ArtifactNotFoundError, "Nothing at oci://.*: the server answered 404"),
        ("oci://{base}/team/faq:folder", ArtifactCorruptError, "has a layer that is not a file with a name"),
    ],
)
def test_what_a_fake_registry_cannot_give_is_told(
    registry: ArtifactServer, settings: Any, uri: str, error: type[LoadError], message: str
) -> None:
    push(registry, "folder", {"faq": b"tar"}, **{"io.deis.oras.content.unpack": "true"})
    with pytest.raises(error, match=message):
        fetch_artifact(settings(uri.format(base=registry.base), model_endpoint=None))


@pytest.mark.parametrize("realm", ["https://[::1/x", "https://other:99999999/x", "https://"])
def test_registry_whose_token_service_has_no_address_is_told(
    registry: ArtifactServer, settings: Any, realm: str
) -> None:
    registry.headers["/v2/team/faq/manifests/3"] = {"WWW-Authenticate": f'Bearer realm="{realm}"'}
    with pytest.raises(FetchFailedError, match="the registry names no address of its token service"):
        fetch_artifact(settings(f"oci://{registry.base}/team/faq:3"))


@pytest.mark.parametrize("token", ["hush\nhush", "hush€"])
def test_registry_whose_token_cannot_be_sent_is_told(registry: ArtifactServer, settings: Any, token: str) -> None:
    registry.files["/token"] = json.dumps({"token": token}).encode()
    with pytest.raises(FetchFailedError, match="a header of it cannot be sent"):
        fetch_artifact(settings(f"oci://{registry.base}/team/faq:3"))


def test_login_of_another_registry_is_missing(registry: ArtifactServer, settings: Any, secret: Secret) -> None:
    secret.fill(**{".dockerconfigjson": json.dumps({"auths": {"other.example.com": {"auth": "QTpC"}}})})
    with pytest.raises(CredentialsMissingError, match=r"\.dockerconfigjson has no entry for 127\.0\.0\.1"):
        fetch_artifact(settings(f"oci://{registry.base}/team/faq:3", model_endpoint=None))


@pytest.mark.parametrize("plan", ["whole", "whole-unsized"])
def test_registry_that_knows_no_ranges_is_read_in_one_piece(
    registry: ArtifactServer, settings: Any, folder: Path, plan: str
) -> None:
    push(registry, "3", FILES)
    registry.plans.update({f"/v2/team/faq/blobs/{hash_blob(content)}": [plan] for content in FILES.values()})
    assert fetch_artifact(settings(f"oci://{registry.base}/team/faq:3")).digest == compute_digest(folder)


def test_registry_that_knows_no_ranges_of_some_files_is_read(
    registry: ArtifactServer, settings: Any, folder: Path
) -> None:
    push(registry, "3", FILES)
    registry.plans[f"/v2/team/faq/blobs/{hash_blob(FILES['manifest.json'])}"] = ["whole"]
    assert fetch_artifact(settings(f"oci://{registry.base}/team/faq:3")).digest == compute_digest(folder)


def test_registry_whose_manifest_trickles_is_given_up_in_time(registry: ArtifactServer, settings: Any) -> None:
    push(registry, "3", FILES)
    registry.plans["/v2/team/faq/manifests/3"] = ["range", "trickle"]
    with pytest.raises(FetchFailedError, match="Fetching took longer than 1 seconds"):
        fetch_artifact(settings(f"oci://{registry.base}/team/faq:3", fetch_timeout_seconds=1))


@pytest.mark.parametrize("tag", ["v1.skops", "v1.tar"])
def test_tag_that_ends_like_a_file_names_all_files_and_their_digest(
    registry: ArtifactServer, settings: Any, folder: Path, tag: str
) -> None:
    push(registry, tag, FILES)
    uri = f"oci://{registry.base}/team/faq:{tag}"
    assert fetch_artifact(settings(uri)).digest == compute_digest(folder)
    for content in FILES.values():
        with pytest.raises(DigestMismatchError):
            fetch_artifact(settings(uri, model_digest=hash_blob(content)))


@pytest.mark.parametrize(
    ("text", "is_folder"),
    [
        ("hf://team/net.onnx", True),
        ("hf://team/net@v1.onnx", True),
        ("hf://team/net/model.onnx", False),
        ("hf://team/net/folder", True),
        ("oci://registry.example.com/team/net.onnx:1", True),
        ("oci://registry.example.com/team/net:v1.onnx", True),
        ("s3://models/net.onnx", False),
        ("s3://models/net.onnx/", True),
    ],
)
def test_names_of_repositories_and_tags_are_none_of_files(text: str, is_folder: bool) -> None:
    assert parse_uri(text).is_folder is is_folder


class TestLogins:
    """As the kubelet finds the entry for an image."""

    @pytest.mark.parametrize(
        "name",
        [
            "registry.example.com",
            "https://registry.example.com",
            "https://registry.example.com/v1/",
            "registry.example.com/v2/",
            "registry.example.com/team",
            "registry.example.com/team/faq",
            "*.example.com",
            "registry.*.com/team",
        ],
    )
    def test_entry_that_leads_to_the_repository_is_found(self, name: str) -> None:
        assert self.find(name) == (name, "hush")

    @pytest.mark.parametrize(
        "name",
        [
            "example.com",
            "*.com",
            "registry.example.com:5000",
            "registry.example.com/te",
            "registry.example.com/team/faq/more",
            "*.registry.example.com",
        ],
    )
    def test_entry_for_something_else_is_not(self, name: str) -> None:
        with pytest.raises(CredentialsMissingError, match=r"no entry for registry\.example\.com"):
            self.find(name)

    def test_longest_path_wins_and_then_a_name_without_wildcards(self) -> None:
        names = ["*.example.com/team", "registry.example.com", "registry.example.com/team", "*.example.com"]
        assert self.find(*names) == ("registry.example.com/team", "hush")
        assert self.find(*names[:2]) == ("*.example.com/team", "hush")
        assert self.find("*.example.com", "registry.example.com") == ("registry.example.com", "hush")

    @pytest.mark.parametrize("name", ["https://index.docker.io/v1/", "docker.io", "index.docker.io"])
    def test_docker_hub_has_several_names(self, name: str) -> None:
        assert self.find(name, registry="docker.io") == (name, "hush")

    def test_port_is_part_of_the_name(self) -> None:
        assert self.find("127.0.0.1:5000", registry="127.0.0.1:5000") == ("127.0.0.1:5000", "hush")

    def test_address_of_ipv6_is_found(self) -> None:
        assert self.find("[::1]:5000", registry="[::1]:5000") == ("[::1]:5000", "hush")

    def test_empty_auth_counts_as_none(self) -> None:
        config = {"auths": {"registry.example.com": {"auth": "", "username": "me", "password": "hush"}}}
        credentials = Credentials({".dockerconfigjson": json.dumps(config)})
        assert find_login("registry.example.com", "team/faq", credentials) == ("me", "hush")

    def find(self, *names: str, registry: str = "registry.example.com") -> tuple[str, str] | None:
        """Return the login for team/faq among entries whose users are their names."""
        config = {"auths": {name: {"username": name, "password": "hush"} for name in names}}
        return find_login(registry, "team/faq", Credentials({".dockerconfigjson": json.dumps(config)}))


HOSTILE = [
    b"", b"no json", b"null", b"7", b"[]", b'"x"', b"{}", b"[" * 100_000, b'{"a":' * 100_000, b"\xff\xfe", b"[null, 7, [], {}]",
    b'{"layers": {}}', b'{"layers": [7, null]}', b'{"layers": [{}]}', b'{"layers": [{"digest": 7, "size": "x"}]}',
    b'{"layers": [{"digest": "sha256:../../x", "size": 1, "annotations": []}]}',
    b'{"layers": [{"digest": "sha256:' + b"0" * 64 + b'", "size": -1, "annotations": {"org.opencontainers.image.title": 7}}]}',
    b'{"layers": [{"digest": "sha256:' + b"0" * 64 + b'", "size": 1, "annotations": [["org.opencontainers.image.title"]]}]}',
    b'{"sha": 7}', b'{"sha": "../../../x"}', b'[{"type": "file"}]', b'[{"type": "file", "path": 7, "size": 1}]',
    b'[{"type": "file", "path": "onnx/x", "size": true}]', b'[{"type": "file", "path": "onnx/x", "size": -5}]',
    b'[{"type": "file", "path": "onnx/../../x", "size": 1, "lfs": 7}]', b'[{"type": "file", "path": "onnx/x", "size": "9"}]',
]  # fmt: skip


@pytest.mark.parametrize("answer", HOSTILE, ids=lambda answer: answer[:40])
def test_hostile_answers_of_hub_and_registry_are_told_and_nothing_lands_outside(
    registry: ArtifactServer, settings: Any, secret: Secret, tmp_path: Path, answer: bytes
) -> None:
    before = {path for path in tmp_path.rglob("*") if "work" not in path.parts}
    tree = f"/api/models/team/faq/tree/{COMMIT}"
    commit = {"/api/models/team/faq/revision/main": json.dumps({"sha": COMMIT}).encode()}
    cases = [
        (f"oci://{registry.base}/team/faq:3", None, {"/v2/team/faq/manifests/3": answer}),
        (f"oci://{registry.base}/team/faq:3", None, {"/v2/team/faq/manifests/3": b"{}", "/token": answer}),
        ("hf://team/faq/onnx", f"https://{registry.base}", {"/api/models/team/faq/revision/main": answer}),
        ("hf://team/faq/onnx", f"https://{registry.base}", {**commit, tree: answer}),
    ]
    secret.fill(HF_TOKEN="hf_hush")
    for uri, endpoint, files in cases:
        registry.files.update(files)
        with pytest.raises(LoadError):
            fetch_artifact(settings(uri, model_endpoint=endpoint))
    assert {path for path in tmp_path.rglob("*") if "work" not in path.parts} - before <= {
        tmp_path / "credentials" / "HF_TOKEN",
        tmp_path / "credentials" / "..data" / "HF_TOKEN",
    }


@pytest.mark.parametrize(
    ("proxy", "address"), [("proxy:3128", "http://proxy:3128"), ("http://a:b@proxy", "http://a:b@proxy")]
)
def test_proxy_without_a_scheme_is_asked_by_http(monkeypatch: pytest.MonkeyPatch, proxy: str, address: str) -> None:
    monkeypatch.setenv("https_proxy", proxy)
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    assert find_proxy("https://models.example.com/faq.tar") == address
