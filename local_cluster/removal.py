"""Removes everything of a cluster from the machine, whatever state it is in, and says what remains."""

import contextlib
import os
import signal
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from local_cluster import addresses, network
from local_cluster.commands import try_run
from local_cluster.errors import NotHealthy
from local_cluster.node_configuration import network_name
from local_cluster.processes import ADDONS, CONTROL_PLANE, TOOLS, find_processes, stop_process, wait_until
from local_cluster.state import Cluster, Record, remove_folder

CGROUPS = Path("/sys/fs/cgroup")
KIND_SECONDS = 2.0
"""After a kind request to end; nothing of what is removed here needs more time to save something."""
POD_CGROUP = "kubepods"
SHIM_SOCKETS = Path("/run/containerd/s")
DEVICE_PLUGINS = Path("/var/lib/kubelet/device-plugins")
CNI_RESULTS = Path("/var/lib/cni/results")
CONTAINER_LOGS = Path("/var/log/containers")
STOP_ORDER = (
    TOOLS,
    ADDONS,
    ("kubelet",),
    ("kube-proxy", "socat"),
    ("containerd-shim-runc-v2",),
    ("containerd",),
    CONTROL_PLANE,
)
"""First what would start again what is stopped, so the add-ons and the kubelet; the API server's programs last."""


def has_node(cluster: Cluster, record: Record | None) -> bool:
    """Whether a real node belongs to the cluster; without a readable record, its folders tell."""
    if record is not None:
        return record.node == "real"
    return any(folder.exists() for folder in (cluster.data_folder, cluster.run_folder))


def remove_cluster(cluster: Cluster, record: Record | None) -> Iterator[str]:
    """Remove the cluster part by part; gives a word on each thing that was there."""
    node = has_node(cluster, record)
    for programs in STOP_ORDER:
        yield from _stop(cluster, programs)
        if node and programs == ("kubelet",):
            yield from _remove_pod_cgroups()
    if node:
        yield from _remove_mounts(cluster)
        yield from network.remove_bridge()
        yield from network.remove_chains(network_name(cluster))
        network.remove_tracked_connections()
        yield from _remove_traces(cluster)
        if record and (changed := network.write_sysctls(record.sysctls_before)):
            yield f"kernel switches {', '.join(changed)} (as before)"
    yield from _remove_folders(cluster)


def _remove_folders(cluster: Cluster) -> Iterator[str]:
    if find_mounts(cluster):
        return  # Never delete through a mount: what is behind it may belong to somebody else.
    for folder in (cluster.data_folder, cluster.run_folder, cluster.folder):
        if remove_folder(folder):
            yield f"folder {folder}"
        with contextlib.suppress(OSError):
            folder.parent.rmdir()


def _stop(cluster: Cluster, programs: tuple[str, ...]) -> Iterator[str]:
    for process in find_processes(cluster, programs):
        if stop_process(process, KIND_SECONDS):
            yield f"process {process.pid} ({process.program})"


def _pod_cgroups() -> list[Path]:
    """The pods' cgroups, of each hierarchy (version 1) or the only one (version 2)."""
    tops = [CGROUPS / POD_CGROUP, *CGROUPS.glob(f"*/{POD_CGROUP}")]
    return [top for top in tops if top.is_dir() and not top.parent.is_symlink()]


def _remove_pod_cgroups() -> Iterator[str]:
    for top in _pod_cgroups():
        with contextlib.suppress(NotHealthy):
            wait_until(partial(_remove_cgroup, top), f"{top} is empty", 10)
        if not top.exists():
            yield f"control group {top}"


def _remove_cgroup(top: Path) -> bool:
    """End the containers' processes in a cgroup and remove it from its leaves up; whether it is gone."""
    for folder, _, _ in os.walk(top, topdown=False):
        for pid in _read_pids(Path(folder) / "cgroup.procs"):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        with contextlib.suppress(OSError):
            Path(folder).rmdir()
    return not top.exists()


def _read_pids(path: Path) -> list[int]:
    try:
        return [int(word) for word in path.read_text().split()]
    except OSError:
        return []


def find_mounts(cluster: Cluster, table: Path = Path("/proc/self/mountinfo")) -> list[Path]:
    """What is mounted under the cluster's folders, innermost first."""
    folders = tuple(f"{folder}/" for folder in (cluster.data_folder, cluster.run_folder))
    # Spaces and the like are written as octal numbers.
    points = (line.split()[4].encode().decode("unicode_escape") for line in table.read_text().splitlines())
    return sorted((Path(point) for point in points if point.startswith(folders)), reverse=True)


def _remove_mounts(cluster: Cluster) -> Iterator[str]:
    mounts = find_mounts(cluster)
    for mount in mounts:
        if try_run(["umount", mount]) is None:
            try_run(["umount", "--lazy", mount])
    if mounts:
        yield f"{len(mounts)} mounts"


def _remove_traces(cluster: Cluster) -> Iterator[str]:
    """Remove the files that the node's programs put into places that cannot be chosen."""
    files = [*_our_network_results(cluster), *_our_log_links(cluster), *_dead_sockets()]
    files += [path for path in DEVICE_PLUGINS.glob("*") if not path.is_dir()]
    for path in files:
        path.unlink(missing_ok=True)
    for folder in (CNI_RESULTS, CONTAINER_LOGS, SHIM_SOCKETS, DEVICE_PLUGINS):
        for place in (folder, folder.parent):
            with contextlib.suppress(OSError):
                if place.name in ("results", "cni", "containers", "s", "containerd", "device-plugins", "kubelet"):
                    place.rmdir()
    if files:
        yield f"{len(files)} files outside the cluster's folders"


def _our_network_results(cluster: Cluster) -> list[Path]:
    """CNI's notes on our pods; those of the loopback device name the pod only, so they are found by its number."""
    prefix = f"{network_name(cluster)}-"
    ours = [path for path in CNI_RESULTS.glob(f"{prefix}*") if path.name.endswith("-eth0")]
    pods = [path.name.removeprefix(prefix).removesuffix("-eth0") for path in ours]
    return [*ours, *(CNI_RESULTS / f"cni-loopback-{pod}-lo" for pod in pods)]


def _our_log_links(cluster: Cluster) -> list[Path]:
    links = [path for path in CONTAINER_LOGS.glob("*.log") if path.is_symlink()]
    return [path for path in links if str(path.readlink()).startswith(f"{cluster.data_folder}/")]


def _dead_sockets() -> list[Path]:
    """Sockets of containerd's shims to which nobody listens any more."""
    alive = Path("/proc/net/unix").read_text()
    return [path for path in SHIM_SOCKETS.glob("*") if str(path) not in alive]


def find_leftovers(cluster: Cluster) -> list[str]:
    """What is still there of the cluster after its removal, in words."""
    left = [f"process {process.pid} ({process.program})" for process in find_processes(cluster)]
    left += [f"folder {path}" for path in (cluster.folder, cluster.data_folder, cluster.run_folder) if path.exists()]
    left += [f"mount {path}" for path in find_mounts(cluster)]
    return left


def find_node_leftovers(cluster: Cluster) -> list[str]:
    """What is still there of a real node after its removal, in words; a machine has one node at most."""
    left = [f"control group {path}" for path in _pod_cgroups()]
    if Path("/sys/class/net", addresses.BRIDGE_DEVICE).exists():
        left.append(f"network device {addresses.BRIDGE_DEVICE}")
    return left + network.find_chains(network_name(cluster))
