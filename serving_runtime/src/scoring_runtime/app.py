"""The HTTP interface: routes parse and answer, nothing more. The only module that knows Flask and HTTP statuses."""

from importlib.metadata import version
from io import BytesIO
from time import perf_counter
from typing import IO

import orjson
import structlog
from flask import Flask, Request, Response, current_app, g, request
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge

from scoring_runtime.admission import Admission
from scoring_runtime.errors import (
    BodyTooLargeError,
    ImageTooLargeError,
    InputTooLongError,
    InvalidJsonError,
    NotReadyError,
    OverloadedError,
    RequestError,
    ScoringFailedError,
    UnsupportedMediaTypeError,
)
from scoring_runtime.metrics import Metrics
from scoring_runtime.model import ModelSlot
from scoring_runtime.settings import Settings
from scoring_runtime.tasks import RequestBody, Task

RETRY_AFTER_SECONDS = 1
JSON = "application/json"
MULTIPART = "multipart/form-data"
RAW_IMAGE = "image/*"
RAW_IMAGE_NAME = "image"

_BAD_REQUEST = 400
_STATUSES: dict[type[RequestError], int] = {
    BodyTooLargeError: 413,
    ImageTooLargeError: 413,
    InputTooLongError: 413,
    UnsupportedMediaTypeError: 415,
    ScoringFailedError: 500,
    NotReadyError: 503,
    OverloadedError: 503,
}
_RETRYABLE = (NotReadyError, OverloadedError)

_logger = structlog.stdlib.get_logger(__name__)


class _Request(Request):
    """A request whose uploads stay in memory: the body limit bounds them, and the root file system is read-only."""

    def _get_file_stream(self, *_args: object, **_options: object) -> IO[bytes]:
        return BytesIO()


class ScoringApp:
    """The routes, over one model slot. `create_app` puts them into Flask."""

    def __init__(self, settings: Settings, slot: ModelSlot, admission: Admission, metrics: Metrics) -> None:
        self._settings = settings
        self._slot = slot
        self._admission = admission
        self._metrics = metrics

    def score(self) -> Response:
        """POST /score: read the request, score it, answer `{"result": [answer, "Computed in X ms"]}`."""
        g.started = started = perf_counter()
        task = self._slot.get_model().task
        _check_kind(task)
        with self._admission.admit():
            inputs = task.read(_read_body())
            answer = self._admission.run(lambda: task.score(inputs))
        milliseconds = (perf_counter() - started) * 1000
        return _answer_json({"result": [answer, f"Computed in {milliseconds:.2f} ms"]})

    def record_request(self, response: Response) -> Response:
        """Count a scoring request, however it was answered."""
        if "started" in g:
            self._metrics.record_request(response.status_code, perf_counter() - g.started)
        return response

    def show_version(self) -> Response:
        """GET /version: the runtime's version and the model, null until it is warm."""
        model = self._slot.model
        shown = model and {
            "name": model.manifest.name,
            "version": model.manifest.version,
            "format": model.format,
            "task": model.manifest.task,
            "digest": model.digest,
            "bytes": model.size_bytes,
        }
        return _answer_json({"runtime": version("scoring-runtime"), "model": shown})

    def show_readiness(self) -> Response:
        """GET /readyz: 200 once warm and until SIGTERM."""
        self._slot.check_ready()
        return _answer_text("Ready")

    def show_metrics(self) -> Response:
        """GET /metrics: Prometheus text."""
        return Response(generate_latest(self._metrics.registry), content_type=CONTENT_TYPE_LATEST)


def create_app(settings: Settings, slot: ModelSlot, admission: Admission, metrics: Metrics) -> Flask:
    """Return the WSGI app that serves the model of `slot`."""
    app = Flask("scoring_runtime", static_folder=None)
    app.request_class = _Request
    # One more than allowed, so that a chunked body of just the allowed length can be told from a longer one.
    app.config["MAX_CONTENT_LENGTH"] = settings.max_body_bytes + 1
    app.config["MAX_FORM_MEMORY_SIZE"] = settings.max_body_bytes
    routes = ScoringApp(settings, slot, admission, metrics)
    app.add_url_rule("/score", view_func=routes.score, methods=["POST"])
    app.add_url_rule("/version", view_func=routes.show_version)
    app.add_url_rule("/readyz", view_func=routes.show_readiness)
    app.add_url_rule("/metrics", view_func=routes.show_metrics)
    app.add_url_rule("/healthz", "healthz", lambda: _answer_text("Healthy"))
    app.add_url_rule("/", "root", lambda: _answer_text("Healthy"))
    app.after_request(routes.record_request)
    app.register_error_handler(RequestError, answer_request_error)
    app.register_error_handler(HTTPException, answer_http_error)
    app.register_error_handler(Exception, answer_unexpected_error)
    return app


def answer_request_error(error: RequestError) -> Response:
    """Turn an error of the runtime into its HTTP answer."""
    response = _answer_error(error.code, error.message, _STATUSES.get(type(error), _BAD_REQUEST))
    if isinstance(error, _RETRYABLE):
        response.headers["Retry-After"] = str(RETRY_AFTER_SECONDS)
    return response


def answer_http_error(error: HTTPException) -> Response:
    """Turn an error of Flask, such as 404 and 405, into the same shape; its headers stay."""
    if isinstance(error, RequestEntityTooLarge):
        return answer_request_error(_explain_large_body())
    shape = _answer_error(error.name.replace(" ", ""), error.description or error.name, error.code or _BAD_REQUEST)
    shape.headers.extend([(key, value) for key, value in error.get_headers() if key != "Content-Type"])
    return shape


def answer_unexpected_error(error: Exception) -> Response:
    """Log an exception nobody expected and answer without its internals."""
    _logger.error("scoring failed", exc_info=error)
    return answer_request_error(ScoringFailedError("The model failed on this request: the server's log says why."))


def _check_kind(task: Task) -> None:
    """Refuse what the headers alone tell: no place in the queue is needed for that."""
    kind = request.mimetype
    general = RAW_IMAGE if kind.startswith("image/") else kind
    if general not in (JSON, *task.file_types):
        accepted = ", ".join((JSON, *task.file_types))
        given = f"Content-Type {kind!r} is not read here" if kind else "No Content-Type is given"
        raise UnsupportedMediaTypeError(f"{given}. Send one of: {accepted}.")
    if (request.content_length or 0) >= _get_hard_limit():
        raise _explain_large_body()


def _read_body() -> RequestBody:
    if request.mimetype == JSON:
        return RequestBody(payload=_parse_json(_read_bytes()))
    if request.mimetype == MULTIPART:
        parts = request.files.items(multi=True)
        return RequestBody(files=tuple((name, part.stream.read()) for name, part in parts))
    return RequestBody(files=((RAW_IMAGE_NAME, _read_bytes()),))


def _read_bytes() -> bytes:
    body = request.get_data(cache=False)
    # Of a chunked body, werkzeug reads up to its limit and silently leaves the rest.
    if len(body) >= _get_hard_limit():
        raise _explain_large_body()
    return body


def _get_hard_limit() -> int:
    limit: int = current_app.config["MAX_CONTENT_LENGTH"]
    return limit


def _parse_json(body: bytes) -> object:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise InvalidJsonError(f"The body is not JSON: {error}.") from error


def _explain_large_body() -> BodyTooLargeError:
    return BodyTooLargeError(f"The body is larger than {_get_hard_limit() - 1} bytes. Send less at once.")


def _answer_error(code: str, message: str, status: int) -> Response:
    return _answer_json({"error": {"code": code, "message": message}}, status)


def _answer_json(value: object, status: int = 200) -> Response:
    return Response(orjson.dumps(value), status, content_type=JSON)


def _answer_text(text: str) -> Response:
    return Response(text, content_type="text/plain; charset=utf-8")
