"""The HTTP interface: Flask for everything people and probes ask, routes.py in front of it for scoring.

The only module beside pages.py that knows Flask.
"""

from importlib.metadata import version

import orjson
import structlog
from flask import Flask, Response, request
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from werkzeug.exceptions import Forbidden, HTTPException

from scoring_runtime.access.gate import Gate
from scoring_runtime.batching import describe_limits
from scoring_runtime.bodies import BodyReader
from scoring_runtime.error_bodies import write_error
from scoring_runtime.errors import RequestError, ScoringFailedError
from scoring_runtime.pages import create_pages
from scoring_runtime.prefix import PathPrefix
from scoring_runtime.protocols import JSON, HttpProtocol, find_status, list_headers
from scoring_runtime.protocols.model_interface import ModelDirectory
from scoring_runtime.protocols.open_inference import OpenInferenceProtocol
from scoring_runtime.protocols.predict import PredictProtocol
from scoring_runtime.protocols.score import ScoreProtocol
from scoring_runtime.routes import Door, ScoringRoutes
from scoring_runtime.service import ScoringService
from scoring_runtime.settings import Settings
from scoring_runtime.telemetry.metrics import Metrics
from scoring_runtime.telemetry.request_log import RequestLog

_BAD_REQUEST = 400
# What proxies of HTTP add to a request, and no client can take away again.
_PROXY_HEADERS = ("X-Forwarded-For", "Forwarded", "Via")

_logger = structlog.stdlib.get_logger(__name__)


class Pages:
    """What people and probes ask about one service. `create_app` puts it into Flask."""

    def __init__(self, service: ScoringService, metrics: Metrics) -> None:
        self._service = service
        self._metrics = metrics

    def show_version(self) -> Response:
        """GET /version: the runtime's version and the model, null until it is warm."""
        model = self._service.slot.model
        shown = model and {
            "name": model.manifest.name,
            "version": model.manifest.version,
            "format": model.format,
            "task": model.manifest.task,
            "digest": model.digest,
            "bytes": model.size_bytes,
            "batching": describe_limits(self._service.batcher.limits),
            **model.report,
        }
        return _answer_json({"runtime": version("scoring-runtime"), "model": shown})

    def show_readiness(self) -> Response:
        """GET /readyz: 200 once warm and until SIGTERM."""
        self._service.slot.check_ready()
        return _answer_text("Ready")

    def show_metrics(self) -> Response:
        """GET /metrics: Prometheus text, to who asks the pod itself: a route from outside would show it to everybody."""
        if any(header in request.headers for header in _PROXY_HEADERS):
            raise Forbidden("Metrics are told to who asks the pod itself, not through a proxy: scrape the pod.")
        return Response(generate_latest(self._metrics.registry), content_type=CONTENT_TYPE_LATEST)


def create_app(
    settings: Settings,
    service: ScoringService,
    metrics: Metrics,
    log: RequestLog | None = None,
    gate: Gate | None = None,
) -> Flask:
    """Return the WSGI app that serves the model of `service` to those whom the gate lets in, and tells `log` of each scoring request."""
    app = Flask("scoring_runtime", static_folder=None)
    pages = Pages(service, metrics)
    app.add_url_rule("/version", view_func=pages.show_version)
    app.add_url_rule("/readyz", view_func=pages.show_readiness)
    app.add_url_rule("/metrics", view_func=pages.show_metrics)
    app.add_url_rule("/healthz", "healthz", lambda: _answer_text("Healthy"))
    app.add_url_rule("/", "root", lambda: _answer_text("Healthy"))
    app.register_error_handler(RequestError, answer_request_error)
    app.register_error_handler(HTTPException, answer_http_error)
    app.register_error_handler(Exception, answer_unexpected_error)
    directory = ModelDirectory(service)
    app.register_blueprint(create_pages(service, directory, settings))
    protocols: list[HttpProtocol] = [
        ScoreProtocol(service),
        OpenInferenceProtocol(service, directory),
        PredictProtocol(service, directory),
    ]
    bodies = BodyReader(settings.body_timeout_seconds, settings.max_queue + 1)
    bodies.watch()
    door = Door(settings.max_body_bytes, bodies, gate, service.slot.is_draining)
    app.wsgi_app = ScoringRoutes(app.wsgi_app, protocols, door, metrics, log)  # type: ignore[method-assign]
    if settings.path_prefix:
        app.wsgi_app = PathPrefix(app.wsgi_app, settings.path_prefix)  # type: ignore[method-assign]
    return app


def answer_request_error(error: RequestError) -> Response:
    """Turn an error of the runtime into its HTTP answer."""
    response = _answer_error(error.code, error.message, find_status(error))
    response.headers.extend(list_headers(error))
    return response


def answer_http_error(error: HTTPException) -> Response:
    """Turn an error of Flask, such as 404 and 405, into an answer of the same shape; its headers stay."""
    shape = _answer_error(error.name.replace(" ", ""), error.description or error.name, error.code or _BAD_REQUEST)
    shape.headers.extend([(key, value) for key, value in error.get_headers() if key != "Content-Type"])
    return shape


def answer_unexpected_error(error: Exception) -> Response:
    """Log an exception nobody expected and answer without its internals."""
    _logger.error("request failed", exc_info=error)
    return answer_request_error(ScoringFailedError("The server failed on this request: its log says why."))


def _answer_error(code: str, message: str, status: int) -> Response:
    return Response(write_error(request.path, code, message), status, content_type=JSON)


def _answer_json(value: object) -> Response:
    return Response(orjson.dumps(value), content_type=JSON)


def _answer_text(text: str) -> Response:
    return Response(text, content_type="text/plain; charset=utf-8")
