"""Downloads from a real HTTPS server: streaming, another try, and every way it can fail."""

import gzip
import http.server
import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from scoring_runtime.artifacts import compute_digest, fetch_artifact
from scoring_runtime.download import BACKOFF_SECONDS, download_file
from scoring_runtime.errors import (
    ArtifactCorruptError,
    ArtifactNotFoundError,
    DigestMismatchError,
    FetchFailedError,
    ManifestInvalidError,
)
from scoring_runtime.uris import parse_uri

CONTENT = b"weights" * 500_000


class Server:
    """An HTTPS server on loopback whose answers are set by the test: path to a list of statuses, the last one for good."""

    def __init__(self, certificate: Path) -> None:
        self.statuses: dict[str, list[int]] = {}
        self.seen: list[tuple[str, str | None]] = []
        self.accepted: list[str | None] = []
        server = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                server.seen.append((self.path, self.headers.get("Authorization")))
                server.accepted.append(self.headers.get("Accept-Encoding"))
                statuses = server.statuses.get(self.path.split("?")[0], [404])
                server.answer(self, statuses.pop(0) if len(statuses) > 1 else statuses[0])

            def log_message(self, *_arguments: Any) -> None: ...

        self.httpd = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        # A client that goes away is what some tests are about.
        self.httpd.handle_error = lambda *_arguments: None  # type: ignore[method-assign]
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        self.httpd.socket = context.wrap_socket(self.httpd.socket, server_side=True)
        self.base = f"127.0.0.1:{self.httpd.server_address[1]}"

    def answer(self, request: http.server.BaseHTTPRequestHandler, status: int) -> None:
        cut = status == 299
        coded = status == 298
        body = CONTENT if status in (200, 299) else gzip.compress(CONTENT) if coded else b"no"
        request.send_response(200 if cut or coded else status)
        if coded:
            request.send_header("Content-Encoding", "gzip")
        if status == 302:
            request.send_header("Location", f"http://{self.base}/plain.tar")
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        request.wfile.write(body[: len(body) // 2] if cut else body)
        request.close_connection = cut


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A self-signed certificate for 127.0.0.1, key and certificate in one file."""
    path = tmp_path_factory.mktemp("tls") / "server.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1", "-days", "2"]
    subprocess.run([*command, *names, "-keyout", path, "-out", f"{path}.crt"], check=True, capture_output=True)
    path.write_bytes(path.read_bytes() + Path(f"{path}.crt").read_bytes())
    return path


@pytest.fixture
def server(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("SSL_CERT_FILE", f"{certificate}.crt")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    server = Server(certificate)
    thread = threading.Thread(target=server.httpd.serve_forever)
    thread.start()
    yield server
    server.httpd.shutdown()
    thread.join()
    server.httpd.server_close()


@pytest.fixture
def waits() -> list[float]:
    return []


Download = Callable[[str], bytes]


@pytest.fixture
def download(tmp_path: Path, waits: list[float]) -> Download:
    def run(uri: str) -> bytes:
        target = tmp_path / "target"
        download_file(parse_uri(uri), target, waits.append)
        return target.read_bytes()

    return run


def test_a_file_is_downloaded_whole(server: Server, download: Download, waits: list[float]) -> None:
    server.statuses["/model.tar"] = [200]
    assert download(f"https://{server.base}/model.tar") == CONTENT
    assert waits == []


def test_an_archive_said_to_be_coded_is_stored_as_it_lies_at_the_source(server: Server, download: Download) -> None:
    server.statuses["/model.tar.gz"] = [298]
    stored = download(f"https://{server.base}/model.tar.gz")
    assert stored[:2] == b"\x1f\x8b"
    assert gzip.decompress(stored) == CONTENT
    assert server.accepted == ["identity"]


def test_credentials_and_query_reach_the_server(server: Server, download: Download) -> None:
    server.statuses["/model.tar"] = [200]
    download(f"https://user:pass@{server.base}/model.tar?signature=a%2Fb")
    assert server.seen[-1] == ("/model.tar?signature=a%2Fb", "Basic dXNlcjpwYXNz")


@pytest.mark.parametrize("status", [500, 502, 503, 429, 299])
def test_a_passing_failure_is_tried_again(server: Server, download: Download, waits: list[float], status: int) -> None:
    server.statuses["/model.tar"] = [status, 200]
    assert download(f"https://{server.base}/model.tar") == CONTENT
    assert waits == [BACKOFF_SECONDS[0]]


def test_a_lasting_server_error_fails_after_all_tries(server: Server, download: Download, waits: list[float]) -> None:
    server.statuses["/model.tar"] = [503]
    with pytest.raises(FetchFailedError) as caught:
        download(f"https://u:secret@{server.base}/model.tar?secret")
    assert caught.value.message == (
        f"https://{server.base}/model.tar could not be fetched: the server answered 503. It is tried again."
    )
    assert waits == list(BACKOFF_SECONDS)
    assert len(server.seen) == len(BACKOFF_SECONDS) + 1


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (404, "Nothing at {uri}: the server answered 404. Correct spec.model.uri."),
        (401, "{uri} is refused: the server answered 401. Check the URI and its permissions."),
        (403, "{uri} is refused: the server answered 403. Check the URI and its permissions."),
        (302, "{uri} redirects to a URI that is not https. Give the final https URI."),
    ],
)
def test_a_refusal_is_not_tried_again(
    server: Server, download: Download, waits: list[float], status: int, message: str
) -> None:
    server.statuses["/model.tar"] = [status]
    uri = f"https://{server.base}/model.tar"
    with pytest.raises(ArtifactNotFoundError) as caught:
        download(uri + "?token=secret")
    assert caught.value.message == message.format(uri=uri)
    assert waits == []


def test_a_refused_connection_fails_and_names_the_host(download: Download, waits: list[float]) -> None:
    # Bound and not listening: nobody else can take the port, and connections are refused.
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        port = bound.getsockname()[1]
        with pytest.raises(FetchFailedError, match=rf"^https://127.0.0.1:{port}/model.tar could not be ") as caught:
            download(f"https://user:secret@127.0.0.1:{port}/model.tar?secret")
    assert "secret" not in caught.value.message
    assert waits == list(BACKOFF_SECONDS)


def test_an_unknown_certificate_fails_and_says_so(
    server: Server, download: Download, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SSL_CERT_FILE")
    with pytest.raises(FetchFailedError, match="certificate verify failed"):
        download(f"https://{server.base}/model.tar")


def test_a_fetched_artifact_is_verified(server: Server, make_settings: Any, tmp_path: Path) -> None:
    server.statuses["/models/model.TAR"] = [200]
    uri = f"https://{server.base}/models/model.TAR"
    (tmp_path / "same").write_bytes(CONTENT)
    # Its digest is right, and only then is it found to be no archive.
    with pytest.raises(ArtifactCorruptError, match=r"^The artifact artifact\.tar cannot be unpacked"):
        fetch_artifact(make_settings(uri, model_digest=compute_digest(tmp_path / "same")))

    with pytest.raises(DigestMismatchError):
        fetch_artifact(make_settings(uri, model_digest="sha256:" + "0" * 64))


def test_a_single_file_is_refused_before_it_is_fetched(server: Server, make_settings: Any) -> None:
    with pytest.raises(ManifestInvalidError, match="is a single file, which does not say its task"):
        fetch_artifact(make_settings(f"https://{server.base}/models/model.skops"))
    assert server.seen == []


@pytest.mark.parametrize("path", ["", "/", "/models/", "/models/?signature=x"])
def test_a_folder_over_https_is_refused(make_settings: Any, path: str) -> None:
    with pytest.raises(ArtifactNotFoundError, match=r"is a folder: over https give one file, such as a \.tar\.gz"):
        fetch_artifact(make_settings(f"https://models.example.com{path}"))


def test_a_full_disk_is_no_reason_to_try_again(server: Server, waits: list[float]) -> None:
    server.statuses["/model.tar"] = [200]
    with pytest.raises(OSError, match="No space left on device"):
        download_file(parse_uri(f"https://{server.base}/model.tar"), Path("/dev/full"), waits.append)
    assert waits == []
