"""One file over https, read in parts where the server can do that. A source of transfers.py."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from urllib.parse import unquote, urlsplit, urlunsplit

from scoring_runtime.artifacts.sources import Access, RemoteFile
from scoring_runtime.artifacts.sources.http_client import HttpClient, make_basic_header
from scoring_runtime.artifacts.uris import ModelUri
from scoring_runtime.errors import FetchAbandonedError

# No file has more digits of bytes; Python's int refuses thousands of them.
_CONTENT_RANGE = re.compile(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18})$")
_LENGTH = re.compile(r"\d{1,18}")
_WHOLE = 200
_PARTIAL = 206
_PAST_THE_END = 416


class WebSource:
    """One file at an https URI."""

    def __init__(self, uri: ModelUri, access: Access) -> None:
        self._uri = uri
        self._client = HttpClient(str(uri), access.credentials)
        parts = urlsplit(uri.text)
        # The fragment is the client's own business, and user info goes into a header.
        self._url = urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, parts.query, ""))
        self._headers = _authorise(uri, access)

    def list_files(self) -> list[RemoteFile]:
        """Return the file. Its first byte is asked for, as a signed URI is signed for GET alone."""
        response = self._client.get(
            self._url, {**self._headers, "Range": "bytes=0-0"}, expected=(200, _PARTIAL, _PAST_THE_END)
        )
        headers, status = response.headers, response.status
        response.close()
        found = _CONTENT_RANGE.match(headers.get("Content-Range", ""))
        name = self._uri.path.name
        if status == _PARTIAL and found:
            version = _read_version(headers)
            # Where nothing tells whether the file is still the same, parts of it could be of two.
            return [RemoteFile(name, self._url, int(found[3]), version, is_seekable=version is not None)]
        if status == _PAST_THE_END:
            return [RemoteFile(name, self._url, 0, is_seekable=False)]
        length = headers.get("Content-Length", "")
        # Of an answer in part it is the part's.
        size = int(length) if status != _PARTIAL and _LENGTH.fullmatch(length) else None
        return [RemoteFile(name, self._url, size, is_seekable=False)]

    def read(self, file: RemoteFile, start: int, end: int | None) -> Iterator[bytes]:
        """Yield the file's bytes."""
        yield from read_range(self._client, file, self._headers, (start, end))

    def abandon(self) -> None:
        """End all requests."""
        self._client.abandon()


def read_range(
    client: HttpClient, file: RemoteFile, headers: Mapping[str, str], stretch: tuple[int, int | None]
) -> Iterator[bytes]:
    """Yield the bytes of a stretch of a file: from the first number up to, not including, the second. All of one that is not seekable."""
    if not file.is_seekable:
        yield from client.stream(client.get(file.address, headers))
        return
    start, end = stretch
    sent = {**headers, "Range": f"bytes={start}-{'' if end is None else end - 1}"}
    response = client.get(file.address, sent, expected=(200, _PARTIAL, _PAST_THE_END))
    found = _CONTENT_RANGE.match(response.headers.get("Content-Range", ""))
    is_part = found is not None and int(found[1]) == start and file.size_bytes in (None, int(found[3]))
    # A server may know ranges of some files, and send small ones whole.
    is_whole = response.status == _WHOLE and start == 0 and end == file.size_bytes
    if file.version not in (None, _read_version(response.headers)) or not (is_part or is_whole):
        response.close()
        raise FetchAbandonedError(f"{file.name} changed while it was being fetched. It is fetched again.")
    yield from client.stream(response)


def find_ranges(client: HttpClient, files: Sequence[RemoteFile], headers: Mapping[str, str]) -> list[RemoteFile]:
    """Return the files of a server, as not seekable where it sends the whole when it is asked for a part: the largest is tried."""
    largest = max(files, key=lambda file: file.size_bytes or 0)
    if not largest.size_bytes:
        return list(files)
    response = client.get(largest.address, {**headers, "Range": "bytes=0-0"}, expected=(200, _PARTIAL, _PAST_THE_END))
    response.close()
    return [replace(file, is_seekable=response.status != _WHOLE) for file in files]


def _read_version(headers: Mapping[str, str]) -> str | None:
    """Return what changes with the content, as far as the server tells: a strong ETag, else a weak one and the time of the last change."""
    etag, changed = headers.get("ETag", ""), headers.get("Last-Modified", "")
    if etag and not etag.startswith("W/"):
        return etag
    return f"{etag} {changed}".strip() or None


def _authorise(uri: ModelUri, access: Access) -> dict[str, str]:
    credentials, parts = access.credentials, urlsplit(uri.text)
    token, user, password = (credentials.get(key) for key in ("token", "username", "password"))
    if token:
        return {"Authorization": f"Bearer {token}"}
    if user and password:
        return {"Authorization": make_basic_header(user, password)}
    if parts.username:
        return {"Authorization": make_basic_header(unquote(parts.username), unquote(parts.password or ""))}
    return {}
