"""Who may ask an endpoint and how much: the parts of spec.endpoint about keys, tokens and limits."""

import math
from collections.abc import Mapping
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import Field, field_validator

from scoring_operator.api.base import ApiModel, Cidr, DnsName, TextRule, cel, validated

RATE_TOO_LOW = "requestsPerSecond must be at least 0.001; to let nobody in, scale the model to 0"
HTTPS_PATTERN = "^https://([^]/:?#@[]+|[^]A-Za-z0-9:/?#@][0-9A-Fa-f:.]+])(:[0-9]{1,5})?(/[^?#]*)?$"
ISSUER_RULE = TextRule(
    HTTPS_PATTERN, "issuer must be https://host/path as the issuer itself writes it, without user, query and fragment"
)
JWKS_RULE = TextRule(HTTPS_PATTERN, "jwksUri must be https://host/path, without user, query and fragment")

Claim = Annotated[str, Field(min_length=1, max_length=256)]


class ApiKeys(ApiModel):
    """API keys: a Secret with one entry for each name, which holds hashes only."""

    secret_name: DnsName = Field(
        description=(
            "Name of a Secret of the same namespace. Each of its entries is a key's name with lines `sha256:<hex> [expires=<time>] "
            "[models=<names>]`, as `scoring-runtime keys new` writes them. Changes take effect without a restart."
        )
    )


class CaBundle(ApiModel):
    """Certificates of a certificate authority that is not a public one."""

    config_map_name: DnsName = Field(description="Name of a ConfigMap of the same namespace.")
    key: str = Field(
        "ca.crt",
        min_length=1,
        max_length=253,
        pattern=r"^[-._a-zA-Z0-9]+$",
        description="Its entry with PEM certificates.",
    )


class Jwt(ApiModel):
    """Bearer tokens (JSON Web Tokens) of an OpenID Connect issuer."""

    issuer: str = Field(
        max_length=1024,
        description="The issuer, exactly as in its tokens' claim `iss`, such as https://login.example.com/realms/shop.",
        json_schema_extra=validated(ISSUER_RULE.render()),
    )
    audiences: tuple[Claim, ...] = Field(
        min_length=1, max_length=16, description="A token must be for one of these (claim `aud`)."
    )
    jwks_uri: str | None = Field(
        None,
        max_length=1024,
        description="Where the issuer's public keys are. Left out: where its /.well-known/openid-configuration says.",
        json_schema_extra=validated(JWKS_RULE.render()),
    )
    required_claims: (
        Annotated[Mapping[str, Annotated[tuple[Claim, ...], Field(min_length=1, max_length=32)]], Field(max_length=16)]
        | None
    ) = Field(
        None,
        description="Claims that a token must have, each with one of these values: of `scope` and `scp` one word, of a list one member.",
    )
    name_claim: Claim = Field("sub", description="The claim by which a caller is named in logs.")
    ca_bundle: CaBundle | None = Field(
        None, description="Certificates by which the issuer's server is known. Left out: the public authorities."
    )

    @field_validator("issuer")
    @classmethod
    def check_issuer(cls, issuer: str) -> str:
        """Return the issuer if it is an address."""
        return check_address(issuer, ISSUER_RULE)

    @field_validator("jwks_uri")
    @classmethod
    def check_jwks_uri(cls, uri: str | None) -> str | None:
        """Return the address if it is one, or none at all."""
        return None if uri is None else check_address(uri, JWKS_RULE)


class Rate(ApiModel):
    """So many requests a second."""

    # The API server compares a whole number with the minimum's whole part, and would let 0 in: so it is told by CEL, too.
    requests_per_second: float = Field(
        ge=0.001,
        le=1_000_000,
        description="Requests per second that each replica lets in, such as 5 or 0.5.",
        json_schema_extra=validated(cel("self >= 0.001", RATE_TOO_LOW)),
    )
    burst: int | None = Field(
        None,
        ge=1,
        le=1_000_000,
        description="Requests at once after a pause. Left out: those of one second, at least 1.",
    )

    @property
    def size(self) -> int:
        """The burst that is given, or follows."""
        return self.burst or max(1, math.ceil(self.requests_per_second))


class RateLimit(ApiModel):
    """Rates beyond which requests are refused with 429 and Retry-After. Each replica counts for itself."""

    per_key: Rate | None = Field(None, description="How much each API key, or each subject of tokens, may ask.")
    per_client: Rate | None = Field(
        None,
        description="How much each client address, or /64 network of IPv6, may ask; also counts requests without a valid key.",
    )


class Clients(ApiModel):
    """What one client address may hold, and how it is found behind proxies."""

    max_requests: int | None = Field(
        None, ge=1, le=10_000, description="Requests of one client that each replica answers at the same time."
    )
    max_connections: int | None = Field(
        None,
        ge=1,
        le=4096,
        description="Connections that one client keeps to each replica while more than half of all 4096 are in use. Left out: 1024.",
    )
    trusted_proxies: tuple[Cidr, ...] | None = Field(
        None,
        min_length=1,
        max_length=64,
        description="IP networks of proxies whose X-Forwarded-For is believed. Left out: none, the connection's address is the client.",
    )


class Timeouts(ApiModel):
    """How long a client may take to send, and to take its answer."""

    header_seconds: int | None = Field(
        None,
        ge=1,
        le=3600,
        description="Until a request's headers are there; also how long an idle connection is kept. Left out: 30.",
    )
    body_seconds: int | None = Field(
        None,
        ge=1,
        le=3600,
        description="Until a request's body is there, else 408; and how long an answer may wait for a client that takes none of it. Left out: 30.",
    )


def check_address(uri: str, rule: TextRule) -> str:
    """Return an https address if it is one; raises ValueError."""
    rule.check(uri)
    try:
        is_valid = urlsplit(uri).port != 0
    except ValueError:
        is_valid = False
    if not is_valid:
        raise ValueError(rule.message)
    return uri
