"""Checks what the machine lacks, all at once and before anything is started, and installs Debian's packages."""

import ipaddress
import os
import platform
import shutil
from pathlib import Path

from local_cluster import addresses
from local_cluster.commands import run, try_run
from local_cluster.ports import is_free
from local_cluster.processes import all_processes, find_processes
from local_cluster.programs import program_problems
from local_cluster.releases import needed_programs
from local_cluster.state import Cluster, NodeKind, Record, cache_folder, other_clusters, state_folder

CONTROL_PLANE_COMMANDS = {"openssl": "openssl"}
NODE_COMMANDS = {
    "containerd": "containerd",
    "runc": "runc",
    "ip": "iproute2",
    "iptables": "iptables",
    "conntrack": "conntrack",
    "socat": "socat",
    "buildah": "buildah",
    "debootstrap": "debootstrap",
    "mount": "mount",
}
"""Commands that a real node needs and Debian's packages that hold them."""

CNI_FOLDERS = (Path("/opt/cni/bin"), Path("/usr/lib/cni"), Path("/usr/libexec/cni"))
CNI_PLUGINS = ("bridge", "host-local", "portmap", "loopback")
BUSYBOX = Path("/bin/busybox")
CONTROLLERS = ("cpu", "cpuset", "memory", "pids")
NEEDED_GIBIBYTES = {"none": 2, "real": 20}
MENDING_GIBIBYTES = 2
"""For a cluster that is there: what the others are for, its images, may lie on the disk already."""

GIBIBYTE = 1 << 30
OTHER_NODES = ("kubelet", "kube-proxy", "k3s", "rke2", "k0s")


def cni_folder() -> Path | None:
    """The folder that has all CNI plug-ins that the node's network needs; None without one."""
    return next((folder for folder in CNI_FOLDERS if all((folder / name).exists() for name in CNI_PLUGINS)), None)


def missing_packages(node: NodeKind) -> list[str]:
    """Debian's names of the packages that the machine lacks."""
    commands = CONTROL_PLANE_COMMANDS if node == "none" else CONTROL_PLANE_COMMANDS | NODE_COMMANDS
    missing = {package for command, package in commands.items() if shutil.which(command) is None}
    if node == "real" and cni_folder() is None:
        missing.add("containernetworking-plugins")
    if node == "real" and not is_static_busybox(BUSYBOX):
        missing.add("busybox-static")
    return sorted(missing)


def is_static_busybox(path: Path) -> bool:
    """Whether this is a busybox that runs in an otherwise empty image, so one that needs no library."""
    # ldd fails for a program without a dynamic loader.
    return path.exists() and try_run(["ldd", path]) is None


def can_install_packages() -> bool:
    """Whether this program may install packages itself: it is root and the machine has apt-get."""
    return os.geteuid() == 0 and shutil.which("apt-get") is not None


def install_packages(packages: list[str]) -> None:
    """Install Debian's packages without their recommendations; CommandFailed when that fails."""
    quiet = {"DEBIAN_FRONTEND": "noninteractive"}
    command = ["apt-get", "install", "--yes", "--quiet", "--no-install-recommends", *packages]
    # containerd's package would start its own service, which nobody here needs; this forbids it for this one call.
    policy = Path("/usr/sbin/policy-rc.d")
    ours = not policy.exists()
    if ours:
        policy.write_text("#!/bin/sh\nexit 101\n")
        policy.chmod(0o755)
    try:
        run(["apt-get", "update", "--quiet"], environment=quiet, timeout_seconds=300)
        run(command, environment=quiet, timeout_seconds=600)
    finally:
        if ours:
            policy.unlink(missing_ok=True)


def find_problems(cluster: Cluster, record: Record) -> list[str]:
    """Everything that keeps the cluster from starting, in sentences that say what to do; empty when nothing does."""
    if platform.system() != "Linux":
        return [f"this is {platform.system()}: the local cluster needs Linux; use `--provider kind` elsewhere"]
    problems = _package_problems(record.node) + program_problems(needed_programs(record))
    problems += _disk_problems(cluster, record) + _port_problems(cluster, record)
    return problems + (_node_problems(cluster) if record.node == "real" else [])


def _port_problems(cluster: Cluster, record: Record) -> list[str]:
    """Ports that were chosen for parts which do not run now, and that somebody else took in the meantime."""
    running = {process.program for process in find_processes(cluster)}
    owners = {name: "etcd" if name == "etcd-peer" else name.partition("/")[0] for name in record.ports}
    taken = [
        f"{port} ({name})" for name, port in record.ports.items() if owners[name] not in running and not is_free(port)
    ]
    if not taken or not record.created:
        return []
    return [f"ports {', '.join(taken)} are taken by other programs: end those, or `down` and `up` to get other ports"]


def _package_problems(node: NodeKind) -> list[str]:
    packages = missing_packages(node)
    if not packages or can_install_packages():
        return []
    return [f"missing packages: as root, `apt-get install {' '.join(packages)}` (other systems name them alike)"]


def _disk_problems(cluster: Cluster, record: Record) -> list[str]:
    folders = {cache_folder(), state_folder()} | ({cluster.data_folder} if record.node == "real" else set())
    needed_gibibytes = MENDING_GIBIBYTES if record.created else NEEDED_GIBIBYTES[record.node]
    problems = []
    for folder in sorted(folders):
        free = shutil.disk_usage(_existing_parent(folder)).free
        if free < needed_gibibytes * GIBIBYTE:
            needed = f"{needed_gibibytes} GiB must be free at {folder}"
            problems.append(f"{needed}, {free / GIBIBYTE:.1f} GiB are: make room")
    return problems


def _existing_parent(folder: Path) -> Path:
    return next(parent for parent in (folder, *folder.parents) if parent.exists())


def _node_problems(cluster: Cluster) -> list[str]:
    if os.geteuid() != 0:
        return ["a real node needs root: run this as root, or use `--node none` for a control plane alone"]
    problems = [*_cgroup_problems(), *_kernel_problems()]
    for other, record in other_clusters(cluster):
        if record.node == "real":
            problems.append(f"cluster {other.name!r} has the real node, of which a machine has one: take it down first")
    if not find_processes(cluster):
        problems += _conflict_problems()
    return problems


def _cgroup_problems() -> list[str]:
    unified = Path("/sys/fs/cgroup/cgroup.controllers")
    available = unified.read_text().split() if unified.exists() else []
    available += [entry.name for entry in unified.parent.glob("*") if (entry / "tasks").exists()]
    missing = [name for name in CONTROLLERS if name not in available]
    if not missing:
        return []
    return [
        f"cgroup controllers {', '.join(missing)} are not mounted under /sys/fs/cgroup: mount them (cgroup v1 or v2)"
    ]


def _kernel_problems() -> list[str]:
    for module in ("overlay", "br_netfilter"):
        try_run(["modprobe", module])
    problems = []
    if "overlay" not in Path("/proc/filesystems").read_text():
        problems.append("the kernel has no overlay file system: use a kernel with CONFIG_OVERLAY_FS")
    if not Path("/proc/sys/net/bridge").exists():
        problems.append("the kernel has no br_netfilter: use a kernel with CONFIG_BRIDGE_NETFILTER")
    return problems


def _conflict_problems() -> list[str]:
    """What somebody else's cluster or network would fight about; asked only while nothing of ours runs."""
    loopback_ports = (
        addresses.KUBELET_HEALTH_PORT,
        addresses.KUBE_PROXY_METRICS_PORT,
        addresses.KUBE_PROXY_HEALTH_PORT,
    )
    problems = [f"port {port} is taken: end what listens there" for port in loopback_ports if not is_free(port)]
    for process in all_processes():
        if process.program in OTHER_NODES:
            problems.append(f"process {process.pid} ({process.program}) is a Kubernetes node already: end it first")
    routes = try_run(["ip", "-4", "route", "show"]) or ""
    for line in routes.splitlines():
        words = line.split()
        if words and addresses.BRIDGE_DEVICE not in words and _overlaps_ours(words[0]):
            problems.append(f"the route `{line.strip()}` overlaps the cluster's addresses: remove it")
    return problems


def _overlaps_ours(destination: str) -> bool:
    try:
        network = ipaddress.ip_network(destination, strict=False)
    except ValueError:
        return False
    return any(network.overlaps(ipaddress.ip_network(ours)) for ours in (addresses.POD_RANGE, addresses.SERVICE_RANGE))
