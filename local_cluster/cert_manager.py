"""cert-manager as an add-on: its controller, which issues certificates into Secrets and renews them.

The admission webhook is left out: it refuses mistakes earlier than the controller tells them. So is the injector of authorities,
which serves that webhook.
"""

import json
from functools import partial
from pathlib import Path
from typing import Any

from local_cluster import addresses
from local_cluster.certificates import ensure_kubeconfig
from local_cluster.control_plane import apply_definitions, bind_cluster_role, kubectl
from local_cluster.daemons import Daemon
from local_cluster.definitions import read_definitions
from local_cluster.downloads import answers_ok
from local_cluster.programs import program_path
from local_cluster.state import Cluster

PROGRAM = "cert-manager-controller"
NAME = "cert-manager"
"""Of its user, its role, and the namespace in which a ClusterIssuer's Secrets lie."""

WRITING = ["get", "list", "watch", "create", "update", "patch", "delete"]
RULES: list[dict[str, list[str]]] = [
    {"apiGroups": ["cert-manager.io", "acme.cert-manager.io"], "resources": ["*"], "verbs": WRITING},
    # What it answers an authority's questions with, and where certificates go.
    {"apiGroups": [""], "resources": ["secrets", "pods", "services"], "verbs": WRITING},
    {"apiGroups": [""], "resources": ["events"], "verbs": ["create", "patch"]},
    {"apiGroups": ["networking.k8s.io"], "resources": ["ingresses", "ingresses/finalizers"], "verbs": WRITING},
    {"apiGroups": ["authorization.k8s.io"], "resources": ["subjectaccessreviews"], "verbs": ["create"]},
]


def install_cert_manager(cluster: Cluster, ports: dict[str, int]) -> None:
    """Give the cluster cert-manager's kinds, namespace and rights."""
    del ports
    apply_definitions(cluster, read_definitions("cert-manager"))
    kubectl(cluster, "apply", "--filename", "-", text_input=json.dumps(render_objects()))
    bind_cluster_role(cluster, NAME, NAME)


def cert_manager_daemons(cluster: Cluster, ports: dict[str, int]) -> list[Daemon]:
    """The controller."""
    folder = cluster.addons_folder / NAME
    kubeconfig = ensure_kubeconfig(cluster, NAME, (), ports["kube-apiserver"], folder)
    metrics = f"{addresses.LOOPBACK}:{ports[PROGRAM]}"
    arguments: list[str | Path] = [
        program_path(PROGRAM),
        f"--kubeconfig={kubeconfig}",
        f"--cluster-resource-namespace={NAME}",
        f"--metrics-listen-address={metrics}",
        "--leader-elect=false",
    ]
    is_healthy = partial(answers_ok, f"http://{metrics}/metrics")
    return [Daemon(NAME, arguments, folder / f"{PROGRAM}.log", is_healthy, {"NO_PROXY": "*"})]


def render_objects() -> dict[str, Any]:
    """Its namespace, and what it may do."""
    bodies: list[dict[str, Any]] = [
        {"apiVersion": "v1", "kind": "Namespace"},
        {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "rules": RULES},
    ]
    return {"apiVersion": "v1", "kind": "List", "items": [{**body, "metadata": {"name": NAME}} for body in bodies]}
