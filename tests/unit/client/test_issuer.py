"""Signing in at a real OpenID Connect issuer process of the tests: authorization code with PKCE."""

from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from app_visitors import AppVisitor, MakeApp, Mounted
from oidc_issuers import OidcIssuer, run_issuer

PUBLIC_URL = "https://app.example.com"


@pytest.fixture
def issuer() -> Iterator[OidcIssuer]:
    """Yield an issuer."""
    with run_issuer() as issuer:
        yield issuer


@pytest.fixture
def visitor(make_app: MakeApp, issuer: OidcIssuer, mounted: Mounted) -> AppVisitor:
    """Return a visitor of the app that knows the issuer, and asks for a claim."""
    (mounted.secrets / "oidc-client-secret").write_text(issuer.client_secret)
    app = make_app(
        public_url=PUBLIC_URL,
        oidc_issuer=issuer.address,
        oidc_client_id=issuer.client_id,
        oidc_required_claims={"groups": ["scoring", "admins"]},
    )
    issuer.claims["groups"] = ["all", "scoring"]
    return AppVisitor(app)


def go(visitor: AppVisitor) -> dict[str, str]:
    """Go to the issuer, be approved, and return the query with which the browser comes back."""
    there = visitor.get("/sign-in/issuer").location
    assert there is not None
    back = httpx.get(there.replace("/authorize?", "/approve?")).headers["Location"]
    assert back.startswith(f"{PUBLIC_URL}/sign-in/issuer/callback?")
    return {name: values[0] for name, values in parse_qs(urlsplit(back).query).items()}


def come_back(visitor: AppVisitor, query: dict[str, str]) -> Any:
    return visitor.get("/sign-in/issuer/callback?" + "&".join(f"{name}={value}" for name, value in query.items()))


def test_somebody_whom_the_issuer_knows_signs_in(visitor: AppVisitor, issuer: OidcIssuer) -> None:
    assert "Sign in with your organisation" in visitor.get("/sign-in").text
    query = go(visitor)
    assert come_back(visitor, query).location == "/"
    assert ">Ann<" in visitor.get("/").text
    assert visitor.ask().status_code == 200
    assert issuer.refused == []


def test_redirect_carries_a_challenge_and_no_secret(visitor: AppVisitor, issuer: OidcIssuer) -> None:
    there = visitor.get("/sign-in/issuer").location or ""
    asked = parse_qs(urlsplit(there).query)
    assert asked["code_challenge_method"] == ["S256"]
    assert asked["response_type"] == ["code"]
    assert asked["redirect_uri"] == [f"{PUBLIC_URL}/sign-in/issuer/callback"]
    assert issuer.client_secret not in there


def test_code_is_good_once(visitor: AppVisitor, issuer: OidcIssuer) -> None:
    query = go(visitor)
    come_back(visitor, query)
    visitor.post("/sign-out")
    assert come_back(visitor, query).status_code == 502
    assert visitor.get("/").location == "/sign-in"


def test_code_of_somebody_elses_browser_is_not_taken(visitor: AppVisitor, make_app: MakeApp) -> None:
    query = go(visitor)
    other = AppVisitor(visitor.client.application)
    assert come_back(other, query).status_code == 502
    assert come_back(other, {**query, "state": "forged"}).status_code == 502
    assert other.get("/").location == "/sign-in"


@pytest.mark.parametrize(
    "claims",
    [
        {"iss": "https://evil.example.com"},
        {"aud": "another app"},
        {"nonce": "of another sign-in"},
        {"exp": 1_000_000_000, "iat": 999_999_000},
    ],
)
def test_token_that_is_not_for_this_sign_in_is_refused(
    visitor: AppVisitor, issuer: OidcIssuer, claims: dict[str, Any]
) -> None:
    issuer.claims.update(claims)
    assert come_back(visitor, go(visitor)).status_code == 502
    assert visitor.get("/").location == "/sign-in"


@pytest.mark.parametrize("groups", [None, [], ["all"], "others"])
def test_somebody_without_the_claim_is_not_let_in(visitor: AppVisitor, issuer: OidcIssuer, groups: object) -> None:
    issuer.claims["groups"] = groups
    answer = come_back(visitor, go(visitor))
    assert answer.status_code == 403
    assert "this app is not for you" in answer.text
    assert visitor.get("/").location == "/sign-in"


def test_issuer_that_calls_itself_otherwise_is_not_used(visitor: AppVisitor, issuer: OidcIssuer) -> None:
    issuer.document["issuer"] = "https://evil.example.com"
    answer = visitor.get("/sign-in/issuer")
    assert answer.status_code == 502
    assert "does not answer" in answer.text
    issuer.document.clear()
    assert visitor.get("/sign-in/issuer").status_code == 302


@pytest.mark.parametrize("offered", [["none"], ["HS256", "none"]])
def test_issuer_that_signs_with_a_secret_or_not_at_all_is_not_used(
    visitor: AppVisitor, issuer: OidcIssuer, offered: list[str]
) -> None:
    issuer.document["id_token_signing_alg_values_supported"] = offered
    assert visitor.get("/sign-in/issuer").status_code == 502


def test_issuer_whose_name_ends_in_a_slash_is_called_so(make_app: MakeApp, issuer: OidcIssuer) -> None:
    issuer.document["issuer"] = issuer.claims["iss"] = f"{issuer.address}/"
    app = make_app(public_url=PUBLIC_URL, oidc_issuer=f"{issuer.address}/", oidc_client_id=issuer.client_id)
    assert AppVisitor(app).get("/sign-in/issuer").status_code == 302


def test_issuer_that_is_away_is_told_and_asked_again(make_app: MakeApp) -> None:
    with run_issuer() as gone:
        address = gone.address
    app = make_app(public_url=PUBLIC_URL, oidc_issuer=address, oidc_client_id="sample-client")
    answer = AppVisitor(app).get("/sign-in/issuer")
    assert answer.status_code == 502
    assert "Please try again in a minute" in answer.text


def test_refusal_of_the_issuer_is_told_without_its_words(visitor: AppVisitor) -> None:
    answer = visitor.get("/sign-in/issuer/callback?error=access_denied&error_description=%3Cscript%3E")
    assert answer.status_code == 502
    assert "script>" not in answer.text.replace("<script type", "")
    assert "Please try again" in answer.text


def test_app_without_issuer_has_no_such_way(make_app: MakeApp) -> None:
    visitor = AppVisitor(make_app())
    assert "organisation" not in visitor.get("/sign-in").text
    assert visitor.get("/sign-in/issuer").status_code == 404
    assert visitor.get("/sign-in/issuer/callback").status_code == 404
