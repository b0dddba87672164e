"""An HTTPS server of artifacts on the loopback, that does wrong when a test says so."""

import gzip
import http.server
import re
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Request:
    """What the server was asked."""

    path: str
    authorization: str | None
    range: str | None
    accept_encoding: str | None


class ArtifactServer:
    """Serves `files` by path, in ranges and with ETags.

    `plans` has for a path what is done, one after the other, the last for good: a number is answered as the status; `whole`
    knows no ranges, `whole-unsized` nor a length; `cut` breaks off in the middle, `stall` stops there for good, `trickle` goes
    on byte by byte; `coded` says that the content is coded; `short` answers fewer bytes than the range has, `long` more;
    `changed` has another content, and `etag` is what the file's ETag looks like: `strong`, `weak` or `none`.
    """

    def __init__(self, certificate: Path, host: str = "127.0.0.1") -> None:
        self.files: dict[str, bytes] = {}
        self.plans: dict[str, list[int | str]] = {}
        self.headers: dict[str, dict[str, str]] = {}
        """Headers of every answer at a path, beside the server's own."""
        self.handle: Callable[[http.server.BaseHTTPRequestHandler, str], None] = self.answer
        """What answers a request, for a test with answers of its own."""
        self.seen: list[Request] = []
        self.redirect = ""
        self.etag = "strong"
        self._stalled = threading.Event()
        server = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                headers = self.headers
                seen = (headers.get("Authorization"), headers.get("Range"), headers.get("Accept-Encoding"))
                server.seen.append(Request(self.path, *seen))
                server.handle(self, self.path.split("?")[0])

            do_HEAD = do_GET  # noqa: N815

            def log_message(self, *_arguments: Any) -> None: ...

        self._httpd = http.server.ThreadingHTTPServer((host, 0), Handler)
        # A client that goes away is what some tests are about.
        self._httpd.handle_error = lambda *_arguments: None  # type: ignore[method-assign]
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        self._httpd.socket = context.wrap_socket(self._httpd.socket, server_side=True)
        self.base = f"{host}:{self._httpd.server_address[1]}"

    def answer(self, request: http.server.BaseHTTPRequestHandler, path: str) -> None:
        plans = self.plans.get(path, ["range" if path in self.files else 404])
        plan = plans.pop(0) if len(plans) > 1 else plans[0]
        if isinstance(plan, int):
            body = b"no"
            extra = {"Location": self.redirect} if 300 <= plan < 400 else {}
            return self._send(request, plan, {"Content-Length": str(len(body)), **extra}, body)
        content = self.files[path]
        if plan == "coded":
            body = gzip.compress(content)
            headers = {"Content-Encoding": "gzip", "Content-Length": str(len(body))}
            return self._send(request, 200, headers, body)
        if plan == "trickle":
            return self._trickle(request, content)
        if plan.startswith("whole"):
            headers = {} if plan == "whole-unsized" else {"Content-Length": str(len(content))}
            request.close_connection = True
            return self._send(request, 200, headers, content)
        return self._send_range(request, content, plan)

    def _send_range(self, request: http.server.BaseHTTPRequestHandler, content: bytes, plan: str) -> None:
        if plan == "changed":
            content = bytes(reversed(content))
        etag = f'{"W/" if self.etag == "weak" else ""}"{hash(content) & 0xFFFFFFFF:x}"'
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", request.headers.get("Range", ""))
        if asked is None or request.headers.get("If-Range", etag) != etag:
            return self._send(request, 200, {"Content-Length": str(len(content)), "ETag": etag}, content)
        start, end = int(asked[1]), min(int(asked[2] or len(content)) + 1, len(content))
        body = content[start:end]
        said = {"short": body[: len(body) // 2], "long": body + b"more"}.get(plan, body)
        headers = {"Content-Range": f"bytes {start}-{end - 1}/{len(content)}"}
        headers |= {"ETag": etag} if self.etag != "none" else {}
        if plan in ("cut", "stall") and len(body) > 1:
            request.close_connection = True
            self._send(request, 206, {**headers, "Content-Length": str(len(body))}, body[: len(body) // 2])
            if plan == "stall":
                self._stalled.wait()
            return None
        return self._send(request, 206, {**headers, "Content-Length": str(len(said))}, said)

    def _trickle(self, request: http.server.BaseHTTPRequestHandler, content: bytes) -> None:
        request.close_connection = True
        self._send(request, 200, {"Content-Length": str(len(content))}, b"")
        for place in range(len(content)):
            request.wfile.write(content[place : place + 1])
            if self._stalled.wait(0.05):
                return

    def _send(
        self, request: http.server.BaseHTTPRequestHandler, status: int, headers: dict[str, str], body: bytes
    ) -> None:
        request.send_response(status)
        for name, value in {**headers, **self.headers.get(request.path.split("?")[0], {})}.items():
            request.send_header(name, value)
        request.end_headers()
        if request.command != "HEAD":
            request.wfile.write(body)

    def start(self) -> threading.Thread:
        thread = threading.Thread(target=self._httpd.serve_forever)
        thread.start()
        return thread

    def stop(self) -> None:
        self._stalled.set()
        self._httpd.shutdown()
        self._httpd.server_close()


@contextmanager
def serve_artifacts(certificate: Path, host: str = "127.0.0.1") -> Iterator[ArtifactServer]:
    """Yield a running server with the certificate and key in a file."""
    server = ArtifactServer(certificate, host)
    thread = server.start()
    try:
        yield server
    finally:
        server.stop()
        thread.join()


def make_certificate(folder: Path, host: str = "127.0.0.1") -> Path:
    """Return a file with the key and certificate of a server at an address; beside it, with .crt, that of its authority."""
    path = folder / "server.pem"
    parts = [
        folder / name for name in ("ca.key", "server.pem.crt", "server.key", "server.csr", "server.crt", "extensions")
    ]
    ca_key, ca, key, request, certificate, extensions = parts
    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    _run_openssl("req", "-x509", *curve, "-subj", "/CN=authority", "-days", "2", "-keyout", ca_key, "-out", ca)
    _run_openssl("req", *curve, "-subj", "/CN=server", "-keyout", key, "-out", request)
    extensions.write_text(f"subjectAltName=IP:{host},DNS:localhost\nbasicConstraints=CA:FALSE\n")
    signed: list[str | Path] = ["-CA", ca, "-CAkey", ca_key, "-CAcreateserial", "-extfile", extensions, "-days", "2"]
    _run_openssl("x509", "-req", "-in", request, *signed, "-out", certificate)
    path.write_bytes(key.read_bytes() + certificate.read_bytes())
    return path


def _run_openssl(*arguments: str | Path) -> None:
    subprocess.run(["openssl", *arguments], check=True, capture_output=True)
