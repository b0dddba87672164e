"""The settings of the front door, part of the runtime's; listed in docs/runtime-contract.md."""

import ipaddress
from pathlib import Path

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings


class AccessSettings(BaseSettings):
    """Who may ask, how much, and how long sending may take."""

    api_keys_dir: Path | None = None
    jwt_issuer: str | None = None
    jwt_audiences: tuple[str, ...] = ()
    jwt_jwks_uri: str | None = None
    jwt_required_claims: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    jwt_name_claim: str = "sub"
    jwt_ca_file: Path | None = None
    rate_per_key: float | None = Field(default=None, gt=0)
    burst_per_key: int = Field(default=1, ge=1)
    rate_per_client: float | None = Field(default=None, gt=0)
    burst_per_client: int = Field(default=1, ge=1)
    max_requests_per_client: int | None = Field(default=None, ge=1)
    max_connections_per_client: int = Field(default=1024, ge=1)
    trusted_proxies: tuple[str, ...] = ()
    max_body_bytes: int = Field(default=8 * 2**20, ge=1)
    header_timeout_seconds: float = Field(default=30.0, gt=0, le=3600)
    body_timeout_seconds: float = Field(default=30.0, gt=0, le=3600)

    @property
    def asks_for_credentials(self) -> bool:
        """Whether a request has to show a key or a token."""
        return self.api_keys_dir is not None or self.jwt_issuer is not None

    @property
    def has_limits(self) -> bool:
        """Whether there is a limit on the requests of one client or key."""
        per_key = self.rate_per_key if self.asks_for_credentials else None
        return any(limit is not None for limit in (per_key, self.rate_per_client, self.max_requests_per_client))

    @field_validator("trusted_proxies")
    @classmethod
    def _check_networks(cls, networks: tuple[str, ...]) -> tuple[str, ...]:
        for network in networks:
            ipaddress.ip_network(network)
        return networks
