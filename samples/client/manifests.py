"""The Secrets of the sample app, as manifests for `kubectl apply`: a session key, a key of the models, users. Talks to no cluster."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from scoring_runtime.access.keys import hash_key, make_key

APP = "sample-client"
USERS = "sample-client-users"
MIN_PASSWORD = 12

Manifest = dict[str, Any]


@dataclass(frozen=True)
class Keyed:
    """The Secret of a model's API keys, and the name that the app has in it."""

    secret: str
    name: str = APP


def make_secrets(keyed: Keyed | None, client_secret: str | None, name: str = APP) -> list[Manifest]:
    """Return the app's Secret with a new session key, and with a new key for the models when they ask for keys.

    The models' Secret gets the key's hash only: the key itself is nowhere but in the app's.
    """
    entries = {"session-key": secrets.token_urlsafe(48)}
    if client_secret is not None:
        entries["oidc-client-secret"] = client_secret
    if keyed is None:
        return [render_secret(name, entries)]
    key = make_key()
    return [render_secret(name, {**entries, "api-key": key}), render_secret(keyed.secret, {keyed.name: hash_key(key)})]


def make_password() -> str:
    """Return a new password of 120 random bits."""
    return secrets.token_urlsafe(15)


def render_secret(name: str, entries: Mapping[str, str]) -> Manifest:
    """Return a Secret."""
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": dict(entries)}


def write_manifests(manifests: list[Manifest]) -> str:
    """Return manifests as YAML."""
    return yaml.safe_dump_all(manifests, sort_keys=False)
