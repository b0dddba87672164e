"""Bearer tokens: JSON Web Tokens of one issuer, checked with PyJWT; what was checked is remembered by its digest.

Only algorithms with a public key are taken, so that neither `none` nor a public key used as a shared secret gets in.
"""

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from time import time
from typing import Any

import jwt
from jwt.exceptions import ExpiredSignatureError, InvalidKeyError, InvalidSignatureError, PyJWTError

from scoring_runtime.access import Caller
from scoring_runtime.access.errors import ForbiddenError, UnauthorizedError
from scoring_runtime.access.issuer import SigningKey, SigningKeys

ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
LABEL = "(token)"
"""In metrics, all tokens have one label: no name of a key has brackets."""

LEEWAY_SECONDS = 30
MAX_CHARACTERS = 16_384
MAX_REMEMBERED = 4096
_NAME_CHARACTERS = 128
_LISTED_CLAIMS = ("scope", "scp")


@dataclass(frozen=True)
class TokenRules:
    """What a token must say.

    `audiences`: one of them must be in `aud`. `required_claims`: of each claim, one of the values. `name_claim`: what the
    caller is called in logs.
    """

    issuer: str
    audiences: tuple[str, ...]
    required_claims: Mapping[str, tuple[str, ...]]
    name_claim: str = "sub"


class TokenVerifier:
    """Tells who has been given a token. Raises UnauthorizedError for one that is not valid, ForbiddenError for one that lacks a claim."""

    def __init__(self, rules: TokenRules, keys: SigningKeys, clock: Callable[[], float] = time) -> None:
        self._rules = rules
        self._keys = keys
        self._clock = clock
        self._known: OrderedDict[bytes, Caller] = OrderedDict()
        self._version = keys.version

    def open(self, pause: Callable[[float], object]) -> None:
        """Fetch the issuer's keys and keep them fresh. Raises IssuerUnavailableError."""
        self._keys.open(pause)

    def verify(self, token: str) -> Caller:
        """Return whose token it is."""
        if len(token) > MAX_CHARACTERS:
            raise _refuse("it is too long")
        known = self._get_known()
        digest = hashlib.sha256(token.encode()).digest()
        caller = known.get(digest)
        if caller is None or caller.expires is None or caller.expires <= self._clock():
            caller = known[digest] = self._verify(token)
            if len(known) > MAX_REMEMBERED:
                known.popitem(last=False)
        return caller

    def _get_known(self) -> OrderedDict[bytes, Caller]:
        """Return what was checked with the present keys: one that the issuer has withdrawn must not live on in it.

        What is checked while the keys change goes with the old ones.
        """
        version = self._keys.version
        if self._version != version:
            self._known = OrderedDict()
            self._version = version
        return self._known

    def _verify(self, token: str) -> Caller:
        claims = self._decode(token)
        for name, allowed in self._rules.required_claims.items():
            if not allowed_values(name, claims.get(name)) & set(allowed):
                raise ForbiddenError(
                    f"The token's claim {name} does not allow this: ask its issuer for one of {', '.join(allowed)}."
                )
        who = claims.get(self._rules.name_claim) or claims.get("sub") or "unnamed"
        return Caller(_write_name(who), LABEL, float(claims["exp"]) + LEEWAY_SECONDS)

    def _decode(self, token: str) -> dict[str, Any]:
        try:
            header = jwt.get_unverified_header(token)
            algorithm, keys = header.get("alg"), self._keys.find(str(header.get("kid") or ""))
            if not keys:
                raise _refuse("it is signed with a key that the issuer does not show")
            fitting = [key for key in keys if algorithm in ALGORITHMS and key.algorithm in {None, algorithm}]
            if not fitting:
                raise _refuse("its algorithm is not that of the issuer's key")
            for key in fitting[:-1]:
                with suppress(InvalidSignatureError, InvalidKeyError, TypeError):
                    return self._decode_by(key, token, str(algorithm))
            return self._decode_by(fitting[-1], token, str(algorithm))
        except ExpiredSignatureError as error:
            raise _refuse("it has expired") from error
        except (PyJWTError, ValueError, TypeError, RecursionError, OverflowError) as error:
            raise _refuse(f"it is not valid here ({type(error).__name__})") from error

    def _decode_by(self, key: SigningKey, token: str, algorithm: str) -> dict[str, Any]:
        rules = self._rules
        claims: dict[str, Any] = jwt.decode(
            token,
            key.key,
            algorithms=[algorithm],
            audience=list(rules.audiences),
            issuer=rules.issuer,
            leeway=LEEWAY_SECONDS,
            options={"require": ["exp", "iss", "aud"]},
        )
        return claims


def allowed_values(name: str, value: object) -> set[str]:
    """Return the values of a claim as texts: those of a list, the words of a scope, or the one."""
    if isinstance(value, str):
        return set(value.split()) if name in _LISTED_CLAIMS else {value}
    if isinstance(value, list):
        return {str(item) for item in value}
    return set() if value is None else {str(value).lower() if isinstance(value, bool) else str(value)}


def _write_name(claim: object) -> str:
    """Return a claim as a name for logs: one that UTF-8 can write, which half of a surrogate pair cannot be."""
    name = str(claim)[:_NAME_CHARACTERS]
    return name.encode(errors="backslashreplace").decode()[:_NAME_CHARACTERS]


def _refuse(reason: str) -> UnauthorizedError:
    return UnauthorizedError(f"The token is refused: {reason}. Get a new one from the issuer.", "invalid_token")
