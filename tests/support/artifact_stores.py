"""Real servers of artifacts on this machine, over TLS: an S3 server, Azurite, one with Google Cloud Storage's API, a registry.

Each is a context manager that yields a running server; afterwards nothing of it is left.
"""

import base64
import datetime
import hashlib
import hmac
import json
import ssl
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import httpx
import obstore
from obstore.store import AzureStore, S3Store

from artifact_servers import make_certificate
from free_ports import find_free_port
from local_clusters import ROOT, run_local_cluster
from waiting import wait_for

BUCKET = "models"
S3_KEYS = {"AWS_ACCESS_KEY_ID": "AKIDOFTHETESTS", "AWS_SECRET_ACCESS_KEY": "opensesame-of-the-tests"}
AZURE_ACCOUNT = "devstoreaccount1"
AZURITE = ROOT / "tests" / "security" / "azurite"
AZURITE_KEY = base64.b64encode(b"of-the-tests-" * 4).decode()


@dataclass(frozen=True)
class Server:
    """A running server: its address, and the file with its authority's certificate."""

    address: str
    authority: Path

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"https://{self.address}"

    @property
    def trust(self) -> ssl.SSLContext:
        """What a client trusts it by."""
        return ssl.create_default_context(cafile=self.authority)


@contextmanager
def run_server(folder: Path, host: str, command: Sequence[object], **variables: str) -> Iterator[Server]:
    """Yield a server; {port}, {certificate} and {key} in the command are filled in."""
    port = find_free_port()
    combined = make_certificate(folder, host)
    values = {"port": port, "host": host, "certificate": combined, "key": folder / "server.key"}
    words = [str(word).format(**values) for word in command]
    environment = {name: value.format(**values) for name, value in variables.items()}
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            words, stdout=log, stderr=log, env={"HOME": str(folder), "PATH": "/usr/bin:/bin", **environment}
        )
    server = Server(f"{host}:{port}", Path(f"{combined}.crt"))
    try:
        wait_for(lambda: answers(server), f"{words[0]} at {server.address}", 30)
        yield server
    finally:
        process.terminate()
        process.wait(timeout=20)


def answers(server: Server) -> bool:
    """Tell whether a server answers at all."""
    try:
        httpx.get(server.url, verify=server.trust, trust_env=False)
    except httpx.TransportError:
        return False
    return True


@contextmanager
def run_s3(folder: Path, host: str = "127.0.0.1") -> Iterator[Server]:
    """Yield an S3 server (versitygw) with an empty bucket `models`."""
    (folder / "data" / BUCKET).mkdir(parents=True)
    program = run_local_cluster("program", "versitygw")
    keys = ["--access", S3_KEYS["AWS_ACCESS_KEY_ID"], "--secret", S3_KEYS["AWS_SECRET_ACCESS_KEY"]]
    tls = ["--cert", "{certificate}", "--key", "{key}"]
    command = [
        program,
        *keys,
        "--port",
        "{host}:{port}",
        *tls,
        "posix",
        "--sidecar",
        folder / "sidecar",
        folder / "data",
    ]
    (folder / "sidecar").mkdir()
    with run_server(folder, host, command) as server:
        yield server


def open_s3(server: Server) -> S3Store:
    """Return the bucket, for those who put artifacts there."""
    config: Any = {
        "endpoint": server.url,
        "region": "us-east-1",
        "access_key_id": S3_KEYS["AWS_ACCESS_KEY_ID"],
        "secret_access_key": S3_KEYS["AWS_SECRET_ACCESS_KEY"],
    }
    return S3Store(BUCKET, config=config, client_options={"root_certificate": server.authority.read_text()})


@contextmanager
def run_azurite(folder: Path) -> Iterator[Server]:
    """Yield Azurite, Azure's own emulator of Blob Storage, with an empty container `models`."""
    installed = ROOT / "build" / "azurite"
    if not (installed / "node_modules" / "azurite").is_dir():
        installed.mkdir(parents=True, exist_ok=True)
        for name in ("package.json", "package-lock.json"):
            (installed / name).write_bytes((AZURITE / name).read_bytes())
        subprocess.run(
            ["npm", "ci", "--omit=optional", "--no-audit", "--no-fund"], cwd=installed, check=True, capture_output=True
        )
    main = installed / "node_modules" / "azurite" / "dist" / "src" / "blob" / "main.js"
    command = [
        "/usr/bin/env",
        "node",
        main,
        "--blobHost",
        "{host}",
        "--blobPort",
        "{port}",
        "--location",
        folder / "data",
    ]
    flags = ["--cert", "{certificate}", "--key", "{key}", "--skipApiVersionCheck", "--disableTelemetry"]
    with run_server(
        folder, "127.0.0.1", [*command, *flags], AZURITE_ACCOUNTS=f"{AZURE_ACCOUNT}:{AZURITE_KEY}"
    ) as server:
        make_container(server)
        yield server


def make_container(server: Server) -> None:
    """Make the container; obstore has no call for that, so the request is signed here as Azure's documents say."""
    date = format_datetime(datetime.datetime.now(datetime.UTC), usegmt=True)
    path = f"/{AZURE_ACCOUNT}/{BUCKET}"
    text = f"PUT\n\n\n\n\n\n\n\n\n\n\n\nx-ms-date:{date}\nx-ms-version:2023-11-03\n/{AZURE_ACCOUNT}{path}\nrestype:container"
    signed = hmac.new(base64.b64decode(AZURITE_KEY), text.encode(), hashlib.sha256).digest()
    headers = {
        "x-ms-date": date,
        "x-ms-version": "2023-11-03",
        "Authorization": f"SharedKey {AZURE_ACCOUNT}:{base64.b64encode(signed).decode()}",
    }
    answer = httpx.put(f"{server.url}{path}?restype=container", headers=headers, verify=server.trust, trust_env=False)
    answer.raise_for_status()


def open_azurite(server: Server) -> AzureStore:
    """Return the container, for those who put artifacts there."""
    config: Any = {
        "account_name": AZURE_ACCOUNT,
        "account_key": AZURITE_KEY,
        "endpoint": f"{server.url}/{AZURE_ACCOUNT}",
    }
    return AzureStore(BUCKET, config=config, client_options={"root_certificate": server.authority.read_text()})


@contextmanager
def run_gcs(folder: Path, files: Mapping[str, bytes]) -> Iterator[Server]:
    """Yield a server with Google Cloud Storage's API and a bucket `models` with these objects."""
    for name, content in files.items():
        path = folder / "data" / BUCKET / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    program = run_local_cluster("program", "fake-gcs-server")
    tls = ["-scheme", "https", "-cert-location", "{certificate}", "-private-key-location", "{key}"]
    place = ["-host", "{host}", "-port", "{port}", "-public-host", "{host}:{port}", "-backend", "memory"]
    with run_server(folder, "127.0.0.1", [program, *tls, *place, "-data", folder / "data"]) as server:
        yield server


@contextmanager
def run_registry(folder: Path) -> Iterator[Server]:
    """Yield an empty registry (distribution) that the user `team` may use."""
    (folder / "htpasswd").write_text("team:$2b$05$abcdefghijklmnopqrstuuOQ8oR2OZN3uxNviHADK7l/9wmEtSi1m\n")
    configuration = {
        "version": "0.1",
        "storage": {"filesystem": {"rootdirectory": str(folder / "data")}},
        "auth": {"htpasswd": {"realm": "tests", "path": str(folder / "htpasswd")}},
        "http": {"secret": "of-the-tests"},
    }
    (folder / "registry.json").write_text(json.dumps(configuration))
    variables = {
        "REGISTRY_HTTP_ADDR": "{host}:{port}",
        "REGISTRY_HTTP_TLS_CERTIFICATE": "{certificate}",
        "REGISTRY_HTTP_TLS_KEY": "{key}",
    }
    command = [run_local_cluster("program", "registry"), "serve", folder / "registry.json"]
    with run_server(folder, "127.0.0.1", command, **variables) as server:
        yield server


def put_files(store: Any, files: Mapping[str, bytes]) -> None:
    """Put objects into a store."""
    for key, content in files.items():
        obstore.put(store, key, content)
