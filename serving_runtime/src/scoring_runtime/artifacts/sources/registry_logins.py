"""The login for a registry, from a Secret as Kubernetes keeps those for pulling images. Used by registry.py.

Which entry is meant is told as the kubelet does: https://kubernetes.io/docs/concepts/containers/images/#config-json
"""

import base64
import json
from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Any
from urllib.parse import urlsplit

from scoring_runtime.artifacts.credentials import Credentials
from scoring_runtime.errors import CredentialsMissingError

DOCKER_HUB = "docker.io"
_HUB_NAMES = ("index.docker.io", "registry-1.docker.io")
_VERSIONS = ("v1", "v2")
"""Of the registry's interface: old clients wrote them behind its name."""


def find_login(registry: str, repository: str, credentials: Credentials) -> tuple[str, str] | None:
    """Return user and password for a repository; None where the Secret has no login at all.

    Raises CredentialsMissingError when the Secret's .dockerconfigjson has none for it, or cannot be read.
    """
    config = credentials.get(".dockerconfigjson")
    if config is None:
        user, password = credentials.get("username"), credentials.get("password")
        return (user, password) if user and password else None
    try:
        entry = _find_entry(json.loads(config)["auths"], registry, repository)
        if entry.get("auth"):
            user, _, password = base64.b64decode(entry["auth"]).decode().partition(":")
            return user, password
        return str(entry["username"]), str(entry["password"])
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise CredentialsMissingError(
            "The Secret's .dockerconfigjson cannot be read: make it with `kubectl create secret docker-registry`."
        ) from error


def _find_entry(entries: Mapping[str, Any], registry: str, repository: str) -> Any:  # noqa: ANN401  # JSON
    """Return the entry with the longest path that leads to the repository; among equals, one without wildcards."""
    places = [(_split_name(name), name) for name in entries]
    fitting = [
        (len(path), "*" not in host, name)
        for (host, path), name in places
        if _fits(host, path, registry, repository.split("/"))
    ]
    if not fitting:
        raise CredentialsMissingError(
            f"The Secret's .dockerconfigjson has no entry for {registry}: add one, or correct spec.model.uri."
        )
    return entries[max(fitting)[2]]


def _split_name(name: str) -> tuple[str, list[str]]:
    """Return host and path of an entry's name: `registry.example.com/team`, also with a scheme and a version."""
    parts = urlsplit(name if "://" in name else f"//{name}")
    path = [part for part in parts.path.split("/") if part]
    return parts.netloc, path[1:] if path[:1] and path[0] in _VERSIONS else path


def _fits(host: str, path: list[str], registry: str, repository: list[str]) -> bool:
    if path != repository[: len(path)]:
        return False
    if registry == DOCKER_HUB and host in _HUB_NAMES:
        return True
    # A wildcard stands for one part of the name, as in *.example.com.
    wanted, given = host.split("."), registry.split(".")
    return len(wanted) == len(given) and all(map(_fits_part, wanted, given))


def _fits_part(wish: str, part: str) -> bool:
    # Brackets are those of an IPv6 address, not of a pattern.
    return wish == part or ("[" not in wish and fnmatchcase(part, wish))
