"""Client certificates of the node's programs, signed by the authority that kwokctl made for the cluster; by openssl."""

import json
from pathlib import Path

from local_cluster import addresses
from local_cluster.commands import run
from local_cluster.state import Cluster, write_whole

VALID_DAYS = 3650


def ensure_kubeconfig(cluster: Cluster, user: str, groups: tuple[str, ...], api_server_port: int) -> Path:
    """A kubeconfig for one of the node's programs; made once, with a certificate for the user and its groups."""
    path = cluster.node_folder / f"{user.replace(':', '-')}.kubeconfig"
    if not path.exists():
        key, certificate = _sign(cluster, user, groups)
        write_whole(path, json.dumps(render_kubeconfig(cluster, key, certificate, api_server_port), indent=2))
    return path


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


def _sign(cluster: Cluster, user: str, groups: tuple[str, ...]) -> tuple[Path, Path]:
    name = user.replace(":", "-")
    folder, authority = cluster.node_folder, cluster.folder / "pki"
    folder.mkdir(parents=True, exist_ok=True)
    key, request, certificate = (folder / f"{name}.{ending}" for ending in ("key", "csr", "crt"))
    subject = "".join(f"/O={group}" for group in groups) + f"/CN={user}"
    new_key = ("-newkey", "rsa:2048", "-nodes", "-keyout", key)
    run(["openssl", "req", "-new", *new_key, "-subj", subject, "-out", request])
    key.chmod(0o600)
    extensions = folder / "client.extensions"
    write_whole(extensions, "extendedKeyUsage=clientAuth\nkeyUsage=digitalSignature,keyEncipherment\n")
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
