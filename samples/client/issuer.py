"""Signing in at an OpenID Connect issuer: authorization code with PKCE, by Authlib. Above `settings`."""

from typing import Any

import structlog
from authlib.common.errors import AuthlibBaseError
from authlib.integrations.flask_client import OAuth
from flask import Flask
from joserfc.errors import JoseError
from requests import RequestException
from werkzeug.wrappers import Response

from samples.client.errors import SignInError
from samples.client.settings import Settings

TIMEOUT_SECONDS = 10
MAX_SUBJECT = 255
# Public keys only: never `none`, and no secret that both sides hold.
ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519")

_logger = structlog.stdlib.get_logger(__name__)


class Issuer:
    """The issuer that the settings name, as a client of it."""

    def __init__(self, app: Flask, settings: Settings) -> None:
        self._issuer = settings.oidc_issuer
        self._client_id = settings.oidc_client_id
        self._required = settings.oidc_required_claims
        self._name_claim = settings.oidc_name_claim
        self._callback = f"{settings.public_url}/sign-in/issuer/callback"
        session: dict[str, Any] = {"scope": "openid profile email", "code_challenge_method": "S256"}
        session["default_timeout"] = TIMEOUT_SECONDS
        if settings.oidc_ca_file is not None:
            session["verify"] = str(settings.oidc_ca_file)
        self._client = OAuth(app).register(
            "issuer",
            client_id=settings.oidc_client_id,
            client_secret=settings.read_secret("oidc-client-secret"),
            server_metadata_url=f"{(settings.oidc_issuer or '').rstrip('/')}/.well-known/openid-configuration",
            client_kwargs=session,
        )

    def send_there(self) -> Response:
        """Return the redirect to the issuer. Raises SignInError."""
        try:
            self._check_metadata()
            answer: Response = self._client.authorize_redirect(self._callback)
        except (RequestException, AuthlibBaseError, RuntimeError, ValueError) as error:
            raise self._refuse(error, "The sign-in service does not answer. Please try again in a minute.") from error
        return answer

    def receive(self) -> tuple[str, str]:
        """Return subject and name of who comes back from the issuer with a code. Raises SignInError."""
        options = {
            "iss": {"essential": True, "value": self._issuer},
            "aud": {"essential": True, "value": self._client_id},
        }
        try:
            self._check_metadata()
            claims = self._client.authorize_access_token(claims_options=options)["userinfo"]
        except (RequestException, AuthlibBaseError, JoseError, RuntimeError, ValueError, KeyError) as error:
            raise self._refuse(error, "Signing in did not work, or took too long. Please try again.") from error
        self._check_claims(claims)
        subject = str(claims["sub"])[:MAX_SUBJECT]
        return subject, str(claims.get(self._name_claim) or claims.get("email") or subject)

    def _check_metadata(self) -> None:
        """An issuer whose document names another one is a mistake, or an attack."""
        metadata = self._client.load_server_metadata()
        if metadata.get("issuer") != self._issuer:
            # So that it is asked again.
            metadata.pop("_loaded_at", None)
            raise ValueError(f"it calls itself {metadata.get('issuer')!r}, CLIENT_OIDC_ISSUER is {self._issuer!r}")
        offered = metadata.get("id_token_signing_alg_values_supported") or ["RS256"]
        usable = [name for name in offered if name in ALGORITHMS]
        if not usable:
            raise ValueError(f"it signs by {', '.join(offered)}, none of which has a public key")
        metadata["id_token_signing_alg_values_supported"] = usable

    def _check_claims(self, claims: dict[str, Any]) -> None:
        for name, wanted in self._required.items():
            value = claims.get(name)
            found = value if isinstance(value, list) else str(value).split() if name == "scope" else [value]
            if not set(map(str, found)) & set(wanted):
                _logger.warning("not let in", claim=name)
                raise SignInError(403, "NotLetIn", "You are known, but this app is not for you. Ask whoever runs it.")

    def _refuse(self, error: Exception, message: str) -> SignInError:
        # The error's text could quote what the issuer or the browser sent.
        reason = str(error) if isinstance(error, ValueError) else getattr(error, "error", "")
        _logger.warning("no sign-in by the issuer", error=type(error).__name__, reason=str(reason)[:200])
        return SignInError(502, "IssuerFailed", message)
