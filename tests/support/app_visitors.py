"""A visitor of the sample app without a browser: keeps cookies, and sends the token that stands in the page."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

MakeApp = Callable[..., Flask]

NAME = "ann"
PASSWORD = "a long password"
TOKEN = re.compile(r'name="csrf-token" content="([^"]+)"')


@dataclass(frozen=True)
class Mounted:
    """The folders that are mounted into the app's pod."""

    secrets: Path
    users: Path
    answers: Path


class AppVisitor:
    """A visitor of the app over HTTPS, who keeps cookies and sends the token that stands in the page."""

    def __init__(self, app: Flask, address: str = "192.0.2.1") -> None:
        self.client: FlaskClient = app.test_client()
        self._address = address

    def get(self, path: str) -> TestResponse:
        return self.client.get(path, buffered=True, **self._where())

    def post(self, path: str, token: str | None = None, **body: Any) -> TestResponse:
        headers = {"Referer": "https://app.example.com/", "X-CSRFToken": self.read_token() if token is None else token}
        return self.client.post(path, headers=headers, **self._where(), **body)

    def read_token(self) -> str:
        page = self.client.get("/sign-in", follow_redirects=True, **self._where()).text
        found = TOKEN.search(page)
        assert found, page
        return found[1]

    def sign_in(self, name: str = NAME, password: str = PASSWORD) -> TestResponse:
        return self.post("/sign-in", data={"name": name, "password": password})

    def ask(self, question: object = "How?") -> TestResponse:
        return self.post("/api/ask", json={"question": question})

    def _where(self) -> Any:
        return {"base_url": "https://app.example.com", "environ_overrides": {"REMOTE_ADDR": self._address}}
