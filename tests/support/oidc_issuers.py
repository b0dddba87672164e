"""A small OpenID Connect issuer on the loopback: authorization code with PKCE, tokens signed with a key of its own.

It is as strict as a client needs it to be: a code is good once, for one client, one address to go back to and one verifier.
"""

import base64
import hashlib
import json
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import jwt
from cryptography.hazmat.primitives.asymmetric import ec

POLL_SECONDS = 0.02
KEY_ID = "one"
ALGORITHM = "ES256"
PAGE = """<!doctype html><html lang="en"><title>Issuer</title><h1>Who are you?</h1>
<a id="continue" href="/approve?{query}">Continue as Ann</a></html>"""


@dataclass
class OidcIssuer:
    """What the issuer knows. A test may change the claims of the next token, or what its document says."""

    address: str
    client_id: str = "sample-client"
    client_secret: str = "not very secret"
    claims: dict[str, Any] = field(default_factory=lambda: {"sub": "1234", "name": "Ann"})
    document: dict[str, Any] = field(default_factory=dict)
    codes: dict[str, dict[str, str]] = field(default_factory=dict)
    refused: list[str] = field(default_factory=list)
    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))

    def describe(self) -> dict[str, Any]:
        """Return the document at /.well-known/openid-configuration."""
        return {
            "issuer": self.address,
            "authorization_endpoint": f"{self.address}/authorize",
            "token_endpoint": f"{self.address}/token",
            "jwks_uri": f"{self.address}/keys",
            "id_token_signing_alg_values_supported": [ALGORITHM],
            "code_challenge_methods_supported": ["S256"],
            **self.document,
        }

    def list_keys(self) -> dict[str, Any]:
        """Return the public key as a JSON Web Key Set."""
        public = json.loads(jwt.algorithms.ECAlgorithm.to_jwk(self.key.public_key()))
        return {"keys": [{**public, "kid": KEY_ID, "alg": ALGORITHM, "use": "sig"}]}

    def approve(self, asked: dict[str, str]) -> str:
        """Return where the browser goes with a code."""
        code = secrets.token_urlsafe()
        self.codes[code] = asked
        return f"{asked['redirect_uri']}?{urlencode({'code': code, 'state': asked['state']})}"

    def exchange(self, form: dict[str, str], authorization: str) -> dict[str, Any] | None:
        """Return tokens for a code; None, with the reason in `refused`, when anything is not as it was promised."""
        asked = self.codes.pop(form.get("code", ""), None)
        verifier = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        challenge = base64.urlsafe_b64encode(verifier).rstrip(b"=").decode()
        expected = base64.b64encode(f"{self.client_id}:{self.client_secret}".encode()).decode()
        checks = {
            "code": asked is not None,
            "client": authorization == f"Basic {expected}",
            "address": form.get("redirect_uri") == (asked or {}).get("redirect_uri"),
            "verifier": (asked or {}).get("code_challenge_method") == "S256"
            and challenge == (asked or {}).get("code_challenge"),
        }
        wrong = [name for name, is_right in checks.items() if not is_right]
        self.refused += wrong
        return None if wrong or asked is None else self._make_tokens(asked)

    def _make_tokens(self, asked: dict[str, str]) -> dict[str, Any]:
        now = int(time.time())
        claims = {"iss": self.address, "aud": self.client_id, "iat": now, "exp": now + 300, "nonce": asked["nonce"]}
        token = jwt.encode({**claims, **self.claims}, self.key, ALGORITHM, headers={"kid": KEY_ID})
        return {"access_token": secrets.token_urlsafe(), "token_type": "Bearer", "expires_in": 300, "id_token": token}


class IssuerServer(ThreadingHTTPServer):
    """The server of one issuer."""

    issuer: OidcIssuer


@contextmanager
def run_issuer(host: str = "127.0.0.1") -> Iterator[OidcIssuer]:
    """Yield an issuer that answers at a free port."""
    with IssuerServer((host, 0), Handler) as server:
        server.issuer = OidcIssuer(f"http://{host}:{server.server_port}")
        thread = threading.Thread(target=server.serve_forever, args=(POLL_SECONDS,), daemon=True)
        thread.start()
        yield server.issuer
        server.shutdown()
        thread.join()


class Handler(BaseHTTPRequestHandler):
    """The issuer's routes."""

    server: IssuerServer

    @property
    def issuer(self) -> OidcIssuer:
        """The issuer of this server."""
        return self.server.issuer

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        if parts.path == "/.well-known/openid-configuration":
            self.send_json(200, self.issuer.describe())
        elif parts.path == "/keys":
            self.send_json(200, self.issuer.list_keys())
        elif parts.path == "/authorize":
            self.send(200, PAGE.format(query=parts.query.replace("&", "&amp;")).encode(), "text/html")
        else:
            asked = {name: values[0] for name, values in parse_qs(parts.query).items()}
            self.send(302, b"", "text/plain", location=self.issuer.approve(asked))

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        form = {name: values[0] for name, values in parse_qs(body).items()}
        tokens = self.issuer.exchange(form, self.headers.get("Authorization", ""))
        self.send_json(400 if tokens is None else 200, tokens or {"error": "invalid_grant"})

    def send_json(self, status: int, body: object) -> None:
        self.send(status, json.dumps(body).encode(), "application/json")

    def send(self, status: int, body: bytes, content_type: str, location: str | None = None) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        if location is not None:
            self.send_header("Location", location)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_arguments: object) -> None:
        """Say nothing."""
