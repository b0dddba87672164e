"""Why an image cannot be pulled, and what to do: read from what the container runtime says to the kubelet. Pure; used by diagnosis.py.

The operator reads no Secrets, and the kubelet asks without a login when one is missing. Where the runtime says that it had none, the message
says so; containerd 1.6 says of both only that the registry answered 401, so the message then names both causes, and the event that tells.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Symptom:
    """What the runtime says, in the words of containerd, CRI-O and Docker, and what it means; `{image}`, `{registry}` and `{secrets}` are filled in."""

    words: re.Pattern[str]
    without_secrets: str
    with_secrets: str = ""


def _say(words: str) -> re.Pattern[str]:
    return re.compile(words, re.IGNORECASE)


_NO_LOGIN = "{registry} asks for a login. Name a Secret that has one in spec.runtime.imagePullSecrets."
_NOT_THERE = (
    "{registry} asks for a login, and none was found for it in {secrets}. Each must be there in this namespace, of type "
    "kubernetes.io/dockerconfigjson, and hold a login for exactly {registry}."
)
_REFUSED = (
    "{registry} refuses the login in {secrets}, or none is there. Look that each is in this namespace (the pod's event "
    "FailedToRetrieveImagePullSecret names those that are not), holds a login for exactly {registry}, and that its password is right and its "
    "user may read the repository."
)

SYMPTOMS = (
    # Without a login, token servers give an anonymous token or refuse one; registries with a password file want a login at once.
    Symptom(_say("no basic auth credentials|anonymous token"), _NO_LOGIN, _NOT_THERE),
    Symptom(
        _say("toomanyrequests|too many requests|rate limit"),
        "{registry} lets this node pull no more for now. Wait, or pull with a login or from a mirror.",
    ),
    Symptom(
        _say(
            "40[13] |unauthorized|forbidden|authorization failed|failed to authorize|access denied|denied:|incorrect username"
        ),
        _NO_LOGIN,
        _REFUSED,
    ),
    Symptom(
        _say("not found|manifest unknown|name unknown|does not exist"),
        "{registry} has no such repository, tag or digest. Correct the name in spec.runtime.image (or in the class or the chart), or push it.",
    ),
    Symptom(
        _say("x509|tls:|certificate|HTTP response to HTTPS"),
        "this node does not trust {registry}, or speaks to it otherwise than it expects. Make the node's container runtime know its certificate.",
    ),
    Symptom(
        _say("no such host|connection refused|timeout|deadline|unreachable|dial tcp|EOF"),
        "this node does not reach {registry}. Check the registry's name, and the node's way there.",
    ),
)
UNKNOWN = "check its name, and that the nodes reach {registry}."
NEVER_PULLED = (
    "this node does not have it, and spec.runtime.imagePullPolicy is Never. Put it on the nodes, or let them pull it."
)
DEFAULT_REGISTRY = "docker.io"
SAID_CHARACTERS = 300


def explain_pull(image: str, reason: str, said: str, secrets: Sequence[str]) -> str:
    """Return a sentence about an image that cannot be pulled.

    reason, said: of the container's waiting state.
    secrets: names of the pod's pull secrets.
    """
    if reason == "ErrImageNeverPull":
        return f"Image {image} cannot be used: {NEVER_PULLED}"
    symptom = next((one for one in SYMPTOMS if one.words.search(said)), None)
    advice = UNKNOWN
    if symptom is not None:
        advice = symptom.with_secrets if secrets and symptom.with_secrets else symptom.without_secrets
    known = {"registry": find_registry(image), "secrets": f"Secret {', '.join(secrets)}"}
    quoted = f" (the node says: {shorten_said(said)})" if said else ""
    return f"Image {image} cannot be pulled: {advice.format(**known)}{quoted}"


def find_registry(image: str) -> str:
    """Return the host, with its port, of the registry that an image's name stands for."""
    host, slash, _ = image.partition("/")
    is_host = slash and ("." in host or ":" in host or host == "localhost")
    return host if is_host else DEFAULT_REGISTRY


def shorten_said(said: str) -> str:
    """Return the end of what was said, which tells the cause: what was tried stands before it."""
    return said if len(said) <= SAID_CHARACTERS else f"…{said[-SAID_CHARACTERS:]}"
