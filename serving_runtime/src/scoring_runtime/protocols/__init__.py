"""Protocols: how requests are read and answers written over HTTP and gRPC. One file per protocol; no Flask.

An HTTP protocol is a set of routes: paths and functions from a request to an answer. routes.py calls them straight from WSGI,
because Flask's own request handling would cost more CPU than scoring with a small model does.
"""

import contextlib
import math
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Protocol

import orjson

from scoring_runtime.access.errors import ForbiddenError, TooManyRequestsError, UnauthorizedError
from scoring_runtime.bodies import BodyReader
from scoring_runtime.errors import (
    BodyTimeoutError,
    BodyTooLargeError,
    ImageTooLargeError,
    InputTooLongError,
    InvalidJsonError,
    ModelNotFoundError,
    NotReadyError,
    OverloadedError,
    RequestError,
    ScoringFailedError,
    TooManyItemsError,
    UnsupportedEncodingError,
    UnsupportedMediaTypeError,
)

JSON = "application/json"
REALM = "scoring"

CHUNKED = "HTTP_TRANSFER_ENCODING"
"""In the environment of a request whose body's length is not announced."""

MAX_DISCARDED_BYTES = 2**20
BAD_REQUEST = 400
# Python makes no number of thousands of digits.
_LENGTH_DIGITS = 18
STATUSES: Mapping[type[RequestError], int] = {
    UnauthorizedError: 401,
    ForbiddenError: 403,
    ModelNotFoundError: 404,
    BodyTimeoutError: 408,
    BodyTooLargeError: 413,
    ImageTooLargeError: 413,
    InputTooLongError: 413,
    TooManyItemsError: 413,
    UnsupportedMediaTypeError: 415,
    UnsupportedEncodingError: 415,
    TooManyRequestsError: 429,
    ScoringFailedError: 500,
    NotReadyError: 503,
    OverloadedError: 503,
}
"""The HTTP status of an error; 400 for all others."""


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """An answer with status 200."""

    body: bytes
    content_type: str = JSON
    headers: tuple[tuple[str, str], ...] = ()


@cache
def _name_variable(header: str) -> str:
    return "HTTP_" + header.upper().replace("-", "_")


class HttpRequest:
    """A POST request, over its WSGI environment. The body is read only when asked for."""

    __slots__ = ("_environ", "_is_read", "_max_body_bytes", "_reader", "content_type", "mimetype")

    def __init__(self, environ: Mapping[str, Any], max_body_bytes: int, reader: BodyReader) -> None:
        self._environ = environ
        self._reader = reader
        self._is_read = False
        self._max_body_bytes = max_body_bytes
        self.content_type: str = environ.get("CONTENT_TYPE") or ""
        self.mimetype = self.content_type.partition(";")[0].strip().lower()

    def get_header(self, name: str) -> str | None:
        """Return a header, such as `Inference-Header-Content-Length`; None when it is missing."""
        value: str | None = self._environ.get(_name_variable(name))
        return value

    def check_encoding(self) -> None:
        """Raise UnsupportedEncodingError for a body that is compressed: a small one could become any size."""
        encoding = self._environ.get("HTTP_CONTENT_ENCODING")
        if encoding is not None and encoding.strip().lower() != "identity":
            raise UnsupportedEncodingError(f"Content-Encoding {encoding!r} is not read here: send the body as it is.")

    def check_length(self) -> None:
        """Raise BodyTooLargeError when the announced length is over the limit."""
        if self.length > self._max_body_bytes:
            raise self._explain_large_body()

    def read(self) -> bytes:
        """Return the body. Raises BodyTimeoutError, or BodyTooLargeError, also for a body whose length was not announced."""
        self.check_length()
        self._is_read = True
        body = self._read(self.length or self._max_body_bytes + 1)
        if len(body) > self._max_body_bytes:
            raise self._explain_large_body()
        return body

    def discard(self) -> None:
        """Read a body of a modest, announced length that nobody has read, and forget it.

        A client that is still sending when the answer comes and the connection ends would see the end, not the answer.
        """
        length = self.length
        if not self._is_read and 0 < length <= min(self._max_body_bytes, MAX_DISCARDED_BYTES):
            self._is_read = True
            with contextlib.suppress(BodyTimeoutError):
                self._read(length)

    def is_unread(self) -> bool:
        """Tell whether there is a body that nobody has read: the connection cannot be used again then."""
        return not self._is_read and (self.length > 0 or CHUNKED in self._environ)

    def read_json(self) -> Any:  # noqa: ANN401  # JSON
        """Return the body as JSON. Raises InvalidJsonError."""
        return parse_json(self.read())

    @property
    def length(self) -> int:
        """The body's announced length in bytes; 0 when none is."""
        return parse_length(self._environ.get("CONTENT_LENGTH") or "") or 0

    def _read(self, size: int) -> bytes:
        return self._reader.read(self._environ["wsgi.input"], size, self._environ["PATH_INFO"])

    def _explain_large_body(self) -> BodyTooLargeError:
        return BodyTooLargeError(f"The body is larger than {self._max_body_bytes} bytes. Send less at once.")


Handler = Callable[[HttpRequest], HttpAnswer]


class HttpProtocol(Protocol):
    """A protocol's routes for scoring, all POST, by path."""

    name: str
    """As the log says it."""

    routes: Mapping[str, Handler]

    def find(self, path: str) -> Handler | None:
        """Return the handler of a path that is not among `routes`, such as one that names a version; None without any."""


def parse_json(body: bytes) -> Any:  # noqa: ANN401  # JSON
    """Return the JSON value of a body. Raises InvalidJsonError."""
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise InvalidJsonError(f"The body is not JSON: {error}.") from error


def parse_length(text: str) -> int | None:
    """Return a length in bytes as a header tells it; None for what is no number. One of very many digits is as long as any can be."""
    if not text.isdecimal():
        return None
    return int(text) if len(text) <= _LENGTH_DIGITS else sys.maxsize


def find_status(error: RequestError) -> int:
    """Return the HTTP status of an error."""
    return STATUSES.get(type(error), BAD_REQUEST)


def get_retry_after(error: RequestError) -> int | None:
    """Return the seconds after which the request may work, at least 1; None where time alone changes nothing."""
    if isinstance(error, OverloadedError | TooManyRequestsError):
        return max(1, math.ceil(error.retry_after_seconds))
    return 1 if isinstance(error, NotReadyError) else None


def list_headers(error: RequestError) -> list[tuple[str, str]]:
    """Return the headers that belong to the answer of an error: when to try again, what to show, what was allowed."""
    headers = []
    seconds = get_retry_after(error)
    if seconds is not None:
        headers.append(("Retry-After", str(seconds)))
    if isinstance(error, UnauthorizedError | ForbiddenError):
        headers.append(("WWW-Authenticate", write_challenge(error.problem)))
    if isinstance(error, UnsupportedEncodingError):
        headers.append(("Accept-Encoding", "identity"))
    if isinstance(error, TooManyRequestsError) and error.policy is not None:
        name, requests, window = error.policy
        # As in draft-ietf-httpapi-ratelimit-headers: so many requests in so many seconds, none left, and more in so many.
        headers.append(("RateLimit-Policy", f'"{name}";q={requests};w={max(1, math.ceil(window))}'))
        headers.append(("RateLimit", f'"{name}";r=0;t={seconds}'))
    return headers


def write_challenge(problem: str | None) -> str:
    """Return the value of WWW-Authenticate; `problem` is RFC 6750's word for what is wrong with what was shown."""
    return f'Bearer realm="{REALM}"' + (f', error="{problem}"' if problem else "")
