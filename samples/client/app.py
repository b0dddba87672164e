"""The sample app: a page for people, and a small server that keeps the key of the models. The table of contents.

Browser -> this server (who are you? how often?) -> the models' endpoints, with the app's key.
"""

from http import HTTPStatus

import structlog
from flask import Blueprint, Flask, jsonify, redirect, render_template, request, url_for
from flask_wtf import CSRFProtect
from flask_wtf.csrf import CSRFError
from werkzeug.exceptions import HTTPException
from werkzeug.middleware.proxy_fix import ProxyFix
from werkzeug.wrappers import Response

from samples.client.answers import Answers
from samples.client.errors import ClientError
from samples.client.headers import add_headers
from samples.client.issuer import Issuer
from samples.client.limits import Limits
from samples.client.models import Model
from samples.client.scoring import Scoring
from samples.client.sessions import Sessions, Visitor, configure_sessions
from samples.client.settings import Settings
from samples.client.sign_in import SignIn
from samples.client.users import Users

MAX_BODY_BYTES = 64 * 1024
OPEN = {"pages.live", "sign_in.form", "sign_in.check", "sign_in.issuer", "sign_in.callback", "sign_in.out", "static"}
"""What is for everybody; all else is for those who have signed in."""

_logger = structlog.stdlib.get_logger(__name__)


def create_app(settings: Settings) -> Flask:
    """Return the app. Raises SettingsError."""
    app = Flask(__name__)
    configure_sessions(app, settings)
    # A CSRF token is good for as long as its session.
    app.config.update(MAX_CONTENT_LENGTH=MAX_BODY_BYTES, MAX_FORM_MEMORY_SIZE=MAX_BODY_BYTES, WTF_CSRF_TIME_LIMIT=None)
    users, limits = Users(settings.users_dir), Limits(settings.requests_per_minute)
    sessions = Sessions(users, settings)
    issuer = Issuer(app, settings) if settings.oidc_issuer else None
    scoring = create_scoring(settings, sessions, limits)
    let_in(app, sessions)
    allow_pictures(app, settings.max_picture_bytes)
    # After `let_in`: who is signed out is told that, and not that a token is missing.
    CSRFProtect(app)
    app.register_blueprint(create_pages(settings, sessions))
    app.register_blueprint(SignIn(users, issuer, sessions, limits).create_pages())
    app.register_blueprint(scoring.create_pages())
    app.after_request(add_headers)
    register_errors(app)
    if settings.proxies:
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=settings.proxies, x_proto=settings.proxies)  # type: ignore[method-assign]
    return app


def create_scoring(settings: Settings, sessions: Sessions, limits: Limits) -> Scoring:
    """Return the two models as the settings name them."""

    def read_key() -> str | None:
        return settings.read_secret("api-key")

    faq, images = (
        None if url is None else Model(url, read_key, settings.timeout_seconds)
        for url in (settings.faq_url, settings.images_url)
    )
    return Scoring(faq, images, Answers(settings.answers_file), sessions, limits)


def let_in(app: Flask, sessions: Sessions) -> None:
    """Let only those who have signed in see more than the way in."""

    def check_session() -> Response | None:
        if request.endpoint in OPEN or sessions.read() is not None:
            return None
        if request.blueprint == "scoring":
            raise ClientError(401, "SignedOut", "You are signed out. Sign in again; what you typed stays here.")
        return redirect(url_for("sign_in.form"))

    app.before_request(check_session)


def allow_pictures(app: Flask, max_bytes: int) -> None:
    """Let the body of a picture be larger than others: before the CSRF token is looked for, which asks for the body."""

    def set_limit() -> None:
        if request.endpoint == "scoring.classify":
            request.max_content_length = max_bytes

    app.before_request(set_limit)


def create_pages(settings: Settings, sessions: Sessions) -> Blueprint:
    """Return the first page, and what the kubelet asks."""
    pages = Blueprint("pages", __name__)

    def index() -> str:
        visitor = sessions.read() or Visitor("", "")
        return render_template("index.html", visitor=visitor, settings=settings)

    def live() -> tuple[str, int]:
        return "Healthy", HTTPStatus.OK

    def name_app() -> dict[str, str]:
        return {"title": settings.title}

    pages.add_url_rule("/", "index", index)
    pages.add_url_rule("/healthz", "live", live)
    pages.app_context_processor(name_app)
    return pages


def register_errors(app: Flask) -> None:
    """Give every error the one shape: JSON for the page's own requests, a page for people."""
    app.register_error_handler(ClientError, answer_error)
    app.register_error_handler(CSRFError, lambda _: answer_error(OLD_PAGE))
    app.register_error_handler(HTTPException, answer_http_error)
    app.register_error_handler(Exception, answer_failure)


def answer_error(error: ClientError) -> Response:
    """Return the answer that tells an error."""
    if request.path.startswith("/api/"):
        told = {"code": error.code, "message": error.message, "retryAfter": error.retry_after}
        answer: Response = jsonify(error=told)
    else:
        answer = Response(render_template("problem.html", message=error.message), mimetype="text/html")
    answer.status_code = error.status
    if error.retry_after is not None:
        answer.headers["Retry-After"] = str(error.retry_after)
    return answer


def answer_http_error(error: HTTPException) -> Response:
    """Return the answer for what Flask and Werkzeug refuse by themselves."""
    status = error.code or HTTPStatus.INTERNAL_SERVER_ERROR
    if status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
        return answer_error(ClientError(status, "TooLarge", "That is too large for this app. Take something smaller."))
    return answer_error(ClientError(status, error.name.replace(" ", ""), error.description or error.name))


def answer_failure(error: Exception) -> Response:
    """Return the answer for a mistake of the app itself: the log has the cause, the visitor does not."""
    _logger.error("failed", path=request.path, exc_info=error)
    return answer_error(ClientError(500, "Failed", "This app has made a mistake. Please try again."))


OLD_PAGE = ClientError(400, "OldPage", "This page is too old to be used. Load it again, then try once more.")
