"""Certificates of the programs beside the control plane, signed by the authority that kwokctl made; by openssl."""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

from local_cluster import addresses
from local_cluster.commands import run
from local_cluster.state import Cluster, write_whole

VALID_DAYS = 3650
KEY_USAGE = "keyUsage=digitalSignature,keyEncipherment\n"


@dataclass(frozen=True)
class Request:
    """A certificate that is wanted: its files' name, its subject and what it is good for, in openssl's words."""

    name: str
    subject: str
    extensions: str


def ensure_kubeconfig(
    cluster: Cluster, user: str, groups: tuple[str, ...], api_server_port: int, folder: Path | None = None
) -> Path:
    """A kubeconfig for a program, in the node's folder or another; made once, with a certificate for user and groups."""
    folder = folder or cluster.node_folder
    name = user.replace(":", "-")
    path = folder / f"{name}.kubeconfig"
    if not path.exists():
        subject = "".join(f"/O={group}" for group in groups) + f"/CN={user}"
        request = Request(name, subject, f"extendedKeyUsage=clientAuth\n{KEY_USAGE}")
        key, certificate = _sign(cluster, folder, request)
        write_whole(path, json.dumps(render_kubeconfig(cluster, key, certificate, api_server_port), indent=2))
    return path


def ensure_server_certificate(cluster: Cluster, folder: Path, host: str) -> None:
    """`tls.key`, `tls.crt` and `ca.crt` in the folder; made once, for the host and for loopback, to serve and to call."""
    if not (folder / "ca.crt").exists():
        names = f"subjectAltName=DNS:{host},IP:{addresses.LOOPBACK}\n"
        _sign(
            cluster,
            folder,
            Request("tls", f"/CN={host}", f"extendedKeyUsage=serverAuth,clientAuth\n{names}{KEY_USAGE}"),
        )
        shutil.copyfile(cluster.folder / "pki" / "ca.crt", folder / "ca.crt")


def render_kubeconfig(cluster: Cluster, key: Path, certificate: Path, api_server_port: int) -> dict[str, object]:
    """A kubeconfig (JSON is YAML too) that names its certificate's files."""
    server = f"https://{addresses.LOOPBACK}:{api_server_port}"
    authority = str(cluster.folder / "pki" / "ca.crt")
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "local", "cluster": {"server": server, "certificate-authority": authority}}],
        "users": [{"name": "node", "user": {"client-certificate": str(certificate), "client-key": str(key)}}],
        "contexts": [{"name": "local", "context": {"cluster": "local", "user": "node"}}],
        "current-context": "local",
    }


def _sign(cluster: Cluster, folder: Path, wanted: Request) -> tuple[Path, Path]:
    authority = cluster.folder / "pki"
    folder.mkdir(parents=True, exist_ok=True)
    key, request, certificate = (folder / f"{wanted.name}.{ending}" for ending in ("key", "csr", "crt"))
    new_key = ("-newkey", "rsa:2048", "-nodes", "-keyout", key)
    run(["openssl", "req", "-new", *new_key, "-subj", wanted.subject, "-out", request])
    key.chmod(0o600)
    extensions = folder / f"{wanted.name}.extensions"
    write_whole(extensions, wanted.extensions)
    signer = (
        "-CA",
        authority / "ca.crt",
        "-CAkey",
        authority / "ca.key",
        "-CAserial",
        folder / "serial",
        "-CAcreateserial",
    )
    validity = ("-days", str(VALID_DAYS), "-extfile", extensions)
    run(["openssl", "x509", "-req", "-in", request, *signer, *validity, "-out", certificate])
    request.unlink()
    return key, certificate
