"""The scoring routes in front of Flask: through the gate, straight from WSGI to a protocol's handler and back. Used by app.py."""

import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from io import BytesIO
from time import perf_counter, time
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

import structlog

from scoring_runtime.access.gate import NOT_LET_IN, OPEN_PATHS, Gate, Visit
from scoring_runtime.bodies import BodyReader
from scoring_runtime.error_bodies import write_error
from scoring_runtime.errors import OverloadedError, RequestError, ScoringFailedError
from scoring_runtime.protocols import (
    CHUNKED,
    JSON,
    Handler,
    HttpAnswer,
    HttpProtocol,
    HttpRequest,
    find_status,
    list_headers,
)
from scoring_runtime.telemetry.metrics import Metrics
from scoring_runtime.telemetry.request_ids import HEADER, TRACE_HEADER, choose_request_id, find_trace_id
from scoring_runtime.telemetry.request_log import RequestLog
from scoring_runtime.telemetry.request_record import RequestRecord

Headers = list[tuple[str, str]]
Route = tuple[HttpProtocol, Handler]

# Threads that may read bodies of refused requests at once: clients that trickle must not hold those that answer probes.
MAX_DISCARDING = 8
# The same of those that read bodies for Flask.
MAX_PAGE_BODIES = 8

MAX_PAGE_BODY_BYTES = 2**16
# Said where a body is left unread, and while the server drains: it ends such a connection, and a client that does not know would
# ask there again.
CLOSE = ("Connection", "close")

_STATUS_LINES = {status.value: f"{status.value} {status.phrase}" for status in HTTPStatus}
_OK = 200
_METHOD_NOT_ALLOWED = 405

_logger = structlog.stdlib.get_logger(__name__)


@dataclass(frozen=True)
class Door:
    """What requests have to pass: the most bytes of a body, the reader that gives it so much time, and the gate, if any."""

    max_body_bytes: int
    bodies: BodyReader
    gate: Gate | None = None
    is_draining: Callable[[], bool] = lambda: False
    """Whether clients should ask elsewhere from now on: a connection that is kept would be cut under their next request."""


class ScoringRoutes:
    """A WSGI application: requests on a protocol's paths are scored, all others go on to `rest`."""

    def __init__(
        self,
        rest: WSGIApplication,
        protocols: Sequence[HttpProtocol],
        door: Door,
        metrics: Metrics,
        log: RequestLog | None = None,
    ) -> None:
        self._rest = rest
        self._door = door
        self._gate = door.gate
        self._log = log
        self._metrics = metrics
        self._discarding = threading.BoundedSemaphore(MAX_DISCARDING)
        self._page_bodies = threading.BoundedSemaphore(MAX_PAGE_BODIES)
        self._protocols = protocols
        self._routes: dict[str, Route] = {
            path: (protocol, handler) for protocol in protocols for path, handler in protocol.routes.items()
        }

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request."""
        path = environ["PATH_INFO"]
        route = self._routes.get(path) or self._find(path)
        if route is None:
            return self._pass_on(path, environ, start_response, self._rest)
        if environ["REQUEST_METHOD"] != "POST":
            return self._pass_on(path, environ, start_response, _refuse_method)
        return self._score(*route, environ, start_response)

    def _find(self, path: str) -> Route | None:
        found = ((protocol, protocol.find(path)) for protocol in self._protocols)
        return next(((protocol, handler) for protocol, handler in found if handler is not None), None)

    def _score(
        self,
        protocol: HttpProtocol,
        handler: Handler,
        environ: WSGIEnvironment,
        start_response: StartResponse,
    ) -> Iterable[bytes]:
        started = perf_counter()
        request = HttpRequest(environ, self._door.max_body_bytes, self._door.bodies)
        request_id = choose_request_id(request.get_header(HEADER))
        use, caller = NOT_LET_IN
        failure: RequestError | None = None
        try:
            if self._gate is not None:
                use, caller = _enter(self._gate, environ)
            request.check_encoding()
            status, answer = _OK, handler(request)
        except RequestError as error:
            failure, status, answer = error, find_status(error), _write_error(environ["PATH_INFO"], error)
            self._discard(request)
        except Exception as error:
            _logger.exception("request failed", request_id=request_id, exc_info=error)
            failure = ScoringFailedError("The model failed on this request: the server's log says why.")
            status, answer = find_status(failure), _write_error(environ["PATH_INFO"], failure)
        finally:
            if self._gate is not None:
                self._gate.leave(use)
        told = perf_counter() - started, request.length, len(answer.body), failure.code if failure else None
        trace_id = find_trace_id(request.get_header(TRACE_HEADER))
        self._tell(RequestRecord(time(), request_id, protocol.name, status, *told, trace_id, caller))
        is_last = (failure is not None and request.is_unread()) or self._door.is_draining()
        ending = [CLOSE] if is_last else []
        start_response(_STATUS_LINES[status], [*_describe(answer), *answer.headers, (HEADER, request_id), *ending])
        return [answer.body]  # a list: granian sends anything else piece by piece, through a channel

    def _tell(self, record: RequestRecord) -> None:
        self._metrics.record_request(record)
        if self._log is not None:
            self._log.add(record)

    def _pass_on(
        self, path: str, environ: WSGIEnvironment, start_response: StartResponse, rest: WSGIApplication
    ) -> Iterable[bytes]:
        """Let `rest` answer who passes the gate, with a body that is there already, since it would wait without end."""
        try:
            if self._gate is not None and path not in OPEN_PATHS:
                self._gate.leave(_enter(self._gate, environ)[0])
            if environ.get("CONTENT_LENGTH") or CHUNKED in environ:
                environ = self._fetch_body(environ)
        except RequestError as error:
            answer = _write_error(path, error)
            start_response(_STATUS_LINES[find_status(error)], [*_describe(answer), *answer.headers, CLOSE])
            return [answer.body]
        return rest(environ, start_response)

    def _fetch_body(self, environ: WSGIEnvironment) -> WSGIEnvironment:
        """Return the environment with its body in memory. Raises RequestError, also when too many of these are on their way."""
        if not self._page_bodies.acquire(blocking=False):
            raise OverloadedError("Too many bodies for other paths than those that score: try again later.")
        try:
            body = HttpRequest(environ, MAX_PAGE_BODY_BYTES, self._door.bodies).read()
        finally:
            self._page_bodies.release()
        whole = {**environ, "wsgi.input": BytesIO(body), "CONTENT_LENGTH": str(len(body))}
        whole.pop(CHUNKED, None)
        return whole

    def _discard(self, request: HttpRequest) -> None:
        if self._discarding.acquire(blocking=False):
            try:
                request.discard()
            finally:
                self._discarding.release()


def _describe(answer: HttpAnswer) -> Headers:
    return [("Content-Type", answer.content_type), ("Content-Length", str(len(answer.body)))]


def _write_error(path: str, error: RequestError) -> HttpAnswer:
    return HttpAnswer(write_error(path, error.code, error.message), JSON, tuple(list_headers(error)))


def _enter(gate: Gate, environ: WSGIEnvironment) -> Visit:
    get = environ.get
    peer, forwarded = get("REMOTE_ADDR") or "", get("HTTP_X_FORWARDED_FOR")
    return gate.enter(peer, get("HTTP_AUTHORIZATION"), get("HTTP_X_API_KEY"), forwarded)


def _refuse_method(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    body = write_error(environ["PATH_INFO"], "MethodNotAllowed", "This path takes POST only.")
    headers = [*_describe(HttpAnswer(body)), ("Allow", "POST")]
    start_response(_STATUS_LINES[_METHOD_NOT_ALLOWED], headers)
    return [body]
