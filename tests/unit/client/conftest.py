"""The sample app, with a user and a key, in front of a model's endpoint that answers as a test says."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from argon2 import PasswordHasher
from flask import Flask

from app_visitors import NAME, PASSWORD, AppVisitor, MakeApp, Mounted
from samples.client.app import create_app
from samples.client.settings import Settings
from scripted_models import ScriptedModel, run_scripted_model

API_KEY = "the key of the model"


@pytest.fixture
def model() -> Iterator[ScriptedModel]:
    """Yield a model's endpoint."""
    with run_scripted_model() as model:
        yield model


@pytest.fixture(scope="session")
def password_hash() -> str:
    """Return a hash of the password that is checked soon: how slow it is stands in the hash itself."""
    return PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(PASSWORD)


@pytest.fixture
def mounted(tmp_path: Path, password_hash: str) -> Mounted:
    """Return folders with a session key, an API key, the user ann, and a text for an answer."""
    folders = Mounted(tmp_path / "secrets", tmp_path / "users", tmp_path / "answers.json")
    folders.secrets.mkdir()
    folders.users.mkdir()
    (folders.secrets / "session-key").write_text("k" * 48)
    (folders.secrets / "api-key").write_text(f"{API_KEY}\n")
    (folders.users / NAME).write_text(password_hash)
    folders.answers.write_text(json.dumps({"1501": {"title": "== or ===?", "answer": "Use `===`."}}))
    return folders


@pytest.fixture
def make_app(mounted: Mounted, model: ScriptedModel) -> MakeApp:
    """Return a function that makes the app; settings replace the defaults."""

    def make(**settings: Any) -> Flask:
        defaults = {
            "faq_url": model.url,
            "images_url": model.url,
            "secrets_dir": mounted.secrets,
            "users_dir": mounted.users,
            "answers_file": mounted.answers,
        }
        return create_app(Settings(**{**defaults, **settings}))

    return make


@pytest.fixture
def visitor(make_app: MakeApp) -> AppVisitor:
    """Return somebody who has not signed in."""
    return AppVisitor(make_app())


@pytest.fixture
def ann(visitor: AppVisitor) -> AppVisitor:
    """Return the user ann, signed in."""
    assert visitor.sign_in().location == "/"
    return visitor
