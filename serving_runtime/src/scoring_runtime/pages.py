"""What clients ask about the model over HTTP: the GET routes of the protocols, the OpenAPI document and its page.

The only module beside app.py that knows Flask; app.py mounts it.
"""

from importlib.metadata import version
from typing import Any

import orjson
from flask import Blueprint, Response, render_template, request

from scoring_runtime.errors import InvalidInputError, NotReadyError
from scoring_runtime.openapi.access import add_access
from scoring_runtime.openapi.document import describe_api, list_operations
from scoring_runtime.protocols import JSON, parse_json
from scoring_runtime.protocols.model_interface import ModelDirectory, ModelInterface, describe_tensors
from scoring_runtime.protocols.predict import describe_signature
from scoring_runtime.service import ScoringService
from scoring_runtime.settings import Settings

EXTENSIONS = ["binary_tensor_data", "model_repository"]
# The page loads its style sheet and nothing else: no script runs in it, whatever a manifest says.
PAGE_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}

Json = Any


def create_pages(service: ScoringService, directory: ModelDirectory, settings: Settings) -> Blueprint:
    """Return the pages of one service. They raise RequestError, which app.py answers."""
    pages = Blueprint(
        "pages", __name__, template_folder="templates", static_folder="static", static_url_path="/docs/static"
    )
    inference = InferencePages(service, directory)
    pages.add_url_rule("/v2", "server", inference.describe_server)
    pages.add_url_rule("/v2/health/live", "live", inference.show_life)
    pages.add_url_rule("/v2/health/ready", "ready", inference.show_readiness)
    for path in ("/v2/models/<name>", "/v2/models/<name>/versions/<version>"):
        pages.add_url_rule(path, "model", inference.describe_model)
        pages.add_url_rule(f"{path}/ready", "model-ready", inference.show_model_readiness)
    pages.add_url_rule("/v2/repository/index", "index", inference.list_models, methods=["POST"])
    for verb in ("load", "unload"):
        path = f"/v2/repository/models/<name>/{verb}"
        pages.add_url_rule(path, "repository", inference.refuse_change, methods=["POST"])
    predict = PredictPages(service, directory)
    for path in ("/v1/models/<name>", "/v1/models/<name>/versions/<version>"):
        pages.add_url_rule(path, "status", predict.show_status)
        pages.add_url_rule(f"{path}/metadata", "metadata", predict.describe_model)
    documents = DocumentPages(service, directory, settings)
    pages.add_url_rule("/openapi.json", "openapi", documents.show_document)
    pages.add_url_rule("/docs", "docs", documents.show_page)
    return pages


class InferencePages:
    """The Open Inference Protocol's GET routes, and what a server of one fixed model can say of its repository."""

    def __init__(self, service: ScoringService, directory: ModelDirectory) -> None:
        self._service = service
        self._directory = directory

    def describe_server(self) -> Response:
        """GET /v2: who answers here."""
        name = "scoring-runtime"
        return _answer({"name": name, "version": version(name), "extensions": EXTENSIONS})

    def show_life(self) -> Response:
        """GET /v2/health/live: 200 while the process works."""
        return _answer({"live": True})

    def show_readiness(self) -> Response:
        """GET /v2/health/ready: 200 once warm and until SIGTERM."""
        self._service.slot.check_ready()
        return _answer({"ready": True})

    def describe_model(self, name: str, version: str | None = None) -> Response:
        """GET /v2/models/<name>: the tensors that the model takes and gives."""
        interface = self._directory.find(name, version)
        return _answer(
            {
                "name": interface.name,
                "versions": [interface.version],
                "platform": interface.platform,
                "inputs": describe_tensors(interface.inputs.values()),
                "outputs": describe_tensors(interface.outputs.values()),
                "parameters": _describe_labels(self._service),
            }
        )

    def show_model_readiness(self, name: str, version: str | None = None) -> Response:
        """GET /v2/models/<name>/ready: as of the server."""
        interface = self._directory.check_ready(name, version)
        return _answer({"name": interface.name, "ready": True})

    def list_models(self) -> Response:
        """POST /v2/repository/index: the one model. Raises InvalidJsonError; no body asks for all."""
        problem = _find_problem(self._service)
        model = self._service.slot.model
        entry = {
            "name": self._directory.name,
            "version": model.manifest.version if model else "",
            "state": "UNAVAILABLE" if problem else "READY",
            "reason": problem,
        }
        body = request.get_data().strip()
        asked = parse_json(body) if body else None
        is_hidden = bool(problem) and isinstance(asked, dict) and asked.get("ready") is True
        return _answer([] if is_hidden else [entry])

    def refuse_change(self, name: str) -> Response:
        """POST /v2/repository/models/<name>/load and /unload: another model is another pod."""
        self._directory.check_name(name)
        raise InvalidInputError(
            "This server serves one model from its start to its end: change spec.model of the ScoringModel instead."
        )


class PredictPages:
    """TensorFlow Serving's GET routes."""

    def __init__(self, service: ScoringService, directory: ModelDirectory) -> None:
        self._service = service
        self._directory = directory

    def show_status(self, name: str, version: str | None = None) -> Response:
        """GET /v1/models/<name>: 200 also while the model is loaded; the state tells."""
        self._directory.check_name(name)
        model = self._service.slot.model
        if model is not None:
            self._directory.find(name, version)
        problem = _find_problem(self._service)
        state = "LOADING" if model is None else "UNLOADING" if problem else "AVAILABLE"
        status = {
            "version": model.manifest.version if model else version or "",
            "state": state,
            "status": {"error_code": "OK", "error_message": problem},
        }
        return _answer({"model_version_status": [status]})

    def describe_model(self, name: str, version: str | None = None) -> Response:
        """GET /v1/models/<name>/metadata: the signature, in TensorFlow's words."""
        return _answer(describe_signature(self._directory.find(name, version)))


class DocumentPages:
    """The OpenAPI document of the served model, and a page that shows it."""

    def __init__(self, service: ScoringService, directory: ModelDirectory, settings: Settings) -> None:
        self._service = service
        self._directory = directory
        self._settings = settings
        self._shown: tuple[ModelInterface, Json] | None = None

    def show_document(self) -> Response:
        """GET /openapi.json."""
        return _answer(self._get_document())

    def show_page(self) -> Response:
        """GET /docs."""
        document = self._get_document()
        page = render_template("docs.html", api=document, operations=list_operations(document))
        return Response(page, headers=PAGE_HEADERS, content_type="text/html; charset=utf-8")

    def _get_document(self) -> Json:
        interface = self._directory.get()
        if self._shown is None or self._shown[0] is not interface:
            model = self._service.get_model()
            limit, prefix = self._settings.max_body_bytes, self._settings.path_prefix
            self._shown = interface, add_access(describe_api(model, interface, limit, prefix), self._settings)
        return self._shown[1]


def _find_problem(service: ScoringService) -> str:
    """Return why no new requests should be sent here; an empty text when they should."""
    try:
        service.slot.check_ready()
    except NotReadyError as error:
        return error.message
    return ""


def _describe_labels(service: ScoringService) -> Json:
    """Return the model's task and, where the manifest lists them, the labels in class order."""
    manifest = service.get_model().manifest
    labels = {"labels": list(manifest.labels)} if isinstance(manifest.labels, tuple) else {}
    return {"task": manifest.task, **labels}


def _answer(value: Json) -> Response:
    return Response(orjson.dumps(value), content_type=JSON)
