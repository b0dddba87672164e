"""An image registry that wants a password (distribution, over TLS) on this machine, and the way to it for a real node and for buildah."""

import json
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx

from free_ports import find_free_port
from local_cluster.builder import buildah
from local_cluster.certificates import ensure_server_certificate
from local_cluster.state import Cluster
from local_clusters import run_local_cluster
from waiting import wait_for

USER = "team"
PASSWORD = "opensesame-of-the-tests"
PASSWORD_HASH = "$2b$05$abcdefghijklmnopqrstuuOQ8oR2OZN3uxNviHADK7l/9wmEtSi1m"
"""Of PASSWORD, by bcrypt: what `htpasswd -B` would write."""


class Registry:
    """A running registry; `host` is its address as images name it."""

    def __init__(self, host: str, folder: Path) -> None:
        self.host = host
        self._folder = folder

    def push(self, image: str, name: str) -> str:
        """Push an image of the local store under another name, such as `team/runtime:7`; return its digest."""
        digest = self._folder / "digest"
        words = ("--creds", f"{USER}:{PASSWORD}", "--cert-dir", self._folder / "certificates", "--digestfile", digest)
        fast = ("--compression-format", "gzip", "--compression-level", "1")
        command = buildah("push", *words, *fast, image, f"docker://{self.host}/{name}")
        subprocess.run([str(word) for word in command], check=True, capture_output=True)
        return digest.read_text().strip()

    def build_login(self, password: str) -> str:
        """Return the content of a Secret of type kubernetes.io/dockerconfigjson."""
        return json.dumps({"auths": {self.host: {"username": USER, "password": password}}})


@contextmanager
def run_registry(cluster: Cluster) -> Iterator[Registry]:
    """Yield a registry that the real node of a cluster trusts; afterwards nothing of it is left."""
    port = find_free_port()
    host = f"127.0.0.1:{port}"
    with TemporaryDirectory(prefix="registry-") as name:
        folder = Path(name)
        ensure_server_certificate(cluster, folder, "registry.localhost")
        (folder / "certificates").mkdir()
        (folder / "certificates" / "ca.crt").write_bytes((folder / "ca.crt").read_bytes())
        (folder / "htpasswd").write_text(f"{USER}:{PASSWORD_HASH}\n")
        (folder / "registry.json").write_text(json.dumps(build_configuration(folder, host)))
        way = cluster.registries_folder / host / "hosts.toml"
        way.parent.mkdir(parents=True)
        authority = cluster.registries_folder / host / "ca.crt"
        authority.write_bytes((folder / "ca.crt").read_bytes())
        trust = f'ca = "{authority}"\n'
        # Once for the mirror that is asked first and once for the server behind it, which is this one too.
        way.write_text(f'server = "https://{host}"\n{trust}[host."https://{host}"]\n  {trust}')
        command = [run_local_cluster("program", "registry"), "serve", str(folder / "registry.json")]
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            wait_for(lambda: wants_password(host, folder / "ca.crt"), f"registry at {host}", 30)
            yield Registry(host, folder)
        finally:
            process.terminate()
            process.wait(timeout=20)
            for path in (way, authority):
                path.unlink(missing_ok=True)
            way.parent.rmdir()


def build_configuration(folder: Path, host: str) -> dict[str, object]:
    """Return the registry's configuration (JSON is YAML too)."""
    return {
        "version": "0.1",
        "storage": {"filesystem": {"rootdirectory": str(folder / "data")}},
        "auth": {"htpasswd": {"realm": "tests", "path": str(folder / "htpasswd")}},
        "http": {
            "addr": host,
            "secret": "of-the-tests",
            "tls": {"certificate": str(folder / "tls.crt"), "key": str(folder / "tls.key")},
        },
    }


def wants_password(host: str, authority: Path) -> bool:
    """Tell whether the registry answers, and refuses who shows no password."""
    try:
        trust = ssl.create_default_context(cafile=authority)
        return httpx.get(f"https://{host}/v2/", verify=trust, trust_env=False).status_code == 401
    except httpx.TransportError:
        return False
