"""Chooses the ports of a cluster: free now, not those of another cluster, and outside the range for outgoing connections."""

import socket
from collections.abc import Iterable, Sequence

from local_cluster.errors import LocalClusterError
from local_cluster.state import Addon

CONTROL_PLANE_PORTS = (
    "kube-apiserver",
    "etcd",
    "etcd-peer",
    "kube-controller-manager",
    "kube-scheduler",
    "kwok-controller",
    "metrics-server",
)
ADDON_PORTS: dict[Addon, tuple[str, ...]] = {
    Addon.CERT_MANAGER: ("cert-manager-controller",),
    Addon.FLUX: ("kustomize-controller", "kustomize-controller/health"),
    Addon.KARPENTER: ("karpenter", "karpenter/health"),
    Addon.KEDA: (
        "keda-operator",
        "keda-operator/health",
        "keda-operator/metrics",
        "keda-adapter",
        "keda-adapter/metrics",
    ),
    Addon.PROMETHEUS: ("prometheus",),
    Addon.TRAEFIK: ("traefik", "traefik/https", "traefik/health"),
}
"""Named after the programs; a second one of the same program has a word after a slash."""
RANGE = range(21000, 29000)
"""Below 32768, from where Linux takes the ports of outgoing connections, and below the NodePorts (30000 to 32767)."""


def is_free(port: int, address: str = "127.0.0.1") -> bool:
    """Whether nothing listens on the port of an address of this machine."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError:
            return False
    return True


def choose_ports(names: Sequence[str], taken: Iterable[int]) -> dict[str, int]:
    """A free port for each name, none of those taken."""
    closed = set(taken)
    candidates = (port for port in RANGE if port not in closed and is_free(port))
    chosen = dict(zip(names, candidates, strict=False))
    if len(chosen) < len(names):
        raise LocalClusterError(f"no free ports left between {RANGE.start} and {RANGE.stop - 1}")
    return chosen
