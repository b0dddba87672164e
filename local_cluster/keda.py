"""KEDA as an add-on: its operator and its metrics adapter, as themselves and with the rights of its own manifests.

The admission webhooks are left out: they only refuse mistakes in ScaledObjects earlier than the operator tells them.
"""

import base64
import json
from functools import partial
from pathlib import Path
from typing import Any

from local_cluster import addresses
from local_cluster.certificates import ensure_kubeconfig, ensure_server_certificate
from local_cluster.control_plane import apply_definitions, ask_kubectl, kubectl
from local_cluster.daemons import Daemon
from local_cluster.definitions import SOURCES, read_definitions
from local_cluster.downloads import answers_ok
from local_cluster.programs import program_path
from local_cluster.state import Cluster

NAMESPACE = "keda"
SERVICE = "keda-metrics-apiserver"
API = "v1beta1.external.metrics.k8s.io"
USER = f"system:serviceaccount:{NAMESPACE}:keda-operator"
"""The service account of KEDA's manifests: certificates name it, so the manifests' bindings hold for both programs."""

GROUPS = ("system:serviceaccounts", f"system:serviceaccounts:{NAMESPACE}")
MANIFESTS = (
    "config/general/namespace.yaml",
    "config/service_account/service_account.yaml",
    "config/rbac/role.yaml",
    "config/rbac/role_binding.yaml",
    "config/metrics-server/role.yaml",
    "config/metrics-server/role_binding.yaml",
)
ENVIRONMENT = {
    "WATCH_NAMESPACE": "",
    "POD_NAMESPACE": NAMESPACE,
    "KEDA_CLUSTER_OBJECT_NAMESPACE": NAMESPACE,
    "NO_PROXY": "*",  # What it asks for metrics is of this cluster or of this machine.
}


def install_keda(cluster: Cluster, ports: dict[str, int]) -> None:
    """Give the cluster KEDA's kinds and rights, and the API of external metrics."""
    certificates = cluster.addons_folder / "keda" / "certificates"
    ensure_server_certificate(cluster, certificates, f"{SERVICE}.{NAMESPACE}.svc")
    apply_definitions(cluster, read_definitions("keda"))
    module = SOURCES["keda"].folder
    files = [f"--filename={module / path}" for path in MANIFESTS]
    kubectl(cluster, "apply", "--server-side", "--force-conflicts", *files)
    api = json.dumps(render_api(certificates / "ca.crt", ports["keda-adapter"]))
    kubectl(cluster, "apply", "--filename", "-", text_input=api)


def keda_daemons(cluster: Cluster, ports: dict[str, int]) -> list[Daemon]:
    """The operator, and the adapter that serves its metrics."""
    folder = cluster.addons_folder / "keda"
    kubeconfig = ensure_kubeconfig(cluster, USER, GROUPS, ports["kube-apiserver"], folder)
    return [_operator(folder, kubeconfig, ports), _adapter(cluster, folder, kubeconfig, ports)]


def render_api(authority: Path, port: int) -> dict[str, Any]:
    """The API of external metrics, which the API server passes on to the adapter on this machine."""
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": SERVICE, "namespace": NAMESPACE},
        "spec": {"type": "ExternalName", "externalName": "localhost"},
    }
    api = {
        "apiVersion": "apiregistration.k8s.io/v1",
        "kind": "APIService",
        "metadata": {"name": API},
        "spec": {
            "group": "external.metrics.k8s.io",
            "version": "v1beta1",
            "service": {"name": SERVICE, "namespace": NAMESPACE, "port": port},
            "caBundle": base64.b64encode(authority.read_bytes()).decode(),
            "groupPriorityMinimum": 100,
            "versionPriority": 100,
        },
    }
    return {"apiVersion": "v1", "kind": "List", "items": [service, api]}


def _operator(folder: Path, kubeconfig: Path, ports: dict[str, int]) -> Daemon:
    health = f"{addresses.LOOPBACK}:{ports['keda-operator/health']}"
    arguments: list[str | Path] = [
        program_path("keda-operator"),
        f"--kubeconfig={kubeconfig}",
        f"--cert-dir={folder}/certificates",
        f"--metrics-service-bind-address={addresses.LOOPBACK}:{ports['keda-operator']}",
        f"--metrics-bind-address={addresses.LOOPBACK}:{ports['keda-operator/metrics']}",
        f"--health-probe-bind-address={health}",
    ]
    is_healthy = partial(answers_ok, f"http://{health}/readyz")
    return Daemon("KEDA", arguments, folder / "keda-operator.log", is_healthy, ENVIRONMENT)


def _adapter(cluster: Cluster, folder: Path, kubeconfig: Path, ports: dict[str, int]) -> Daemon:
    certificates = folder / "certificates"
    arguments: list[str | Path] = [
        program_path("keda-adapter"),
        *(f"--{kind}kubeconfig={kubeconfig}" for kind in ("", "lister-", "authentication-", "authorization-")),
        f"--bind-address={addresses.LOOPBACK}",
        f"--secure-port={ports['keda-adapter']}",
        f"--port={ports['keda-adapter/metrics']}",
        f"--metrics-service-address={addresses.LOOPBACK}:{ports['keda-operator']}",
        f"--client-ca-file={certificates}/ca.crt",
        f"--tls-cert-file={certificates}/tls.crt",
        f"--tls-private-key-file={certificates}/tls.key",
        f"--cert-dir={certificates}",
        "--zap-log-level=error",
    ]
    is_healthy = partial(_is_api_served, cluster)
    return Daemon("KEDA's metrics", arguments, folder / "keda-adapter.log", is_healthy, ENVIRONMENT)


def _is_api_served(cluster: Cluster) -> bool:
    path = "jsonpath={.status.conditions[?(@.type=='Available')].status}"
    return ask_kubectl(cluster, "get", "apiservice", API, "--output", path) == "True"
