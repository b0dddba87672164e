"""Tokens of an issuer, signed here and checked as an issuer's would be."""

import base64
import hmac
import json
import threading
from collections.abc import Callable
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm
from structlog.testing import capture_logs

from scoring_runtime.access.errors import ForbiddenError, IssuerUnavailableError, UnauthorizedError
from scoring_runtime.access.issuer import SigningKey, SigningKeys, parse_keys
from scoring_runtime.access.tokens import TokenRules, TokenVerifier

ISSUER = "https://login.example.com/realms/shop"
JWKS_URI = "https://login.example.com/keys"
NOW = 2_000_000_000
RSA_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
EC_KEY = ec.generate_private_key(ec.SECP256R1())
ED_KEY = ed25519.Ed25519PrivateKey.generate()
OTHER_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)


def describe(algorithm: Any, key: Any, kid: str | None, **fields: str) -> dict[str, Any]:
    named = {} if kid is None else {"kid": kid}
    return {**json.loads(algorithm.to_jwk(key.public_key())), **named, **fields}


class Issuer:
    """Answers as an issuer's server does, or not at all."""

    def __init__(self, *keys: dict[str, Any]) -> None:
        self.keys = list(keys)
        self.is_away = False
        self.fetched: list[str] = []

    def fetch(self, url: str) -> Any:
        self.fetched.append(url)
        if self.is_away:
            raise IssuerUnavailableError("away")
        if url.endswith("/.well-known/openid-configuration"):
            return {"issuer": ISSUER, "jwks_uri": JWKS_URI}
        return {"keys": self.keys}


@pytest.fixture
def issuer() -> Issuer:
    return Issuer(
        describe(RSAAlgorithm, RSA_KEY, "rsa", use="sig"),
        describe(ECAlgorithm, EC_KEY, "ec", alg="ES256"),
        describe(OKPAlgorithm, ED_KEY, "ed"),
    )


@pytest.fixture
def verify(issuer: Issuer, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    return make_verifier(issuer).verify


def make_verifier(issuer: Issuer, **rules: Any) -> TokenVerifier:
    keys = SigningKeys(ISSUER, None, issuer.fetch)
    keys.refresh()
    return TokenVerifier(
        TokenRules(**{"issuer": ISSUER, "audiences": ("faq", "all"), "required_claims": {}, **rules}), keys
    )


def sign(key: Any = RSA_KEY, algorithm: str = "RS256", kid: str | None = "rsa", **claims: Any) -> str:
    content = {"iss": ISSUER, "aud": "faq", "sub": "shop", "exp": 4_000_000_000, **claims}
    kept = {name: value for name, value in content.items() if value is not None}
    return jwt.encode(kept, key, algorithm, headers={} if kid is None else {"kid": kid})


@pytest.mark.parametrize(
    "token",
    [
        sign(),
        sign(algorithm="PS384"),
        sign(EC_KEY, "ES256", "ec"),
        sign(ED_KEY, "EdDSA", "ed"),
        sign(aud=["else", "all"]),
        sign(kid=None),
        sign(EC_KEY, "ES256", None),
    ],
)
def test_token_of_the_issuer_is_let_in(verify: Callable[[str], Any], token: str) -> None:
    caller = verify(token)
    assert (caller.name, caller.label) == ("shop", "(token)")
    assert verify(token) is caller


PUBLIC_PEM = RSA_KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


@pytest.mark.parametrize(
    ("token", "reason"),
    [
        (sign(OTHER_KEY), "InvalidSignatureError"),
        (sign(kid="unknown"), "does not show"),
        (sign(exp=1_000_000_000), "expired"),
        (sign(exp=None), "MissingRequiredClaimError"),
        (sign(nbf=3_999_999_999), "ImmatureSignatureError"),
        (sign(iss="https://evil.example.com"), "InvalidIssuerError"),
        (sign(iss=None), "MissingRequiredClaimError"),
        (sign(aud="other"), "InvalidAudienceError"),
        (sign(aud=None), "MissingRequiredClaimError"),
        (sign(None, "none"), "algorithm"),
        (sign("a secret that is long enough for it", "HS256"), "algorithm"),
        (sign(algorithm="RS256", kid="ec"), "algorithm"),
        (sign(EC_KEY, "ES256", "rsa"), "not valid"),
        (sign()[:-10], "not valid"),
        (sign() + ".", "not valid"),
        ("a.b.c", "not valid"),
        ("..", "not valid"),
        ("é.é.é", "not valid"),
        ("x" * 20_000, "too long"),
    ],
)
def test_other_tokens_are_refused(verify: Callable[[str], Any], token: str, reason: str) -> None:
    with pytest.raises(UnauthorizedError, match=reason) as refused:
        verify(token)
    assert refused.value.problem == "invalid_token"
    assert token not in refused.value.message


def test_public_key_is_no_shared_secret(verify: Callable[[str], Any]) -> None:
    def encode(value: bytes) -> bytes:
        return base64.urlsafe_b64encode(value).rstrip(b"=")

    head = encode(json.dumps({"alg": "HS256", "kid": "rsa"}).encode())
    body = encode(json.dumps({"iss": ISSUER, "aud": "faq", "exp": 4_000_000_000}).encode())
    signature = encode(hmac.digest(PUBLIC_PEM, head + b"." + body, "sha256"))
    with pytest.raises(UnauthorizedError, match="algorithm"):
        verify(b".".join([head, body, signature]).decode())


@pytest.mark.parametrize(
    ("subject", "name"),
    [
        ("shöp", "shöp"),
        ("a\ud800b", "a\\ud800b"),
        ("\udfff" * 200, ("\\udfff" * 22)[:128]),
        ("x" * 200, "x" * 128),
    ],
)
def test_caller_has_a_name_that_can_be_written(verify: Callable[[str], Any], subject: str, name: str) -> None:
    found = verify(sign(sub=subject)).name
    assert found == name
    assert found.encode()


@pytest.mark.parametrize(
    ("claims", "is_allowed"),
    [
        ({"scope": "read score"}, True),
        ({"scope": "scores"}, False),
        ({"scope": ["score"]}, True),
        ({"scope": None}, False),
        ({"groups": ["score"]}, False),
    ],
)
def test_required_claim_is_asked_for(issuer: Issuer, claims: dict[str, Any], is_allowed: bool) -> None:
    verifier = make_verifier(issuer, required_claims={"scope": ("score", "admin")})
    if is_allowed:
        verifier.verify(sign(**claims))
    else:
        with pytest.raises(ForbiddenError, match="score, admin"):
            verifier.verify(sign(**claims))


def test_remembered_token_ends_with_its_time(issuer: Issuer) -> None:
    keys = SigningKeys(ISSUER, JWKS_URI, issuer.fetch)
    keys.refresh()
    now = [0.0]
    verifier = TokenVerifier(TokenRules(ISSUER, ("faq",), {}), keys, lambda: now[0])
    token = sign()
    caller = verifier.verify(token)
    now[0] = 4_000_000_031.0
    # It is checked again; the library's own clock still lets it in, as a new one.
    assert verifier.verify(token) is not caller


def test_key_that_the_issuer_takes_back_ends_remembered_tokens(issuer: Issuer) -> None:
    keys = SigningKeys(ISSUER, None, issuer.fetch)
    keys.refresh()
    verifier = TokenVerifier(TokenRules(ISSUER, ("faq",), {}), keys)
    verifier.verify(sign())
    issuer.keys = issuer.keys[1:]
    keys.refresh()
    with pytest.raises(UnauthorizedError, match="does not show"):
        verifier.verify(sign())


def test_key_that_the_issuer_replaces_under_its_name_ends_remembered_tokens(issuer: Issuer) -> None:
    keys = SigningKeys(ISSUER, None, issuer.fetch)
    keys.refresh()
    verifier = TokenVerifier(TokenRules(ISSUER, ("faq",), {}), keys)
    caller = verifier.verify(sign())
    keys.refresh()
    assert verifier.verify(sign()) is caller
    issuer.keys[0] = describe(RSAAlgorithm, OTHER_KEY, "rsa", use="sig")
    keys.refresh()
    with pytest.raises(UnauthorizedError, match="InvalidSignatureError"):
        verifier.verify(sign())


class WatchedKeys(SigningKeys):
    """Calls back when the version has risen, and between finding a key and returning it."""

    def __init__(self, issuer: Issuer) -> None:
        self.on_version: Callable[[], object] = lambda: None
        self.on_find: Callable[[], object] = lambda: None
        super().__init__(ISSUER, None, issuer.fetch)
        self.refresh()

    def __setattr__(self, name: str, value: object) -> None:
        super().__setattr__(name, value)
        if name == "version":
            self.on_version()

    def find(self, kid: str) -> tuple[SigningKey, ...]:
        keys = super().find(kid)
        self.on_find()
        return keys


def test_keys_have_changed_when_their_version_tells_so(issuer: Issuer) -> None:
    keys = WatchedKeys(issuer)
    found: list[tuple[SigningKey, ...]] = []
    keys.on_version = lambda: found.append(keys.find("rsa"))
    issuer.keys = issuer.keys[1:]
    keys.refresh()
    assert found == [()]


def test_token_that_is_checked_while_its_key_is_taken_back_is_not_remembered(issuer: Issuer) -> None:
    keys = WatchedKeys(issuer)
    verifier = TokenVerifier(TokenRules(ISSUER, ("faq",), {}), keys)
    other = sign(EC_KEY, "ES256", "ec")

    def take_back() -> None:
        keys.on_find = lambda: None
        issuer.keys = issuer.keys[1:]
        keys.refresh()
        verifier.verify(other)

    keys.on_find = take_back
    verifier.verify(sign())
    with pytest.raises(UnauthorizedError, match="does not show"):
        verifier.verify(sign())


def test_keys_are_kept_while_the_issuer_is_away(issuer: Issuer) -> None:
    keys = SigningKeys(ISSUER, None, issuer.fetch)
    keys.refresh()
    issuer.is_away = True
    with pytest.raises(IssuerUnavailableError):
        keys.refresh()
    assert keys.find("rsa")


def test_issuer_that_is_away_at_the_start_is_tried_a_few_times(issuer: Issuer) -> None:
    issuer.is_away = True
    pauses: list[float] = []
    with pytest.raises(IssuerUnavailableError):
        SigningKeys(ISSUER, JWKS_URI, issuer.fetch).open(pauses.append)
    assert pauses == [2.0, 4.0, 8.0]
    assert issuer.fetched == [JWKS_URI] * 4


def test_unknown_key_is_asked_for_and_found(issuer: Issuer) -> None:
    keys = SigningKeys(ISSUER, JWKS_URI, issuer.fetch)
    keys.open(lambda _seconds: None)
    assert not keys.find("new")
    issuer.keys.append(describe(RSAAlgorithm, OTHER_KEY, "new"))
    came = threading.Event()
    for _ in range(600):
        if keys.find("new"):
            came.set()
            break
        came.wait(0.05)
    assert came.is_set()
    # However often somebody asks for keys that are not there, the issuer is asked once in a while only.
    for number in range(1000):
        keys.find(str(number))
    assert len(issuer.fetched) <= 4


def test_keys_are_refreshed_after_whatever_went_wrong(issuer: Issuer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scoring_runtime.access.issuer.MIN_REFRESH_SECONDS", 0.01)
    answers: list[Callable[[], Any]] = [lambda: {"keys": issuer.keys}, lambda: 1 // 0]
    keys = SigningKeys(ISSUER, JWKS_URI, lambda url: answers.pop(0)() if answers else issuer.fetch(url))
    with capture_logs() as lines:
        keys.open(lambda _seconds: None)
        issuer.keys.append(describe(RSAAlgorithm, OTHER_KEY, "new"))
        pause = threading.Event()
        for _ in range(600):
            if keys.find("new"):
                break
            pause.wait(0.05)
    assert keys.find("new")
    assert [line["event"] for line in lines if line["log_level"] == "error"] == ["issuer's keys not refreshed"]


def test_only_key_without_a_name_is_used_for_tokens_without_one() -> None:
    verifier = make_verifier(Issuer(describe(RSAAlgorithm, RSA_KEY, None)))
    assert verifier.verify(sign(kid=None)).name == "shop"


@pytest.mark.parametrize("kid", [None, "same"])
def test_token_is_let_in_by_any_of_the_keys_that_it_may_be_signed_with(kid: str | None) -> None:
    """While an issuer that names no keys, or names them alike, changes to another."""
    keys = (
        describe(RSAAlgorithm, OTHER_KEY, kid),
        describe(ECAlgorithm, EC_KEY, kid),
        describe(RSAAlgorithm, RSA_KEY, kid),
    )
    verifier = make_verifier(Issuer(*keys))
    assert verifier.verify(sign(RSA_KEY, kid=kid)).name == "shop"
    assert verifier.verify(sign(OTHER_KEY, kid=kid)).name == "shop"
    assert verifier.verify(sign(EC_KEY, "ES256", kid=kid)).name == "shop"
    assert verifier.verify(sign(OTHER_KEY, kid=None)).name == "shop"
    with pytest.raises(UnauthorizedError, match="expired"):
        verifier.verify(sign(OTHER_KEY, kid=kid, exp=1))
    stranger = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    with pytest.raises(UnauthorizedError, match="InvalidSignature"):
        verifier.verify(sign(stranger, kid=kid))


@pytest.mark.parametrize(
    "document",
    [
        None,
        [],
        {},
        {"keys": None},
        {"keys": []},
        {"keys": [1]},
        {"keys": [{"kty": "oct", "k": "c2VjcmV0", "kid": "a"}]},
    ],
)
def test_key_set_without_keys_is_told(document: Any) -> None:
    with pytest.raises(IssuerUnavailableError, match="no key that signs"):
        parse_keys(document)


def test_keys_that_are_not_for_signing_are_left_out() -> None:
    broken = {"kty": "RSA", "kid": "broken", "n": "!", "e": "AQAB"}
    encryption = describe(RSAAlgorithm, OTHER_KEY, "enc", use="enc")
    assert set(parse_keys({"keys": [broken, encryption, describe(RSAAlgorithm, RSA_KEY, "rsa")]})) == {"rsa", ""}


def test_issuer_of_another_name_is_refused() -> None:
    keys = SigningKeys(ISSUER + "/", None, Issuer().fetch)
    with pytest.raises(IssuerUnavailableError, match="calls itself"):
        keys.refresh()
