"""Who sits before the browser: a signed cookie that scripts cannot read, with nothing secret in it. Above `users`.

A session ends after `session_hours`, whatever is done with it. That of a user of the app's own also ends when the user is taken
out or gets another password.
"""

import time
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from flask import Flask, session

from samples.client.settings import Settings
from samples.client.users import Users

MAX_NAME = 80


@dataclass(frozen=True)
class Visitor:
    """Somebody who has signed in: an id for counting and logs, and a name to show."""

    id: str
    name: str


def configure_sessions(app: Flask, settings: Settings) -> None:
    """Set how the cookie is signed and what the browser does with it. Raises SettingsError."""
    signing, *former = settings.read_session_keys()
    app.config.update(
        SECRET_KEY=signing,
        SECRET_KEY_FALLBACKS=former,
        # With this prefix, browsers take the cookie only from this very host over HTTPS.
        SESSION_COOKIE_NAME="__Host-session" if settings.secure_cookies else "session",
        SESSION_COOKIE_SECURE=settings.secure_cookies,
        SESSION_COOKIE_HTTPONLY=True,
        # Not Strict: the way back from the issuer would come without it.
        SESSION_COOKIE_SAMESITE="Lax",
        SESSION_REFRESH_EACH_REQUEST=False,
        PERMANENT_SESSION_LIFETIME=timedelta(hours=settings.session_hours),
    )


class Sessions:
    """Opens, reads and ends the session of the request at hand."""

    def __init__(self, users: Users, settings: Settings) -> None:
        self._users = users
        self._seconds = settings.session_hours * 3600

    def open_for_user(self, name: str) -> None:
        """Sign in a user of the app's own, whose password has been checked."""
        self._open({"user": name, "name": name, "stamp": self._users.find_stamp(name)})

    def open_for_subject(self, subject: str, name: str) -> None:
        """Sign in somebody whom the issuer knows."""
        self._open({"subject": subject, "name": name[:MAX_NAME]})

    def read(self) -> Visitor | None:
        """Return who has signed in; None when nobody has, or not any more."""
        if session.get("until", 0) <= time.time():
            return None
        if "subject" in session:
            return Visitor(f"issuer:{session['subject']}", session["name"])
        user, stamp = session.get("user"), session.get("stamp")
        if user is None or stamp is None or self._users.find_stamp(user) != stamp:
            return None
        return Visitor(f"user:{user}", session["name"])

    def end(self) -> None:
        """Sign out."""
        session.clear()

    def _open(self, content: dict[str, Any]) -> None:
        # Nothing of what went before is kept, its CSRF token included.
        session.clear()
        session.permanent = True
        session.update({**content, "until": time.time() + self._seconds})
