"""Fetching an issuer's keys from a real HTTPS server that has a certificate of its own, and does not always answer well."""

import datetime
import ipaddress
import json
import ssl
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from scoring_runtime.access import issuer
from scoring_runtime.access.errors import IssuerUnavailableError
from scoring_runtime.access.issuer import make_fetch

DOCUMENT: dict[str, list[str]] = {"keys": []}


class Handler(BaseHTTPRequestHandler):
    """Answers by path."""

    def do_GET(self) -> None:
        getattr(self, f"answer_{self.path.strip('/')}")()

    def answer_good(self) -> None:
        self.send(200, json.dumps(DOCUMENT).encode())

    def answer_missing(self) -> None:
        self.send(404, b"{}")

    def answer_moved(self) -> None:
        self.send(302, b"", ("Location", "/good"))

    def answer_text(self) -> None:
        self.send(200, b"<html>")

    def answer_deep(self) -> None:
        self.send(200, b"[" * 200_000)

    def answer_large(self) -> None:
        self.send(200, b" " * (issuer.MAX_BYTES + 1))

    def answer_cut(self) -> None:
        self.send(200, b"64\r\n{", ("Transfer-Encoding", "chunked"))

    def answer_nonsense(self) -> None:
        self.wfile.write(b"nonsense\r\n\r\n")

    def answer_endless(self) -> None:
        self.send(200, b"{")
        try:
            while True:
                self.wfile.write(b" ")
        except OSError:
            return

    def send(self, status: int, body: bytes, *headers: tuple[str, str]) -> None:
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_arguments: object) -> None:
        """Say nothing."""


def write_certificate(folder: Path) -> Path:
    """Write a certificate for 127.0.0.1 that signs itself, with its key, into one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "issuer")])
    now = datetime.datetime.now(datetime.UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    certificate = (
        builder.not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = folder / "issuer.pem"
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path.write_bytes(private + certificate.public_bytes(Encoding.PEM))
    return path


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """Yield the server's address and its certificate."""
    certificate = write_certificate(tmp_path_factory.mktemp("issuer"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"https://127.0.0.1:{server.server_port}", certificate
        server.shutdown()


def test_document_is_fetched_from_a_server_that_is_trusted(server: tuple[str, Path]) -> None:
    address, certificate = server
    assert make_fetch(certificate)(f"{address}/good") == DOCUMENT


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("missing", "answered 404"),
        ("moved", "answered 302"),
        ("text", "cannot be read"),
        ("deep", "cannot be read"),
        ("large", "more than 1048576 bytes"),
        ("cut", "cannot be read: IncompleteRead"),
        ("nonsense", "cannot be read: nonsense"),
        ("endless", "more than 1048576 bytes|takes longer"),
    ],
)
def test_other_answers_are_told(server: tuple[str, Path], path: str, reason: str) -> None:
    address, certificate = server
    with pytest.raises(IssuerUnavailableError, match=reason):
        make_fetch(certificate)(f"{address}/{path}")


def test_server_that_is_not_trusted_is_told(server: tuple[str, Path]) -> None:
    with pytest.raises(IssuerUnavailableError, match="CERTIFICATE_VERIFY_FAILED"):
        make_fetch(None)(f"{server[0]}/good")


@pytest.mark.parametrize("url", ["http://127.0.0.1/good", "file:///etc/passwd", "ftp://127.0.0.1/x", ""])
def test_only_https_is_asked(url: str) -> None:
    with pytest.raises(IssuerUnavailableError, match="not an https://"):
        make_fetch(None)(url)


def test_server_that_is_away_is_told() -> None:
    with pytest.raises(IssuerUnavailableError, match="cannot be read"):
        make_fetch(None)("https://127.0.0.1:1/keys")


def test_missing_certificates_are_told(tmp_path: Path) -> None:
    with pytest.raises(IssuerUnavailableError, match="caBundle cannot be read"):
        make_fetch(tmp_path / "none")
