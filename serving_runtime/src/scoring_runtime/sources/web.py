"""One file over https, read in parts where the server can do that. A source of transfers.py."""

import re
from collections.abc import Iterator
from urllib.parse import unquote, urlsplit, urlunsplit

from scoring_runtime.errors import FetchAbandonedError
from scoring_runtime.sources import Access, RemoteFile
from scoring_runtime.sources.http_client import HttpClient, make_basic_header
from scoring_runtime.uris import ModelUri

# No file has more digits of bytes; Python's int refuses thousands of them.
_CONTENT_RANGE = re.compile(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18})$")
_LENGTH = re.compile(r"\d{1,18}")
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
            return [RemoteFile(name, self._url, int(found[3]), read_version(headers.get("ETag")))]
        if status == _PAST_THE_END:
            return [RemoteFile(name, self._url, 0, is_seekable=False)]
        length = headers.get("Content-Length", "")
        # Of an answer in part it is the part's.
        size = int(length) if status != _PARTIAL and _LENGTH.fullmatch(length) else None
        return [RemoteFile(name, self._url, size, is_seekable=False)]

    def read(self, file: RemoteFile, start: int, end: int | None) -> Iterator[bytes]:
        """Yield the file's bytes."""
        if not file.is_seekable:
            yield from self._client.stream(self._client.get(file.address, self._headers))
            return
        yield from read_range(self._client, file, self._headers, (start, end))


def read_range(
    client: HttpClient, file: RemoteFile, headers: dict[str, str], stretch: tuple[int, int | None]
) -> Iterator[bytes]:
    """Yield the bytes of a stretch of a file: from the first number up to, not including, the second."""
    start, end = stretch
    sent = {**headers, "Range": f"bytes={start}-{'' if end is None else end - 1}"}
    if file.version is not None:
        sent["If-Range"] = file.version
    response = client.get(file.address, sent, expected=(200, _PARTIAL, _PAST_THE_END))
    found = _CONTENT_RANGE.match(response.headers.get("Content-Range", ""))
    if not (found and int(found[1]) == start and file.size_bytes in (None, int(found[3]))):
        response.close()
        raise FetchAbandonedError(f"{file.name} changed while it was being fetched. It is fetched again.")
    yield from client.stream(response)


def read_version(etag: str | None) -> str | None:
    """Return a strong ETag; a weak one does not say that the bytes are the same."""
    return etag if etag and not etag.startswith("W/") else None


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
