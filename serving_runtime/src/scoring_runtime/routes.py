"""The scoring routes in front of Flask: straight from WSGI to a protocol's handler and back. Used by app.py."""

import threading
from collections.abc import Iterable, Sequence
from http import HTTPStatus
from time import perf_counter, time
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

import structlog

from scoring_runtime.errors import RequestError, ScoringFailedError
from scoring_runtime.metrics import Metrics
from scoring_runtime.protocols import JSON, Handler, HttpAnswer, HttpProtocol, HttpRequest, find_status, get_retry_after
from scoring_runtime.protocols.score import write_error
from scoring_runtime.request_ids import HEADER, TRACE_HEADER, choose_request_id, find_trace_id
from scoring_runtime.request_log import RequestLog, RequestRecord

Headers = list[tuple[str, str]]
Route = tuple[HttpProtocol, Handler]

# Threads that may read bodies of refused requests at once: clients that trickle must not hold those that answer probes.
MAX_DISCARDING = 8

_STATUS_LINES = {status.value: f"{status.value} {status.phrase}" for status in HTTPStatus}
_OK = 200
_METHOD_NOT_ALLOWED = 405

_logger = structlog.stdlib.get_logger(__name__)


class ScoringRoutes:
    """A WSGI application: requests on a protocol's paths are scored, all others go on to `rest`."""

    def __init__(
        self,
        rest: WSGIApplication,
        protocols: Sequence[HttpProtocol],
        max_body_bytes: int,
        metrics: Metrics,
        log: RequestLog | None = None,
    ) -> None:
        self._rest = rest
        self._log = log
        self._max_body_bytes = max_body_bytes
        self._metrics = metrics
        self._discarding = threading.BoundedSemaphore(MAX_DISCARDING)
        self._protocols = protocols
        self._routes: dict[str, Route] = {
            path: (protocol, handler) for protocol in protocols for path, handler in protocol.routes.items()
        }

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request."""
        path = environ["PATH_INFO"]
        route = self._routes.get(path) or self._find(path)
        if route is None:
            return self._rest(environ, start_response)
        if environ["REQUEST_METHOD"] != "POST":
            return _refuse_method(start_response)
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
        request = HttpRequest(environ, self._max_body_bytes)
        request_id = choose_request_id(request.get_header(HEADER))
        failure: RequestError | None = None
        try:
            status, answer = _OK, handler(request)
        except RequestError as error:
            failure, status, answer = error, find_status(error), _write_error(protocol, error)
            self._discard(request)
        except Exception as error:
            _logger.exception("request failed", request_id=request_id, exc_info=error)
            failure = ScoringFailedError("The model failed on this request: the server's log says why.")
            status, answer = find_status(failure), _write_error(protocol, failure)
        seconds = perf_counter() - started
        self._metrics.record_request(status, seconds)
        if self._log is not None:
            trace_id = find_trace_id(request.get_header(TRACE_HEADER))
            code = failure.code if failure else None
            sizes = request.length, len(answer.body)
            self._log.add(RequestRecord(time(), request_id, protocol.name, status, seconds, *sizes, code, trace_id))
        start_response(_STATUS_LINES[status], [*_describe(answer), *answer.headers, (HEADER, request_id)])
        return [answer.body]  # a list: granian sends anything else piece by piece, through a channel

    def _discard(self, request: HttpRequest) -> None:
        if self._discarding.acquire(blocking=False):
            try:
                request.discard()
            finally:
                self._discarding.release()


def _describe(answer: HttpAnswer) -> Headers:
    return [("Content-Type", answer.content_type), ("Content-Length", str(len(answer.body)))]


def _write_error(protocol: HttpProtocol, error: RequestError) -> HttpAnswer:
    seconds = get_retry_after(error)
    headers = () if seconds is None else (("Retry-After", str(seconds)),)
    return HttpAnswer(protocol.write_error(error), JSON, headers)


def _refuse_method(start_response: StartResponse) -> Iterable[bytes]:
    body = write_error("MethodNotAllowed", "This path takes POST only.")
    headers = [*_describe(HttpAnswer(body)), ("Allow", "POST")]
    start_response(_STATUS_LINES[_METHOD_NOT_ALLOWED], headers)
    return [body]
