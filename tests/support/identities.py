"""Users of a cluster as service accounts with tokens of their own: real identities that the API server authorises."""

from pathlib import Path

import yaml

from kubectl import Kubectl


def write_kubeconfig(kubectl: Kubectl, account: str, path: Path) -> Path:
    """Write the kubeconfig of a service account of kubectl's namespace, with a token for two hours, and return its path."""
    token = kubectl("create", "token", account, "--duration=2h").strip()
    configuration = yaml.safe_load(kubectl.kubeconfig.read_text())
    for user in configuration["users"]:
        user["user"] = {"token": token}
    path.write_text(yaml.safe_dump(configuration))
    path.chmod(0o600)
    return path


def become(kubectl: Kubectl, account: str, folder: Path) -> Kubectl:
    """Return kubectl as a service account of its namespace."""
    kubeconfig = write_kubeconfig(kubectl, account, folder / f"{account}.yaml")
    return Kubectl(kubectl.program, kubeconfig, kubectl.namespace)
