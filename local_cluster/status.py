"""What of a cluster runs, and where it answers: what `status` prints."""

from dataclasses import asdict, dataclass
from typing import Any

from local_cluster import addresses
from local_cluster.control_plane import is_api_ready
from local_cluster.node import is_node_ready
from local_cluster.ports import ADDON_PORTS
from local_cluster.processes import CONTROL_PLANE, find_processes
from local_cluster.state import Cluster, Record

NODE_PARTS = {
    "socat": "API server for pods",
    "containerd": "containerd",
    "kubelet": "kubelet",
    "kube-proxy": "kube-proxy",
}


@dataclass(frozen=True)
class Part:
    """One program of a cluster: where it answers, and its process number if it runs."""

    name: str
    address: str
    pid: int | None


@dataclass(frozen=True)
class Status:
    """A cluster as it is now."""

    name: str
    node: str
    kubeconfig: str
    server: str
    host_address: str
    """The address at which pods reach this machine; empty without a real node."""
    api_ready: bool
    node_ready: bool | None
    parts: list[Part]
    ports: dict[str, int]
    """All ports by name, those of a second door of a program included, such as traefik/https."""

    @property
    def healthy(self) -> bool:
        """Whether everything runs and answers."""
        return self.api_ready and self.node_ready is not False and all(part.pid for part in self.parts)

    def as_json(self) -> dict[str, Any]:
        """All of it for `--output json`."""
        words = {"kubeconfig": self.kubeconfig, "server": self.server, "hostAddress": self.host_address}
        ready = {"healthy": self.healthy, "apiReady": self.api_ready, "nodeReady": self.node_ready}
        parts = [asdict(part) for part in self.parts]
        return {"name": self.name, "node": self.node, **words, **ready, "parts": parts, "ports": self.ports}


def read_status(cluster: Cluster, record: Record) -> Status:
    """Look at the processes and ask the API server."""
    is_real = record.node == "real"
    return Status(
        name=cluster.name,
        node=record.node,
        kubeconfig=str(cluster.kubeconfig),
        server=f"https://{addresses.LOOPBACK}:{record.ports.get('kube-apiserver', 0)}",
        host_address=addresses.BRIDGE_ADDRESS if is_real else "",
        api_ready=record.created and is_api_ready(cluster),
        node_ready=is_node_ready(cluster) if is_real else None,
        parts=_read_parts(cluster, record),
        ports=record.ports,
    )


def _read_parts(cluster: Cluster, record: Record) -> list[Part]:
    # socat has a child for each connection: the first of a name is the one that was started.
    running = {process.program: process.pid for process in reversed(find_processes(cluster))}
    parts = {name: f"{addresses.LOOPBACK}:{record.ports.get(name, 0)}" for name in CONTROL_PLANE}
    if record.node == "real":
        parts |= {
            "socat": f"{addresses.BRIDGE_ADDRESS}:{record.ports.get('kube-apiserver', 0)}",
            "containerd": str(cluster.containerd_socket),
            "kubelet": f"{addresses.BRIDGE_ADDRESS}:{addresses.KUBELET_PORT}",
            "kube-proxy": f"{addresses.LOOPBACK}:{addresses.KUBE_PROXY_HEALTH_PORT}",
        }
    programs = (name for addon in record.addons for name in ADDON_PORTS[addon] if "/" not in name)
    parts |= {name: f"{addresses.LOOPBACK}:{record.ports.get(name, 0)}" for name in programs}
    return [Part(NODE_PARTS.get(name, name), address, running.get(name)) for name, address in parts.items()]
