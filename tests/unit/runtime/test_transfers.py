"""Transfers from a real HTTPS server: in parts, resumed, bounded, and every way in which a server can fail."""

import gzip
import json
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from hypothesis import given
from hypothesis import strategies as st

from artifact_servers import ArtifactServer, make_certificate, serve_artifacts
from scoring_runtime.artifacts import transfers
from scoring_runtime.artifacts.credentials import Credentials
from scoring_runtime.artifacts.digests import compute_digest
from scoring_runtime.artifacts.retrieval import fetch_artifact
from scoring_runtime.artifacts.sources import Access, RemoteFile, open_source
from scoring_runtime.artifacts.sources.http_client import CHUNK_BYTES
from scoring_runtime.artifacts.transfers import BACKOFF_SECONDS, Bounds, fetch_files
from scoring_runtime.artifacts.uris import parse_uri
from scoring_runtime.errors import (
    AccessDeniedError,
    ArtifactCorruptError,
    ArtifactNotFoundError,
    ArtifactTooLargeError,
    CredentialsMissingError,
    DigestMismatchError,
    FetchFailedError,
    LoadError,
    ManifestInvalidError,
)

CONTENT = os.urandom(3 * 2**20 + 7)
BOUNDS = Bounds(max_bytes=2**30, timeout_seconds=60)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_certificate(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def server(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ArtifactServer]:
    monkeypatch.setenv("SSL_CERT_FILE", f"{certificate}.crt")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(transfers, "PART_BYTES", 2**20)
    with serve_artifacts(certificate) as server:
        server.files["/model.tar"] = CONTENT
        yield server


@pytest.fixture
def waits() -> list[float]:
    return []


Download = Callable[..., bytes]


@pytest.fixture
def download(tmp_path: Path, waits: list[float]) -> Download:
    def run(uri: str, bounds: Bounds = BOUNDS, credentials: Credentials | None = None) -> bytes:
        folder = tmp_path / "downloads"
        folder.mkdir()
        source = open_source(parse_uri(uri), Access(None, credentials or Credentials()))
        (file,) = fetch_files(source, folder, bounds, waits.append)
        return (folder / file.name).read_bytes()

    return run


def test_a_file_is_fetched_in_parts(server: ArtifactServer, download: Download, waits: list[float]) -> None:
    assert download(f"https://{server.base}/model.tar") == CONTENT
    assert waits == []
    asked = {request.range for request in server.seen}
    assert asked == {
        "bytes=0-0", "bytes=0-1048575", "bytes=1048576-2097151", "bytes=2097152-3145727", "bytes=3145728-3145734"
    }  # fmt: skip


@pytest.mark.parametrize("plan", ["whole", "whole-unsized"])
def test_a_file_of_a_server_without_ranges_is_fetched_whole(
    server: ArtifactServer, download: Download, plan: str
) -> None:
    server.plans["/model.tar"] = [plan]
    assert download(f"https://{server.base}/model.tar") == CONTENT


def test_an_empty_file_is_fetched(server: ArtifactServer, download: Download) -> None:
    server.files["/empty.tar"] = b""
    server.plans["/empty.tar"] = [416, "whole"]
    assert download(f"https://{server.base}/empty.tar") == b""


def test_an_archive_said_to_be_coded_is_stored_as_it_lies_at_the_source(
    server: ArtifactServer, download: Download
) -> None:
    server.plans["/model.tar"] = ["coded"]
    stored = download(f"https://{server.base}/model.tar")
    assert stored[:2] == b"\x1f\x8b"
    assert gzip.decompress(stored) == CONTENT
    assert {request.accept_encoding for request in server.seen} == {"identity"}


def test_credentials_and_query_reach_the_server(server: ArtifactServer, download: Download) -> None:
    download(f"https://user:pass@{server.base}/model.tar?signature=a%2Fb")
    assert {(request.path, request.authorization) for request in server.seen} == {
        ("/model.tar?signature=a%2Fb", "Basic dXNlcjpwYXNz")
    }


@pytest.mark.parametrize(
    ("values", "header"),
    [({"token": "t0ken"}, "Bearer t0ken"), ({"username": "user", "password": "pass"}, "Basic dXNlcjpwYXNz")],
)
def test_credentials_of_a_secret_are_sent_and_not_to_another_host(
    server: ArtifactServer, download: Download, certificate: Path, values: dict[str, str], header: str
) -> None:
    with serve_artifacts(certificate) as other:
        other.files["/elsewhere.tar"] = CONTENT
        server.plans["/model.tar"] = [302]
        server.redirect = f"https://{other.base}/elsewhere.tar?signature=x"
        assert download(f"https://{server.base}/model.tar", credentials=Credentials(values)) == CONTENT
        assert {request.authorization for request in server.seen} == {header}
        assert {request.authorization for request in other.seen} == {None}


def test_a_private_authority_is_trusted_beside_the_systems(
    server: ArtifactServer, download: Download, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SSL_CERT_FILE")
    credentials = Credentials({"ca.crt": Path(f"{certificate}.crt").read_text()})
    assert download(f"https://{server.base}/model.tar", credentials=credentials) == CONTENT


@pytest.mark.parametrize("plan", [500, 502, 503, 429, "cut", "short"])
def test_a_passing_failure_is_tried_again(
    server: ArtifactServer, download: Download, waits: list[float], plan: int | str
) -> None:
    server.plans["/model.tar"] = ["range", plan, "range"]
    assert download(f"https://{server.base}/model.tar") == CONTENT
    assert waits == [BACKOFF_SECONDS[0]]


def test_a_part_goes_on_where_it_broke_off(
    server: ArtifactServer, download: Download, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transfers, "PART_BYTES", 2**30)
    server.plans["/model.tar"] = ["range", "cut", "cut", "range"]
    assert download(f"https://{server.base}/model.tar") == CONTENT
    starts = [int((request.range or "").removeprefix("bytes=").split("-")[0]) for request in server.seen[1:]]
    assert starts[0] == 0
    assert 0 < starts[1] < starts[2]


def test_a_file_without_ranges_starts_anew(server: ArtifactServer, download: Download) -> None:
    server.plans["/model.tar"] = ["whole", 503, "whole"]
    assert download(f"https://{server.base}/model.tar") == CONTENT


def test_a_server_that_stalls_is_given_up_and_asked_again(
    server: ArtifactServer, download: Download, waits: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("scoring_runtime.artifacts.sources.http_client.READ_TIMEOUT_SECONDS", 1.5)
    server.plans["/model.tar"] = ["range", "stall", "range"]
    assert download(f"https://{server.base}/model.tar") == CONTENT
    assert waits == [BACKOFF_SECONDS[0]]


def test_a_server_that_always_stalls_fails_and_says_so(
    server: ArtifactServer, download: Download, waits: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("scoring_runtime.artifacts.sources.http_client.READ_TIMEOUT_SECONDS", 0.4)
    server.files["/model.tar"] = CONTENT[:1000]
    server.plans["/model.tar"] = ["range", "stall"]
    with pytest.raises(FetchFailedError, match="could not be fetched: the server did not answer in time"):
        download(f"https://{server.base}/model.tar")
    # A busy machine may be late with the first answer too.
    assert waits[-len(BACKOFF_SECONDS) :] == list(BACKOFF_SECONDS)


def test_a_server_that_sends_more_than_it_said_fails(server: ArtifactServer, download: Download) -> None:
    server.plans["/model.tar"] = ["range", "long"]
    with pytest.raises(FetchFailedError, match=r"model\.tar has more bytes than the server said before"):
        download(f"https://{server.base}/model.tar")


def test_a_file_that_changes_meanwhile_is_not_put_together_from_two(
    server: ArtifactServer, download: Download, waits: list[float]
) -> None:
    server.plans["/model.tar"] = ["range", "range", "changed"]
    with pytest.raises(FetchFailedError, match=r"model\.tar changed while it was being fetched"):
        download(f"https://{server.base}/model.tar")
    assert waits == []


def test_a_lasting_server_error_fails_after_all_tries(
    server: ArtifactServer, download: Download, waits: list[float]
) -> None:
    server.plans["/model.tar"] = [503]
    with pytest.raises(FetchFailedError) as caught:
        download(f"https://u:secret@{server.base}/model.tar?secret")
    assert caught.value.message == (
        f"https://{server.base}/model.tar could not be fetched: the server answered 503. It is tried again."
    )
    assert waits == list(BACKOFF_SECONDS)
    assert len(server.seen) == len(BACKOFF_SECONDS) + 1


DENIED = "{uri} is refused: the server answered {status}. Check spec.model.credentials and what they may read."


@pytest.mark.parametrize(
    ("status", "error", "message"),
    [
        (404, ArtifactNotFoundError, "Nothing at {uri}: the server answered 404. Correct spec.model.uri."),
        (410, ArtifactNotFoundError, "{uri} is refused: the server answered 410. Check spec.model.uri."),
        (401, AccessDeniedError, DENIED),
        (403, AccessDeniedError, DENIED),
        (302, ArtifactNotFoundError, "{uri} redirects to a URI that is not https. Give the final https URI."),
        (307, ArtifactNotFoundError, "{uri} redirects to a URI that is not https. Give the final https URI."),
    ],
)
def test_a_refusal_is_not_tried_again(
    server: ArtifactServer, download: Download, waits: list[float], status: int, error: type[LoadError], message: str
) -> None:
    server.plans["/model.tar"] = [status]
    server.redirect = f"http://{server.base}/plain.tar"
    uri = f"https://{server.base}/model.tar"
    with pytest.raises(error) as caught:
        download(uri + "?token=secret")
    assert caught.value.message == message.format(uri=uri, status=status)
    assert waits == []


def test_redirects_in_a_circle_end(server: ArtifactServer, download: Download) -> None:
    server.plans["/model.tar"] = [302]
    server.redirect = "/model.tar"
    with pytest.raises(ArtifactNotFoundError, match="redirects more than 5 times"):
        download(f"https://{server.base}/model.tar")


@pytest.mark.parametrize("place", ["https://other:99999999/x", "https://[::1/x", "https://:7/x"])
def test_a_redirect_to_what_is_no_address_is_told(
    server: ArtifactServer, download: Download, waits: list[float], place: str
) -> None:
    server.plans["/model.tar"] = [302]
    server.redirect = place
    with pytest.raises(FetchFailedError) as caught:
        download(f"https://{server.base}/model.tar?secret")
    assert caught.value.message == (
        f"https://{server.base}/model.tar could not be fetched: it redirects to what is no address. Give the final URI."
    )
    assert waits == []


@pytest.mark.parametrize("range_", ["bytes 0-0/*", f"bytes 0-0/{'9' * 5000}", f"bytes {'9' * 5000}-0/1", "bytes", ""])
def test_a_file_whose_length_a_part_does_not_tell_is_fetched_whole(
    server: ArtifactServer, download: Download, range_: str
) -> None:
    server.headers["/model.tar"] = {"Content-Range": range_}
    assert download(f"https://{server.base}/model.tar") == CONTENT
    assert [request.range for request in server.seen] == ["bytes=0-0", None]


def test_a_length_that_nothing_has_is_not_believed(server: ArtifactServer, download: Download) -> None:
    server.plans["/model.tar"] = ["whole"]
    server.headers["/model.tar"] = {"Content-Length": "9" * 5000}
    assert download(f"https://{server.base}/model.tar") == CONTENT


def test_a_part_of_a_length_that_nothing_has_is_refused(
    server: ArtifactServer, download: Download, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transfers, "PART_BYTES", 2**30)

    def answer(request: Any, path: str) -> None:
        # Honest to the first question, for the length alone.
        if len(server.seen) > 1:
            server.headers[path] = {"Content-Range": f"bytes 0-0/{'9' * 5000}"}
        server.answer(request, path)

    server.handle = answer
    with pytest.raises(FetchFailedError, match="changed while it was being fetched"):
        download(f"https://{server.base}/model.tar")


@pytest.mark.parametrize("token", ["hush\nhush", "hush€"])
def test_a_token_that_no_header_may_hold_is_told_without_it(
    server: ArtifactServer, download: Download, waits: list[float], token: str
) -> None:
    with pytest.raises(FetchFailedError) as caught:
        download(f"https://{server.base}/model.tar", credentials=Credentials({"token": token}))
    assert caught.value.message == (
        f"https://{server.base}/model.tar could not be fetched: the request's address or a header of it cannot be sent. "
        "Check the credentials and the proxy."
    )
    assert caught.value.__cause__ is None
    assert waits == []


def test_a_refused_connection_fails_and_names_the_host(download: Download, waits: list[float]) -> None:
    # Bound and not listening: nobody else can take the port, and connections are refused.
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        port = bound.getsockname()[1]
        with pytest.raises(FetchFailedError, match=rf"^https://127.0.0.1:{port}/model.tar could not be ") as caught:
            download(f"https://user:secret@127.0.0.1:{port}/model.tar?secret")
    assert "secret" not in caught.value.message
    assert "Connection refused" in caught.value.message
    assert waits == list(BACKOFF_SECONDS)


def test_an_unknown_certificate_fails_and_says_so(
    server: ArtifactServer, download: Download, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SSL_CERT_FILE")
    with pytest.raises(FetchFailedError, match="certificate verify failed"):
        download(f"https://{server.base}/model.tar")


@pytest.mark.parametrize("plan", ["range", "whole", "whole-unsized"])
def test_a_file_larger_than_the_limit_is_refused(server: ArtifactServer, download: Download, plan: str) -> None:
    server.plans["/model.tar"] = [plan]
    with pytest.raises(ArtifactTooLargeError, match=r"has more than 1000 bytes: raise spec\.model\.sizeLimit"):
        download(f"https://{server.base}/model.tar", Bounds(max_bytes=1000, timeout_seconds=60))


def test_a_transfer_that_takes_too_long_is_given_up(server: ArtifactServer, download: Download) -> None:
    with pytest.raises(FetchFailedError, match=r"longer than 0 seconds: raise SCORING_FETCH_TIMEOUT_SECONDS"):
        download(f"https://{server.base}/model.tar", Bounds(max_bytes=2**30, timeout_seconds=0))


def test_a_fetched_artifact_is_verified(server: ArtifactServer, make_settings: Any, tmp_path: Path) -> None:
    server.files["/models/model.TAR"] = CONTENT
    uri = f"https://{server.base}/models/model.TAR"
    (tmp_path / "same").write_bytes(CONTENT)
    # Its digest is right, and only then is it found to be no archive.
    with pytest.raises(ArtifactCorruptError, match=r"^The artifact model\.TAR cannot be unpacked"):
        fetch_artifact(make_settings(uri, model_digest=compute_digest(tmp_path / "same")))

    with pytest.raises(DigestMismatchError):
        fetch_artifact(make_settings(uri, model_digest="sha256:" + "0" * 64))


def test_a_file_that_is_no_model_by_itself_is_refused_before_it_is_fetched(
    server: ArtifactServer, make_settings: Any
) -> None:
    with pytest.raises(ManifestInvalidError, match="is a single file that does not say how it is served"):
        fetch_artifact(make_settings(f"https://{server.base}/models/model.safetensors"))
    assert server.seen == []


@pytest.mark.parametrize("path", ["", "/", "/models/", "/models/?signature=x"])
def test_a_folder_over_https_is_refused(make_settings: Any, path: str) -> None:
    with pytest.raises(ArtifactNotFoundError, match=r"is a folder: over https give one file, such as a \.tar\.gz"):
        fetch_artifact(make_settings(f"https://models.example.com{path}"))


def test_a_server_that_trickles_does_not_get_round_the_time_limit(server: ArtifactServer, download: Download) -> None:
    server.plans["/model.tar"] = ["trickle"]
    began = time.monotonic()
    with pytest.raises(FetchFailedError, match="Fetching took longer than 1 seconds"):
        download(f"https://{server.base}/model.tar", Bounds(max_bytes=2**30, timeout_seconds=1))
    assert time.monotonic() - began < 10


@pytest.mark.parametrize(
    "start",
    [
        b"HTTP/1.1 200 OK\r\nName: ",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
    ],
    ids=["header", "length-of-a-chunk"],
)
def test_nor_does_one_that_trickles_elsewhere_than_in_the_file(
    server: ArtifactServer, download: Download, start: bytes
) -> None:
    server.handle = lambda request, path: trickle(request, start)
    began = time.monotonic()
    with pytest.raises(FetchFailedError, match="Fetching took longer than 1 seconds"):
        download(f"https://{server.base}/model.tar", Bounds(max_bytes=2**30, timeout_seconds=1))
    assert time.monotonic() - began < 10


def test_body_of_a_redirect_is_not_waited_for(server: ArtifactServer, download: Download) -> None:
    def answer(request: Any, path: str) -> None:
        if path == "/moved.tar":
            trickle(request, b"HTTP/1.1 302 Found\r\nLocation: /model.tar\r\nContent-Length: 100000\r\n\r\n")
        else:
            server.answer(request, path)

    server.handle = answer
    assert download(f"https://{server.base}/moved.tar", Bounds(max_bytes=2**30, timeout_seconds=10)) == CONTENT


def test_nor_does_one_that_answers_only_when_the_time_is_over(server: ArtifactServer, download: Download) -> None:
    def answer(request: Any, path: str) -> None:
        if len(server.seen) > 1:
            threading.Event().wait(1.5)
        trickle(request, b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")

    server.handle = answer
    began = time.monotonic()
    with pytest.raises(FetchFailedError, match="Fetching took longer than 1 seconds"):
        download(f"https://{server.base}/model.tar", Bounds(max_bytes=2**30, timeout_seconds=1))
    assert time.monotonic() - began < 10


def test_what_had_arrived_when_the_time_was_over_is_not_taken_for_the_file(
    server: ArtifactServer, download: Download
) -> None:
    def answer(request: Any, path: str) -> None:
        # Its end is told by nothing but the end of the connection, which is also what giving up looks like.
        request.wfile.write(b"HTTP/1.1 200 OK\r\n\r\n" + bytes(CHUNK_BYTES))
        request.close_connection = True
        threading.Event().wait(3)

    server.handle = answer
    with pytest.raises(FetchFailedError, match="Fetching took longer than 1 seconds"):
        download(f"https://{server.base}/model.tar", Bounds(max_bytes=2**30, timeout_seconds=1))


def trickle(request: Any, start: bytes) -> None:
    """Answer with `start`, and then byte by byte for 15 seconds."""
    request.close_connection = True
    request.wfile.write(start)
    for _ in range(300):
        request.wfile.write(b"0")
        threading.Event().wait(0.05)


def test_a_weak_etag_that_changes_tells_of_another_file(server: ArtifactServer, download: Download) -> None:
    server.etag = "weak"
    server.plans["/model.tar"] = ["range", "range", "changed"]
    with pytest.raises(FetchFailedError, match=r"model\.tar changed while it was being fetched"):
        download(f"https://{server.base}/model.tar")


def test_a_file_of_which_no_change_is_told_is_read_in_one_piece(server: ArtifactServer, download: Download) -> None:
    server.etag = "none"
    assert download(f"https://{server.base}/model.tar") == CONTENT
    assert [request.range for request in server.seen] == ["bytes=0-0", None]


def test_strong_etag_counts_whatever_the_time_of_the_last_change(server: ArtifactServer, download: Download) -> None:
    def answer(request: Any, path: str) -> None:
        server.headers[path] = {"Last-Modified": f"Mon, 01 Jan 2024 00:00:{len(server.seen):02d} GMT"}
        server.answer(request, path)

    server.handle = answer
    assert download(f"https://{server.base}/model.tar") == CONTENT


def test_last_modified_tells_of_a_change_as_well(server: ArtifactServer, download: Download) -> None:
    server.etag = "none"
    server.headers["/model.tar"] = {"Last-Modified": "Mon, 01 Jan 2024 00:00:00 GMT"}
    assert download(f"https://{server.base}/model.tar") == CONTENT
    assert len(server.seen) > 2


class Listing:
    """A source that lists what a test says; its files are empty."""

    def __init__(self, *files: RemoteFile) -> None:
        self.files = list(files)

    def list_files(self) -> list[RemoteFile]:
        return self.files

    def read(self, file: RemoteFile, start: int, end: int | None) -> Iterator[bytes]:
        yield bytes((end or 0) - start)

    def abandon(self) -> None: ...


def fetch_names(folder: Path, *names: str) -> None:
    folder.mkdir(exist_ok=True)
    fetch_files(Listing(*(RemoteFile(name, name, 1) for name in names)), folder, BOUNDS)


@pytest.mark.parametrize(
    "name", ["../x", "a/../../x", "/etc/passwd", "", ".", "a//b", "a/", "./a", "a\\b", "a\nb", "a\0b", ".."]
)
def test_a_name_that_leads_outside_the_folder_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ArtifactCorruptError, match="is refused: its path leaves the folder"):
        fetch_names(tmp_path / "target", "manifest.json", name)
    assert not list((tmp_path / "target").iterdir())


def test_no_name_ever_reaches_outside_the_folder(tmp_path_factory: pytest.TempPathFactory) -> None:
    parts = st.sampled_from(["..", ".", "a", "b", "", "/", "~", "\\", "\n", " "])

    @hypothesis.settings(deadline=None)
    @given(st.lists(parts, max_size=5).map("/".join))
    def check(name: str) -> None:
        base = tmp_path_factory.mktemp("fetch")
        with suppress(ArtifactCorruptError):
            fetch_names(base / "target", name)
        outside = [path for path in base.rglob("*") if path.is_file() and base / "target" not in path.parents]
        assert outside == []

    check()


def test_names_that_clash_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ArtifactCorruptError, match="Two of the artifact's files have the same name"):
        fetch_names(tmp_path / "target", "a", "a")
    with pytest.raises(ArtifactCorruptError, match="'a' in the artifact is both a file and a folder"):
        fetch_names(tmp_path / "target", "a", "a/b")


def test_too_many_files_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transfers, "MAX_FILES", 2)
    with pytest.raises(ArtifactTooLargeError, match="more than 2 files: pack them into an archive"):
        fetch_names(tmp_path / "target", "a", "b", "c")


def test_an_artifact_for_which_the_disk_has_no_room_is_refused_before_it_is_fetched(tmp_path: Path) -> None:
    source = Listing(RemoteFile("weights", "weights", 2**60))
    with pytest.raises(FetchFailedError, match="use a node with a larger disk"):
        fetch_files(source, tmp_path, Bounds(2**61, 60))


def test_a_full_disk_is_no_reason_to_try_again(tmp_path: Path, waits: list[float]) -> None:
    class Full(Listing):
        def read(self, file: RemoteFile, start: int, end: int | None) -> Iterator[bytes]:
            del file, start, end
            # The real error of the kernel, from the device that is always full.
            with Path("/dev/full").open("wb", buffering=0) as full:
                full.write(b"x")
            yield b""

    with pytest.raises(OSError, match="No space left on device"):
        fetch_files(Full(RemoteFile("weights", "weights", 1)), tmp_path, BOUNDS, waits.append)
    assert waits == []


def test_the_secrets_keys_are_named_when_they_are_missing(tmp_path: Path, make_settings: Any) -> None:
    settings = {"model_secret_name": "s3", "credentials_dir": tmp_path / "credentials"}
    with pytest.raises(CredentialsMissingError) as caught:
        fetch_artifact(make_settings("https://models.example.com/faq.tar", **settings))
    assert caught.value.message == (
        "The Secret s3 does not exist or is empty: create it with token, or username and password, or correct "
        "spec.model.credentials."
    )
    (tmp_path / "credentials").mkdir()
    (tmp_path / "credentials" / "username").write_text("me")
    with pytest.raises(CredentialsMissingError, match=r"^The Secret s3 has no password\. Add what https:// needs\.$"):
        fetch_artifact(make_settings("https://models.example.com/faq.tar", **settings))
    (tmp_path / "credentials" / "username").rename(tmp_path / "credentials" / "AWS_REGION")
    with pytest.raises(CredentialsMissingError, match=r"has no key that https:// reads \(it has AWS_REGION\)"):
        fetch_artifact(make_settings("https://models.example.com/faq.tar", **settings))


def test_no_secret_is_in_a_representation() -> None:
    assert "hush" not in repr(Access("https://x", Credentials({"token": "hush"})))
    assert "hush" not in json.dumps(str(Credentials({"token": "hush"})))
