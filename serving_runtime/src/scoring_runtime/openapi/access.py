"""What the OpenAPI document says of keys, tokens and limits, where an endpoint has them. Called by pages.py."""

from collections.abc import Sequence
from typing import Any

from scoring_runtime.access.gate import OPEN_PATHS
from scoring_runtime.access.settings import AccessSettings

Json = Any

_SCHEMES = {
    "bearer": {
        "type": "http",
        "scheme": "bearer",
        "description": "An API key, or a token of the issuer that this endpoint trusts.",
    },
    "apiKey": {"type": "apiKey", "in": "header", "name": "X-API-Key", "description": "An API key."},
}
_PROBLEMS = {
    "401": "No key or token, or one that is wrong, expired or revoked.",
    "403": "The key or token is not for this model.",
    "429": "One client or key asks too much: try again after Retry-After seconds.",
}
_HEADERS = {
    "401": ("WWW-Authenticate", "string"),
    "403": ("WWW-Authenticate", "string"),
    "429": ("Retry-After", "integer"),
}


def add_access(document: Json, settings: AccessSettings) -> Json:
    """Return the document of an endpoint that asks for a key or token, or has limits, on all paths but the open ones."""
    statuses = [*(("401", "403") if settings.asks_for_credentials else ()), *(("429",) if settings.has_limits else ())]
    components = document["components"]
    responses = {f"{shape}{status}": _describe(shape, status) for shape in ("Error", "Message") for status in statuses}
    guarded = {
        **document,
        "paths": {path: _guard(path, methods, statuses) for path, methods in document["paths"].items()},
        "components": {**components, "responses": {**components["responses"], **responses}},
    }
    return _add_security(guarded) if settings.asks_for_credentials else guarded


def _add_security(document: Json) -> Json:
    paths = {
        path: {method: {**operation, "security": []} for method, operation in methods.items()}
        for path, methods in document["paths"].items()
        if path in OPEN_PATHS
    }
    return {
        **document,
        "security": [{name: []} for name in _SCHEMES],
        "paths": {**document["paths"], **paths},
        "components": {**document["components"], "securitySchemes": _SCHEMES},
    }


def _guard(path: str, methods: Json, statuses: Sequence[str]) -> Json:
    if path in OPEN_PATHS:
        return methods
    shape = "Message" if path.startswith(("/v1", "/v2")) else "Error"
    problems = {status: {"$ref": f"#/components/responses/{shape}{status}"} for status in statuses}
    return {
        method: {**operation, "responses": {**operation["responses"], **problems}}
        for method, operation in methods.items()
    }


def _describe(shape: str, status: str) -> Json:
    name, kind = _HEADERS[status]
    return {
        "description": _PROBLEMS[status],
        "headers": {name: {"schema": {"type": kind}}},
        "content": {"application/json": {"schema": {"$ref": f"#/components/schemas/{shape}"}}},
    }
