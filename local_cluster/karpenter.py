"""Karpenter as an add-on, with its KWOK provider: it adds and removes fake nodes, as a cloud's provider does real ones."""

import json
from functools import partial
from pathlib import Path
from typing import Any

from local_cluster import addresses
from local_cluster.certificates import ensure_kubeconfig
from local_cluster.control_plane import apply_definitions, bind_cluster_role
from local_cluster.daemons import Daemon
from local_cluster.definitions import read_definitions
from local_cluster.downloads import answers_ok
from local_cluster.programs import program_path
from local_cluster.state import Cluster, write_whole

USER = "karpenter"
INSTANCE_TYPES: dict[str, tuple[float, dict[str, str]]] = {
    "cpu-4": (0.2, {"cpu": "4", "memory": "16Gi"}),
    "cpu-16": (0.8, {"cpu": "16", "memory": "64Gi"}),
    "gpu-1": (1.0, {"cpu": "8", "memory": "32Gi", "nvidia.com/gpu": "1"}),
    "gpu-4": (4.0, {"cpu": "32", "memory": "128Gi", "nvidia.com/gpu": "4"}),
}
"""What can be had: price in an hour, and resources."""


def install_karpenter(cluster: Cluster, ports: dict[str, int]) -> None:
    """Give the cluster Karpenter's kinds and rights. NodePools are the business of its user."""
    del ports
    types = json.dumps(render_instance_types(), indent=2)
    write_whole(cluster.addons_folder / "karpenter" / "instance-types.json", types)
    apply_definitions(cluster, read_definitions("karpenter"))
    # Its own chart's role is a template. It may do anything: it makes nodes, and evicts everybody's pods.
    bind_cluster_role(cluster, USER, "cluster-admin")


def karpenter_daemons(cluster: Cluster, ports: dict[str, int]) -> list[Daemon]:
    """The controller, with its own KWOK provider in it."""
    folder = cluster.addons_folder / "karpenter"
    kubeconfig = ensure_kubeconfig(cluster, USER, (), ports["kube-apiserver"], folder)
    arguments: list[str | Path] = [
        program_path("karpenter"),
        f"--instance-types-file-path={folder}/instance-types.json",
        f"--metrics-port={ports['karpenter']}",
        f"--health-probe-port={ports['karpenter/health']}",
        "--disable-leader-election=true",
    ]
    is_healthy = partial(answers_ok, f"http://{addresses.LOOPBACK}:{ports['karpenter/health']}/readyz")
    environment = {"KUBECONFIG": str(kubeconfig), "SYSTEM_NAMESPACE": "kube-system"}
    return [Daemon("Karpenter", arguments, folder / "karpenter.log", is_healthy, environment)]


def render_instance_types() -> list[dict[str, Any]]:
    """What nodes can be had, in the words of Karpenter's KWOK provider."""
    place = {"karpenter.sh/capacity-type": "on-demand", "topology.kubernetes.io/zone": "local"}
    requirements = [{"key": key, "operator": "In", "values": [value]} for key, value in place.items()]
    return [
        {
            "name": name,
            "architecture": "amd64",
            "operatingSystems": ["linux"],
            "resources": resources,
            "offerings": [{"Price": price, "Available": True, "Requirements": requirements}],
        }
        for name, (price, resources) in INSTANCE_TYPES.items()
    ]
