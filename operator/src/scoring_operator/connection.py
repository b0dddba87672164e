"""A connection to one API server: requests and watches as JSON over HTTP. Below `cluster`, which knows the verbs.

On aiohttp itself rather than the official client, which takes 17 MiB and half a second to import and a thread for each request.
"""

import asyncio
import json
import re
import ssl
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

import aiohttp
import orjson

from scoring_operator.api import Manifest, shorten
from scoring_operator.clock import ClusterClock, read_steady_seconds
from scoring_operator.errors import ClusterError, Conflict, Expired, NotFound, Rejected

REQUEST_TIMEOUT_SECONDS = 30.0
SILENCE_SECONDS = 300.0
"""A watch that says nothing for so long is taken for dead: the API server sends a bookmark every minute."""

BUSY_ATTEMPTS = 5
BUSY_SECONDS = 10.0
"""Longest wait between the attempts of one request, whatever a busy API server asks for."""

JSON = "application/json"
WRITES = ("POST", "PUT", "PATCH")
UNCHECKED = {"fieldValidation": "Ignore"}
"""Of a write: by default the API server parses it a second time, only to warn of fields that it does not know."""

READ_BYTES = 2**18

MESSAGE_CHARACTERS = 4096
"""Of an answer: the API server repeats what it refuses, however long it is."""

ERRORS: Mapping[int, type[ClusterError]] = {
    HTTPStatus.BAD_REQUEST: Rejected,
    HTTPStatus.FORBIDDEN: Rejected,
    HTTPStatus.NOT_FOUND: NotFound,
    # What the API server answers to the making of an object whose CRD is being deleted.
    HTTPStatus.METHOD_NOT_ALLOWED: NotFound,
    HTTPStatus.CONFLICT: Conflict,
    HTTPStatus.GONE: Expired,
    HTTPStatus.UNPROCESSABLE_ENTITY: Rejected,
}

DENIED_BY_WEBHOOK = re.compile('admission webhook ".*" denied the request')


@dataclass(frozen=True)
class Access:
    """Where the API server answers, and what shows it who asks."""

    server: str
    ssl_context: ssl.SSLContext
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    proxy: str | None = None


class Connection:
    """Requests to one API server. Access is found anew when it is refused: a service account's token is replaced every hour."""

    def __init__(
        self, log_in: Callable[[], Access], clock: ClusterClock, hooks: Sequence[aiohttp.TraceConfig] = ()
    ) -> None:
        """Take what finds the access, which may raise ClusterError, the clock that answers set, and hooks into each request."""
        self.clock = clock
        self._log_in = log_in
        self._access = log_in()
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0),
            auto_decompress=False,
            headers={"Accept-Encoding": "identity"},
            read_bufsize=READ_BYTES,
            trace_configs=list(hooks),
        )

    async def close(self) -> None:
        """Close the connections."""
        await self._session.close()

    async def request(
        self,
        method: str,
        path: str,
        body: Manifest | None = None,
        headers: Mapping[str, str] | None = None,
        **parameters: Any,
    ) -> Manifest:
        """Return the answer to a request; raises ClusterError, or the kind of it that the status stands for.

        An API server that is too busy says when to come again; only after some such answers is that an error.
        headers: instead of those that say that JSON is sent and wanted.
        """
        for attempt in range(1, BUSY_ATTEMPTS + 1):
            status, answer, wait_seconds = await self._ask(method, path, body, headers or {}, parameters)
            if status == HTTPStatus.UNAUTHORIZED:
                self._access = self._log_in()
                status, answer, wait_seconds = await self._ask(method, path, body, headers or {}, parameters)
            if wait_seconds is None or attempt == BUSY_ATTEMPTS:
                break
            await asyncio.sleep(wait_seconds)
        if status >= HTTPStatus.BAD_REQUEST:
            raise translate(method, path, status, answer)
        try:
            parsed: Manifest = orjson.loads(answer)
        except ValueError as error:
            raise ClusterError(f"{method} {path}: the answer is no JSON") from error
        return parsed

    async def watch(
        self, path: str, headers: Mapping[str, str] | None = None, **parameters: Any
    ) -> AsyncIterator[Manifest]:
        """Yield events until the API server ends the watch; raises ClusterError when it cannot be had or breaks off."""
        query = {**parameters, "watch": "true", "allowWatchBookmarks": "true"}
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=REQUEST_TIMEOUT_SECONDS, sock_read=SILENCE_SECONDS)
        try:
            async with self._session.get(
                self._access.server + path, params=query, timeout=timeout, **self._describe_access(headers or {})
            ) as response:
                if response.status == HTTPStatus.UNAUTHORIZED:
                    self._access = self._log_in()
                if response.status >= HTTPStatus.BAD_REQUEST:
                    raise translate("watch", path, response.status, await response.read())
                async for line in split_lines(response.content):
                    yield orjson.loads(line)
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            raise ClusterError(f"watch {path}: {error or type(error).__name__}") from error

    async def _ask(
        self, method: str, path: str, body: Manifest | None, headers: Mapping[str, str], parameters: Mapping[str, str]
    ) -> tuple[int, bytes, float | None]:
        """Return an answer's status and body, and after how many seconds to ask again, if the API server is too busy."""
        asked_at_seconds = read_steady_seconds()
        try:
            async with self._session.request(
                method,
                self._access.server + path,
                params={**UNCHECKED, **parameters} if method in WRITES else parameters,
                data=None if body is None else orjson.dumps(body),
                timeout=aiohttp.ClientTimeout(total=REQUEST_TIMEOUT_SECONDS),
                **self._describe_access({"Content-Type": JSON, **headers} if body is not None else headers),
            ) as response:
                self.clock.note(response.headers.get("Date"), asked_at_seconds)
                return response.status, await response.read(), read_wait_seconds(response)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise ClusterError(f"{method} {path}: no answer: {error or type(error).__name__}") from error

    def _describe_access(self, headers: Mapping[str, str]) -> dict[str, Any]:
        access = self._access
        all_headers = {"Accept": JSON, **access.headers, **headers}
        return {"ssl": access.ssl_context, "proxy": access.proxy, "headers": all_headers}


def read_wait_seconds(response: aiohttp.ClientResponse) -> float | None:
    """Return how long an API server that has refused a request unread (429) wishes not to be asked; None when it does not say so."""
    wait = response.headers.get("Retry-After", "")
    if response.status != HTTPStatus.TOO_MANY_REQUESTS or not wait.isdecimal():
        return None
    return min(float(wait), BUSY_SECONDS)


async def split_lines(content: aiohttp.StreamReader) -> AsyncIterator[bytes]:
    """Yield the lines of a stream, however long they are."""
    rest = bytearray()
    async for chunk in content.iter_any():
        rest += chunk
        if b"\n" in chunk:
            *lines, last = rest.split(b"\n")
            rest = last
            for line in lines:
                yield bytes(line)


def translate(method: str, path: str, status: int, answer: bytes) -> ClusterError:
    """Return the operator's error for an answer of the API server, with the server's own words."""
    try:
        message = json.loads(answer)["message"]
    except (ValueError, KeyError, TypeError):
        message = "no explanation"
    said = shorten(str(message), MESSAGE_CHARACTERS)
    return find_error(status, said)(f"{method} {path}: {status}: {said}")


def find_error(status: int, message: str) -> type[ClusterError]:
    """Return the kind of error that an API server's status and words stand for."""
    if DENIED_BY_WEBHOOK.match(message):
        # With whatever status it likes: KEDA's with 404, where it does not know the Deployment yet.
        return Rejected
    return ERRORS.get(status, ClusterError)
