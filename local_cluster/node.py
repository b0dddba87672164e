"""The real node of a cluster: a bridge, a way to the API server for pods, containerd, kubelet and kube-proxy."""

import json
import shutil
import socket
from collections.abc import Callable
from pathlib import Path

from local_cluster import addresses
from local_cluster.certificates import ensure_kubeconfig
from local_cluster.commands import try_run
from local_cluster.container_images import ctr, ensure_pause_image
from local_cluster.control_plane import ask_kubectl, kubectl
from local_cluster.daemons import START_SECONDS, Daemon, ensure_running
from local_cluster.downloads import answers_ok
from local_cluster.errors import MachineNotReady
from local_cluster.machine import cni_folder
from local_cluster.network import SYSCTLS, ensure_bridge, ensure_guard, read_sysctls, write_sysctls
from local_cluster.node_configuration import (
    node_name,
    render_containerd,
    render_kube_proxy,
    render_kubelet,
    render_network,
    render_recycler,
    render_storage,
    volume_folders,
)
from local_cluster.processes import find_processes, stop_process, wait_until
from local_cluster.programs import program_path
from local_cluster.state import Cluster, Record, save_record, write_whole
from local_cluster.steps import step

Report = Callable[[str], None]
RESOLVERS = (Path("/run/systemd/resolve/resolv.conf"), Path("/etc/resolv.conf"))
CONNECTION_END_SECONDS = 1.0


def prepare_node(cluster: Cluster, record: Record) -> None:
    """Make what must be there before the control plane starts: folders, kernel switches, bridge, configuration."""
    if not record.sysctls_before:
        record.sysctls_before = read_sysctls()
        save_record(cluster, record)
    for folder in (cluster.data_folder, cluster.run_folder, cluster.node_folder, cluster.registries_folder):
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o700)
    cluster.data_folder.chmod(0o711)  # Pods of other users than root look up their volumes and logs through it.
    for folder in volume_folders(cluster):
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o777)
    write_sysctls(SYSCTLS)
    ensure_bridge()
    ensure_guard()
    _write_configuration(cluster)


def _write_configuration(cluster: Cluster) -> None:
    cni = cni_folder()
    if cni is None:
        raise MachineNotReady(["the CNI plug-ins are missing: install containernetworking-plugins"])
    folder = cluster.node_folder
    resolver = next((path for path in RESOLVERS if path.exists()), RESOLVERS[-1])
    write_whole(folder / "containerd.toml", render_containerd(cluster, cni))
    write_whole(folder / "cni" / "10-scoring.conflist", json.dumps(render_network(cluster), indent=2))
    write_whole(folder / "kubelet.json", json.dumps(render_kubelet(cluster, resolver), indent=2))
    write_whole(folder / "recycler.json", json.dumps(render_recycler(), indent=2))


def raise_node(cluster: Cluster, record: Record) -> None:
    """Start what does not run of the node, wait until it is ready, and give the cluster its storage."""
    port = record.ports["kube-apiserver"]
    _end_connections_without_listener(cluster, port)
    logs = cluster.node_folder / "logs"
    forwarder = _forwarder(cluster, port)
    ensure_running(
        cluster, Daemon("API server for pods", forwarder, logs / "socat.log", lambda: _accepts_connections(port))
    )
    containerd: list[str | Path] = [_command("containerd"), "--config", cluster.node_folder / "containerd.toml"]
    ensure_running(
        cluster, Daemon("containerd", containerd, logs / "containerd.log", lambda: _containerd_answers(cluster))
    )
    with step("pause image") as report:
        ensure_pause_image(cluster, report)
    ensure_running(cluster, Daemon("kubelet", _kubelet(cluster, port), logs / "kubelet.log", _kubelet_answers))
    ensure_running(
        cluster, Daemon("kube-proxy", _kube_proxy(cluster, port), logs / "kube-proxy.log", _kube_proxy_answers)
    )
    with step("node ready"):
        wait_until(
            lambda: is_node_ready(cluster), f"{node_name(cluster)} is ready", START_SECONDS, logs / "kubelet.log"
        )
    with step("storage"):
        kubectl(cluster, "apply", "--filename", "-", text_input=json.dumps(render_storage(cluster)))


def is_node_ready(cluster: Cluster) -> bool:
    """Whether the API server believes that the node is ready."""
    path = "jsonpath={.status.conditions[?(@.type=='Ready')].status}"
    return ask_kubectl(cluster, "get", "node", node_name(cluster), "--output", path) == "True"


def _end_connections_without_listener(cluster: Cluster, port: int) -> None:
    """socat has a process for each connection: they outlive the one that listens, and would be taken for it."""
    if not _accepts_connections(port):
        for process in find_processes(cluster, ["socat"]):
            stop_process(process, CONNECTION_END_SECONDS)


def _accepts_connections(port: int) -> bool:
    try:
        with socket.create_connection((addresses.BRIDGE_ADDRESS, port), timeout=2):
            return True
    except OSError:
        return False


def _command(name: str) -> str:
    path = shutil.which(name)
    if path is None:
        raise MachineNotReady([f"{name} is not on the path"])
    return path


def _forwarder(cluster: Cluster, port: int) -> list[str | Path]:
    """Pods reach the API server, which listens on loopback, at the bridge's address."""
    listen = f"TCP-LISTEN:{port},bind={addresses.BRIDGE_ADDRESS},reuseaddr,fork,backlog=128"
    log = cluster.node_folder / "logs" / "forwarder.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    return [_command("socat"), "-lf", log, listen, f"TCP:{addresses.LOOPBACK}:{port}"]


def _kubelet(cluster: Cluster, port: int) -> list[str | Path]:
    name = node_name(cluster)
    kubeconfig = ensure_kubeconfig(cluster, f"system:node:{name}", ("system:nodes",), port)
    return [
        program_path("kubelet"),
        f"--config={cluster.node_folder}/kubelet.json",
        f"--kubeconfig={kubeconfig}",
        f"--root-dir={cluster.data_folder}/kubelet",
        f"--cert-dir={cluster.data_folder}/kubelet/pki",
        f"--hostname-override={name}",
        f"--node-ip={addresses.BRIDGE_ADDRESS}",
        "--node-labels=scoring.dev/node=real",
    ]


def _kube_proxy(cluster: Cluster, port: int) -> list[str | Path]:
    kubeconfig = ensure_kubeconfig(cluster, "system:kube-proxy", (), port)
    configuration = cluster.node_folder / "kube-proxy.json"
    write_whole(configuration, json.dumps(render_kube_proxy(cluster, kubeconfig), indent=2))
    return [program_path("kube-proxy"), f"--config={configuration}"]


def _containerd_answers(cluster: Cluster) -> bool:
    return try_run(ctr(cluster, "version"), timeout_seconds=5) is not None


def _kubelet_answers() -> bool:
    return answers_ok(f"http://{addresses.LOOPBACK}:{addresses.KUBELET_HEALTH_PORT}/healthz")


def _kube_proxy_answers() -> bool:
    return answers_ok(f"http://{addresses.LOOPBACK}:{addresses.KUBE_PROXY_HEALTH_PORT}/livez")
