"""Somebody outside the cluster who knows a host name and an authority: curl, with verification of certificates on."""

import json
import socket
import ssl
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

LOOPBACK = "127.0.0.1"


class VisitFailed(Exception):
    """curl ended with an error; `code` is its exit code, such as 60 for a certificate that cannot be verified."""

    def __init__(self, code: int, said: str) -> None:
        super().__init__(f"curl ended with {code}: {said}")
        self.code = code


@dataclass(frozen=True)
class Answer:
    """What came back: the status, where a redirect leads, the URL that answered at last, and the body."""

    status: int
    location: str
    url: str
    text: str

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.text)


@dataclass(frozen=True)
class Visitor:
    """Whoever asks: for any host, the ports 80 and 443 are those of a controller on this machine."""

    http_port: int
    https_port: int
    authority: Path

    def ask(self, url: str, body: object = None, *, is_following: bool = False) -> Answer:
        """GET a URL, or POST a body as JSON; raises VisitFailed when there is no answer, or no certificate to trust."""
        host = url.split("/")[2]
        words = [
            "curl",
            "--silent",
            "--show-error",
            "--max-time",
            "30",
            "--noproxy",
            "*",
            "--cacert",
            str(self.authority),
        ]
        for port, real in ((80, self.http_port), (443, self.https_port)):
            words += ["--connect-to", f"{host}:{port}:{LOOPBACK}:{real}"]
        if body is not None:
            words += ["--json", json.dumps(body)]
        if is_following:
            words += ["--location", "--post301"]
        told = '{"status": %{http_code}, "location": "%{redirect_url}", "url": "%{url_effective}"}'
        done = subprocess.run(
            [*words, "--write-out", f"\n{told}", url], capture_output=True, text=True, check=False, timeout=60
        )
        if done.returncode != 0:
            raise VisitFailed(done.returncode, done.stderr.strip())
        text, _, last = done.stdout.rpartition("\n")
        return Answer(text=text, **json.loads(last))

    def read_serial(self, host: str) -> str:
        """Return the serial number, in hexadecimal digits, of the certificate that a host shows, which must be one to trust."""
        context = ssl.create_default_context(cafile=self.authority)
        with (
            socket.create_connection((LOOPBACK, self.https_port), timeout=10) as plain,
            context.wrap_socket(plain, server_hostname=host) as secured,
        ):
            certificate = secured.getpeercert() or {}
        return str(certificate["serialNumber"]).lower().lstrip("0")
