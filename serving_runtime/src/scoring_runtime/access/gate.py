"""The gate: every request passes it, over HTTP and gRPC, before anything of it is read but its headers."""

from collections.abc import Callable
from dataclasses import dataclass
from time import time
from typing import Protocol

from scoring_runtime.access import Caller
from scoring_runtime.access.clients import ClientFinder
from scoring_runtime.access.errors import ForbiddenError, UnauthorizedError
from scoring_runtime.access.keys import KeyRing
from scoring_runtime.access.limits import Rate, Use, UseLimit
from scoring_runtime.access.settings import AccessSettings

OPEN_PATHS = frozenset({"/", "/healthz", "/readyz", "/metrics", "/v2/health/live", "/v2/health/ready"})
"""What probes and Prometheus ask, of everybody."""

_BEARER = "bearer"
_BEARER_AS_USUAL = "Bearer "
_JWT_DOTS = 2


Visit = tuple[Use | None, Caller | None]
"""A request that was let in: what `leave` wants back, and by whom it is when that is known."""

NOT_LET_IN: Visit = (None, None)
"""Of a request that has not been let in, or that nobody asks about."""


class Tokens(Protocol):
    """Knows whose a token is: tokens.py, which is imported only where tokens are taken."""

    def open(self, pause: Callable[[float], object]) -> None:
        """Get ready. Raises LoadError."""

    def verify(self, token: str) -> Caller:
        """Return whose token it is. Raises UnauthorizedError or ForbiddenError."""


@dataclass(frozen=True)
class Limits:
    """How much is let in; None: as much as comes."""

    per_client: UseLimit | None = None
    per_key: UseLimit | None = None


class Gate:
    """Lets requests in, or raises the error that says why not. `enter` and `leave` belong together."""

    def __init__(
        self, model_name: str, clients: ClientFinder, limits: Limits, keys: KeyRing | None, tokens: Tokens | None
    ) -> None:
        self._model_name = model_name
        self._clients = clients
        self._per_client = limits.per_client
        self._per_key = limits.per_key
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

    def enter(
        self, peer: str, authorization: str | None, api_key: str | None = None, forwarded: str | None = None
    ) -> Visit:
        """Let a request in, by the address of its connection, two headers, and what proxies say of the address.

        Raises TooManyRequestsError, UnauthorizedError or ForbiddenError. The client's limits come first: they bound how often
        anybody can try, and what is refused costs next to nothing.
        """
        per_client, per_key, clients = self._per_client, self._per_key, self._clients
        use = caller = None
        if per_client is not None:
            use = per_client.enter(clients.find(peer, clients.take_forwarded(forwarded) if forwarded else None))
        try:
            if self.asks_for_credentials:
                caller = self._identify(authorization, api_key)
                if per_key is not None:
                    per_key.enter(f"{caller.label} {caller.name}")
        except Exception:
            self.leave(use)
            raise
        return use, caller

    def leave(self, use: Use | None) -> None:
        """Take note that a request has been answered; None for one that was not let in."""
        if use is not None and self._per_client is not None:
            self._per_client.leave(use)

    def _identify(self, authorization: str | None, api_key: str | None) -> Caller:
        if authorization is not None and authorization.startswith(_BEARER_AS_USUAL):
            shown = authorization[len(_BEARER_AS_USUAL) :].strip()
        else:
            shown = _read_credential(authorization, api_key)
        # A key from elsewhere may look like a token.
        caller = self._keys.find(shown) if self._keys is not None else None
        if caller is None and self._tokens is not None and (self._keys is None or shown.count(".") == _JWT_DOTS):
            return self._tokens.verify(shown)
        if caller is None:
            raise UnauthorizedError(
                "The API key is not known here: it is wrong, or it has been revoked.", "invalid_token"
            )
        if caller.expires is not None and caller.expires <= time():
            raise UnauthorizedError("The API key has expired: ask for a new one.", "invalid_token")
        if caller.models is not None and self._model_name not in caller.models:
            raise ForbiddenError(f"The API key is not for the model {self._model_name}: ask for one that is.")
        return caller


def _read_credential(authorization: str | None, api_key: str | None) -> str:
    if authorization is not None:
        scheme, space, shown = authorization.partition(" ")
        if space and scheme.lower() == _BEARER:
            return shown.strip()
        if api_key is None:
            raise UnauthorizedError(
                "The Authorization header is not of the scheme Bearer: send `Authorization: Bearer <key>`."
            )
    if api_key is not None:
        return api_key.strip()
    raise UnauthorizedError("This endpoint asks for a key: send `Authorization: Bearer <key>`, or `X-API-Key: <key>`.")


def create_gate(settings: AccessSettings, model_name: str) -> Gate | None:
    """Return the gate that the settings ask for; None when they ask for none, and every request is let in unseen."""
    limits = Limits(
        _make_limit(
            "this client", settings.rate_per_client, settings.burst_per_client, settings.max_requests_per_client
        ),
        _make_limit("this key", settings.rate_per_key, settings.burst_per_key),
    )
    keys = None if settings.api_keys_dir is None else KeyRing(settings.api_keys_dir)
    tokens = None if settings.jwt_issuer is None else _make_tokens(settings, settings.jwt_issuer)
    if keys is None and tokens is None and limits == Limits():
        return None
    return Gate(model_name, ClientFinder(settings.trusted_proxies), limits, keys, tokens)


def _make_limit(subject: str, per_second: float | None, burst: int, most_inside: int | None = None) -> UseLimit | None:
    if per_second is None and most_inside is None:
        return None
    return UseLimit(subject, None if per_second is None else Rate(per_second, burst), most_inside)


def _make_tokens(settings: AccessSettings, issuer: str) -> Tokens:
    # Only here: the library and its cryptography cost time and memory.
    from scoring_runtime.access.issuer import SigningKeys, make_fetch  # noqa: PLC0415
    from scoring_runtime.access.tokens import TokenRules, TokenVerifier  # noqa: PLC0415

    rules = TokenRules(issuer, settings.jwt_audiences, settings.jwt_required_claims, settings.jwt_name_claim)
    keys = SigningKeys(issuer, settings.jwt_jwks_uri, make_fetch(settings.jwt_ca_file))
    return TokenVerifier(rules, keys)
