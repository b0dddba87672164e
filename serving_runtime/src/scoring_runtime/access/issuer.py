"""The public keys of an OpenID Connect issuer: fetched at the start, refreshed on a thread of their own, kept when it is away.

No request ever waits for the issuer: a token signed with a key that is not known yet wakes the thread, which asks at most
every `MIN_REFRESH_SECONDS`, and is refused until the key is there.
"""

import json
import ssl
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from time import monotonic
from typing import Any, NoReturn

import structlog
from jwt import PyJWK
from jwt.exceptions import PyJWTError

from scoring_runtime.access.errors import IssuerUnavailableError
from scoring_runtime.redaction import redactor

REFRESH_SECONDS = 300.0
MIN_REFRESH_SECONDS = 10.0
TIMEOUT_SECONDS = 5.0
TOTAL_SECONDS = 15.0
MAX_BYTES = 2**20
MAX_KEYS = 64
TRIES = 4
_PIECE_BYTES = 2**16


@dataclass(frozen=True)
class SigningKey:
    """A public key, and the only algorithm that the issuer uses it with, if it says so."""

    key: Any
    algorithm: str | None


Keys = Mapping[str, tuple[SigningKey, ...]]
"""By their `kid`, which an issuer may leave out, or give to several; an empty one stands for all."""

Fetch = Callable[[str], Any]

_logger = structlog.stdlib.get_logger(__name__)


class SigningKeys:
    """The issuer's keys, followed as they change."""

    def __init__(self, issuer: str, jwks_uri: str | None, fetch: Fetch) -> None:
        self._issuer = issuer
        self._jwks_uri = jwks_uri
        self._fetch = fetch
        self._keys: Keys = {}
        self._wanted = threading.Event()
        self.version = 0

    def find(self, kid: str) -> tuple[SigningKey, ...]:
        """Return the keys of a `kid`, all of them when it is empty; asks for a refresh when there are none of that name."""
        keys = self._keys.get(kid, ())
        if not keys:
            self._wanted.set()
        return keys

    def open(self, pause: Callable[[float], object]) -> None:
        """Fetch the keys, trying a few times, and refresh them from now on. Raises IssuerUnavailableError."""
        for attempt in range(TRIES):
            if attempt:
                pause(2.0**attempt)
            try:
                self.refresh()
                break
            except IssuerUnavailableError as error:
                if attempt == TRIES - 1:
                    raise
                _logger.warning("issuer's keys not fetched", reason=error.message)
        threading.Thread(target=self._follow, name="issuer", daemon=True).start()

    def refresh(self) -> None:
        """Fetch the keys now. Raises IssuerUnavailableError, and the old ones stay."""
        keys = parse_keys(self._fetch(self._jwks_uri or self._discover()))
        has_changed = keys != self._keys
        # Before the version: whoever has seen that must find the new keys alone.
        self._keys = keys
        if has_changed:
            self.version += 1
            _logger.info("issuer's keys changed", keys=len(keys))

    def _discover(self) -> str:
        document = self._fetch(f"{self._issuer.rstrip('/')}/.well-known/openid-configuration")
        found = document if isinstance(document, dict) else {}
        uri = found.get("jwks_uri")
        if found.get("issuer") != self._issuer:
            raise IssuerUnavailableError(
                f"The issuer calls itself {redactor.redact(str(found.get('issuer')))[:200]!r}: write spec.endpoint.jwt.issuer exactly so."
            )
        if not isinstance(uri, str) or not uri.startswith("https://"):
            raise IssuerUnavailableError(
                "The issuer's configuration names no https:// jwks_uri: set spec.endpoint.jwt.jwksUri."
            )
        return uri

    def _follow(self) -> NoReturn:
        pause = threading.Event()
        while True:
            self._wanted.wait(REFRESH_SECONDS)
            self._wanted.clear()
            try:
                self.refresh()
            except IssuerUnavailableError as error:
                _logger.warning("issuer's keys not refreshed", reason=error.message)
            except Exception:
                # Whatever an answer has led to: without this thread, no key would be taken back any more.
                _logger.exception("issuer's keys not refreshed")
            pause.wait(MIN_REFRESH_SECONDS)


def parse_keys(document: Any) -> Keys:  # noqa: ANN401  # JSON
    """Return the keys of a JSON Web Key Set that sign. Raises IssuerUnavailableError when there are none."""
    entries = document.get("keys") if isinstance(document, dict) else None
    keys: dict[str, tuple[SigningKey, ...]] = {}
    found: list[SigningKey] = []
    for entry in entries[:MAX_KEYS] if isinstance(entries, list) else ():
        # A set may hold keys for encryption, secrets, or kinds that are unknown here: they are not for us.
        if (
            not isinstance(entry, dict)
            or entry.get("use", "sig") != "sig"
            or entry.get("kty") not in {"RSA", "EC", "OKP"}
        ):
            continue
        try:
            key = SigningKey(PyJWK.from_dict(entry).key, entry.get("alg"))
        except (PyJWTError, ValueError, TypeError, KeyError):
            _logger.warning("issuer's key left out", kid=str(entry.get("kid"))[:100])
            continue
        kid = str(entry.get("kid") or "")
        keys[kid] = (*keys.get(kid, ()), key)
        found.append(key)
    if not found:
        raise IssuerUnavailableError("The issuer's key set holds no key that signs: check spec.endpoint.jwt.jwksUri.")
    return {**keys, "": tuple(found)}


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_arguments: Any) -> None:
        """Follow none: the answer becomes an error of its status."""


def make_fetch(ca_file: Path | None) -> Fetch:
    """Return a function that fetches JSON over https, within limits of time and size. It raises IssuerUnavailableError."""
    try:
        context = ssl.create_default_context(cafile=None if ca_file is None else str(ca_file))
    except (OSError, ssl.SSLError) as error:
        raise IssuerUnavailableError(f"The CA bundle of spec.endpoint.jwt.caBundle cannot be read: {error}.") from error
    opener = urllib.request.build_opener(urllib.request.HTTPSHandler(context=context), _NoRedirects())

    def fetch(url: str) -> Any:  # noqa: ANN401  # JSON
        shown = redactor.redact(url)
        if not url.startswith("https://"):
            raise IssuerUnavailableError(f"{shown} is not an https:// address: correct it.")
        try:
            with opener.open(url, timeout=TIMEOUT_SECONDS) as answer:
                return json.loads(_read(answer.read1))
        except urllib.error.HTTPError as error:
            raise IssuerUnavailableError(f"{shown} answered {error.code}: check spec.endpoint.jwt.") from error
        except (OSError, ValueError, RecursionError, HTTPException) as error:
            reason = getattr(error, "reason", error)
            raise IssuerUnavailableError(f"{shown} cannot be read: {redactor.redact(str(reason))[:200]}.") from error

    return fetch


def _read(read: Callable[[int], bytes]) -> bytes:
    until = monotonic() + TOTAL_SECONDS
    body = b""
    while piece := read(_PIECE_BYTES):
        body += piece
        if len(body) > MAX_BYTES:
            raise ValueError(f"it has more than {MAX_BYTES} bytes")
        if monotonic() > until:
            raise TimeoutError(f"it takes longer than {TOTAL_SECONDS:g} s")
    return body
