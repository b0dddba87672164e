"""The gate: every request passes it, over HTTP and gRPC, before anything of it is read but its headers."""

from collections.abc import Callable
from dataclasses import dataclass
from time import time
from typing import NamedTuple, Protocol

from scoring_runtime.access import Caller
from scoring_runtime.access.clients import ClientFinder
from scoring_runtime.access.errors import ForbiddenError, UnauthorizedError
from scoring_runtime.access.keys import KeyRing
from scoring_runtime.access.limits import Places, Rate, RateLimit
from scoring_runtime.access.settings import AccessSettings

OPEN_PATHS = frozenset({"/", "/healthz", "/readyz", "/metrics", "/v2/health/live", "/v2/health/ready"})
"""What probes and Prometheus ask, of everybody."""

_BEARER = "bearer "
_JWT_DOTS = 2


class Credentials(NamedTuple):
    """What a request shows of itself: two headers, the address of its connection, and what proxies say of that."""

    authorization: str | None
    api_key: str | None
    peer: str
    forwarded: str | None = None


class Visit(NamedTuple):
    """A request that was let in: from which client, and by whom when that is known."""

    client: str
    caller: Caller | None = None


class Tokens(Protocol):
    """Knows whose a token is: tokens.py, which is imported only where tokens are taken."""

    def open(self, pause: Callable[[float], object]) -> None:
        """Get ready. Raises LoadError."""

    def verify(self, token: str) -> Caller:
        """Return whose token it is. Raises UnauthorizedError or ForbiddenError."""


@dataclass(frozen=True)
class Limits:
    """How much is let in; None: as much as comes."""

    per_client: RateLimit | None = None
    per_key: RateLimit | None = None
    places: Places | None = None


class Gate:
    """Lets requests in, or raises the error that says why not. `enter` and `leave` belong together."""

    def __init__(
        self, model_name: str, clients: ClientFinder, limits: Limits, keys: KeyRing | None, tokens: Tokens | None
    ) -> None:
        self._model_name = model_name
        self._clients = clients
        self._limits = limits
        self._keys = keys
        self._tokens = tokens
        self.asks_for_credentials = keys is not None or tokens is not None

    def open(self, pause: Callable[[float], object]) -> None:
        """Follow the keys, and fetch those of the issuer; `pause` waits seconds. Raises LoadError when nobody could get in."""
        if self._keys is not None:
            self._keys.check()
            self._keys.watch()
        if self._tokens is not None:
            self._tokens.open(pause)

    def enter(self, credentials: Credentials) -> Visit:
        """Let a request in. Raises TooManyRequestsError, UnauthorizedError or ForbiddenError.

        The client's limits come first: they bound how often anybody can try, and what is refused costs next to nothing.
        """
        limits = self._limits
        client = self._clients.find(credentials.peer, credentials.forwarded)
        if limits.per_client is not None:
            limits.per_client.take(client)
        caller = self._identify(credentials) if self.asks_for_credentials else None
        if caller is not None and limits.per_key is not None:
            limits.per_key.take(f"{caller.label} {caller.name}")
        if limits.places is not None:
            limits.places.enter(client)
        return Visit(client, caller)

    def leave(self, visit: Visit) -> None:
        """Take note that a request that was let in has been answered."""
        if self._limits.places is not None:
            self._limits.places.leave(visit.client)

    def _identify(self, credentials: Credentials) -> Caller:
        shown = _read_credential(credentials)
        if self._tokens is not None and (self._keys is None or shown.count(".") == _JWT_DOTS):
            return self._tokens.verify(shown)
        caller = self._keys.find(shown) if self._keys is not None else None
        if caller is None:
            raise UnauthorizedError(
                "The API key is not known here: it is wrong, or it has been revoked.", "invalid_token"
            )
        if caller.expires <= time():
            raise UnauthorizedError("The API key has expired: ask for a new one.", "invalid_token")
        if caller.models is not None and self._model_name not in caller.models:
            raise ForbiddenError(f"The API key is not for the model {self._model_name}: ask for one that is.")
        return caller


def _read_credential(credentials: Credentials) -> str:
    if credentials.authorization is not None:
        if credentials.authorization[: len(_BEARER)].lower() == _BEARER:
            return credentials.authorization[len(_BEARER) :].strip()
        if credentials.api_key is None:
            raise UnauthorizedError(
                "The Authorization header is not of the scheme Bearer: send `Authorization: Bearer <key>`."
            )
    if credentials.api_key is not None:
        return credentials.api_key.strip()
    raise UnauthorizedError("This endpoint asks for a key: send `Authorization: Bearer <key>`, or `X-API-Key: <key>`.")


def create_gate(settings: AccessSettings, model_name: str) -> Gate | None:
    """Return the gate that the settings ask for; None when they ask for none, and every request is let in unseen."""
    limits = Limits(
        _make_limit(settings.rate_per_client, settings.burst_per_client, "this client"),
        _make_limit(settings.rate_per_key, settings.burst_per_key, "this key"),
        Places(settings.max_requests_per_client) if settings.max_requests_per_client is not None else None,
    )
    keys = None if settings.api_keys_dir is None else KeyRing(settings.api_keys_dir)
    tokens = None if settings.jwt_issuer is None else _make_tokens(settings, settings.jwt_issuer)
    if keys is None and tokens is None and limits == Limits():
        return None
    return Gate(model_name, ClientFinder(settings.trusted_proxies), limits, keys, tokens)


def _make_limit(per_second: float | None, burst: int, subject: str) -> RateLimit | None:
    return None if per_second is None else RateLimit(Rate(per_second, burst), subject)


def _make_tokens(settings: AccessSettings, issuer: str) -> Tokens:
    # Only here: the library and its cryptography cost time and memory.
    from scoring_runtime.access.issuer import SigningKeys, make_fetch  # noqa: PLC0415
    from scoring_runtime.access.tokens import TokenRules, TokenVerifier  # noqa: PLC0415

    rules = TokenRules(issuer, settings.jwt_audiences, settings.jwt_required_claims, settings.jwt_name_claim)
    keys = SigningKeys(issuer, settings.jwt_jwks_uri, make_fetch(settings.jwt_ca_file))
    return TokenVerifier(rules, keys)
