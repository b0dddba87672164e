"""The pages for signing in and out. Above `sessions`, `issuer` and `limits`; mounted by `app`.

Whoever signs in lands on the first page: no address to go to is taken from the request.
"""

from dataclasses import dataclass

import structlog
from flask import Blueprint, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from samples.client.errors import SignInError
from samples.client.issuer import Issuer
from samples.client.limits import Limits
from samples.client.sessions import Sessions
from samples.client.users import NAME, Users

Answer = Response | str

_logger = structlog.stdlib.get_logger(__name__)


@dataclass(frozen=True)
class SignIn:
    """All that signing in needs; `issuer` is None when there is none."""

    users: Users
    issuer: Issuer | None
    sessions: Sessions
    limits: Limits

    def create_pages(self) -> Blueprint:
        """Return the pages."""
        pages = Blueprint("sign_in", __name__)
        pages.add_url_rule("/sign-in", "form", self.show_form)
        pages.add_url_rule("/sign-in", "check", self.check_password, methods=["POST"])
        pages.add_url_rule("/sign-out", "out", self.sign_out, methods=["POST"])
        pages.add_url_rule("/sign-in/issuer", "issuer", self.go_to_issuer)
        pages.add_url_rule("/sign-in/issuer/callback", "callback", self.come_back)
        pages.register_error_handler(SignInError, self.show_problem)
        return pages

    def show_form(self) -> Answer:
        """GET /sign-in."""
        if self.sessions.read() is not None:
            return redirect(url_for("pages.index"))
        return self._render()

    def check_password(self) -> Answer:
        """POST /sign-in: a name and a password."""
        name, password = request.form.get("name", "").strip(), request.form.get("password", "")
        # A name that nobody can have is not kept: it may be as long as a body.
        wait = self.limits.count_sign_in(request.remote_addr or "", name if NAME.fullmatch(name) else "")
        if wait:
            _logger.warning("sign-in refused: too many tries")
            message = f"Too many tries. Wait {describe_wait(wait)}, then try again."
            raise SignInError(429, "TooManyTries", message, retry_after=wait)
        if not self.users.check(name, password):
            # Not the name that was typed: it may be a password in the wrong field.
            _logger.warning("sign-in refused: wrong name or password")
            raise SignInError(401, "WrongPassword", "Name or password is wrong.")
        self.sessions.open_for_user(name)
        _logger.info("signed in", user=name)
        return redirect(url_for("pages.index"))

    def sign_out(self) -> Answer:
        """POST /sign-out."""
        self.sessions.end()
        return redirect(url_for("sign_in.form"))

    def go_to_issuer(self) -> Answer:
        """GET /sign-in/issuer: on to the issuer."""
        return self._get_issuer().send_there()

    def come_back(self) -> Answer:
        """GET /sign-in/issuer/callback: back from it, with a code."""
        subject, name = self._get_issuer().receive()
        self.sessions.open_for_subject(subject, name)
        _logger.info("signed in by the issuer", subject=subject)
        return redirect(url_for("pages.index"))

    def show_problem(self, error: SignInError) -> Response:
        """Show the form again, with what went wrong."""
        headers = {} if error.retry_after is None else {"Retry-After": str(error.retry_after)}
        return Response(self._render(error.message), error.status, headers, mimetype="text/html")

    def _get_issuer(self) -> Issuer:
        if self.issuer is None:
            raise SignInError(404, "NoIssuer", "This app has no other sign-in service.")
        return self.issuer

    def _render(self, problem: str = "") -> str:
        has_users, has_issuer = not self.users.is_empty(), self.issuer is not None
        return render_template("sign_in.html", problem=problem, has_users=has_users, has_issuer=has_issuer)


def describe_wait(seconds: int) -> str:
    """Return a time to wait in words."""
    minutes = -(-seconds // 60)
    if minutes == 1:
        return f"{seconds} seconds" if seconds > 1 else "a second"
    return f"{minutes} minutes"
