"""What the sample app is told by its environment, and the Secrets that are mounted for it. Above `errors` only."""

from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict
from pydantic_settings import SettingsError as UnreadableError

from samples.client.errors import SettingsError

PREFIX = "CLIENT_"
MIN_SESSION_KEY = 32
LOOPBACK = {"localhost", "127.0.0.1", "::1"}


def check_address(value: str) -> str:
    """Return the address without a slash at its end; raises ValueError when it is not one of HTTP."""
    parts = urlsplit(value)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment:
        raise ValueError("give an address such as https://app.example.com")
    if parts.username or parts.password:
        raise ValueError("an address holds no user and no password: they would stand in the environment")
    return value.rstrip("/")


def check_secure_address(value: str) -> str:
    """Return the address as `check_address` does; one of plain HTTP is for this machine only."""
    address = check_address(value)
    if not address.startswith("https://") and urlsplit(address).hostname not in LOOPBACK:
        raise ValueError("https is needed, but for localhost")
    return address


def check_issuer(value: str) -> str:
    """Return the issuer exactly as it is given: a slash at its end is part of its name."""
    check_secure_address(value)
    return value


Address = Annotated[str, AfterValidator(check_address)]
SecureAddress = Annotated[str, AfterValidator(check_secure_address)]
IssuerName = Annotated[str, AfterValidator(check_issuer)]


class Settings(BaseSettings):
    """The app's settings: each is the variable `CLIENT_<NAME>`. docs/sample-app.md tells them."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="forbid")

    address: str = "127.0.0.1"
    port: int = Field(8080, ge=1, le=65535)
    title: str = "Scoring"
    faq_url: Address | None = None
    images_url: Address | None = None
    answers_file: Path = Path("/etc/client/answers/answers.json")
    secrets_dir: Path = Path("/etc/client/secrets")
    users_dir: Path = Path("/etc/client/users")
    public_url: SecureAddress | None = None
    oidc_issuer: IssuerName | None = None
    oidc_client_id: str = ""
    oidc_required_claims: dict[str, list[str]] = Field(default_factory=dict)
    oidc_name_claim: str = "name"
    oidc_ca_file: Path | None = None
    secure_cookies: bool = True
    session_hours: float = Field(8, gt=0, le=168)
    proxies: int = Field(0, ge=0, le=8)
    timeout_seconds: float = Field(30, gt=0)
    max_picture_bytes: int = Field(8 * 1024 * 1024, ge=1024)
    requests_per_minute: int = Field(60, ge=1)
    log_level: Literal["debug", "info", "warning", "error"] = "info"

    @model_validator(mode="after")
    def check_what_belongs_together(self) -> Self:
        """A model is needed, and OIDC needs to know the client and where to come back to."""
        if self.faq_url is None and self.images_url is None:
            raise ValueError("there is no model to ask: set CLIENT_FAQ_URL, CLIENT_IMAGES_URL or both")
        if self.oidc_issuer is not None and not (self.oidc_client_id and self.public_url):
            raise ValueError("CLIENT_OIDC_ISSUER needs CLIENT_OIDC_CLIENT_ID and CLIENT_PUBLIC_URL")
        return self

    def read_secret(self, name: str) -> str | None:
        """Return an entry of the app's Secret, now: it may change while the app runs. None when there is none.

        Raises SettingsError when it is there and may not be read.
        """
        path = self.secrets_dir / name
        try:
            return path.read_text(encoding="utf-8").strip() or None
        except FileNotFoundError:
            return None
        except PermissionError as error:
            raise SettingsError(f"{path} may not be read by this user: give the pod an fsGroup") from error

    def read_session_keys(self) -> list[str]:
        """Return the keys that sign sessions: the first signs, the others are still believed. Raises SettingsError."""
        keys = (self.read_secret("session-key") or "").split()
        if not keys or min(map(len, keys)) < MIN_SESSION_KEY:
            raise SettingsError(
                f"{self.secrets_dir}/session-key must hold a random key of {MIN_SESSION_KEY} characters or more: "
                "make the Secret with `python -m samples.client secrets`"
            )
        return keys


def read_settings() -> Settings:
    """Return the settings of the environment. Raises SettingsError naming each that is wrong."""
    try:
        return Settings()
    except ValidationError as error:
        raise SettingsError(describe(error)) from error
    except UnreadableError as error:
        message = 'CLIENT_OIDC_REQUIRED_CLAIMS is not JSON such as {"groups": ["scoring"]}'
        raise SettingsError(message) from error


def describe(error: ValidationError) -> str:
    """Return what is wrong with which variable, without the values: one may be a secret in the wrong place."""
    told = []
    for one in error.errors(include_input=False, include_url=False):
        name = "".join(f"{PREFIX}{str(part).upper()}" for part in one["loc"][:1])
        told.append(f"{name}: {one['msg']}" if name else one["msg"])
    return "; ".join(told)
