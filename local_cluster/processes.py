"""Finds, starts and stops the processes of a cluster.

A process belongs to a cluster when its program is one of ours and one of its arguments lies in the cluster's folders.
Nothing is ever stopped by name or by a remembered number alone.
"""

import os
import select
import signal
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from local_cluster.errors import NotHealthy
from local_cluster.state import Cluster

CONTROL_PLANE = (
    "etcd",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "kwok-controller",
    "metrics-server",
)
NODE = ("kube-proxy", "kubelet", "containerd", "containerd-shim-runc-v2", "socat")
ADDONS = (
    "cert-manager-controller",
    "karpenter",
    "keda-operator",
    "keda-adapter",
    "kustomize-controller",
    "prometheus",
    "traefik",
)
TOOLS = ("kwokctl", "ctr")
"""What runs for a moment, but goes on when this program is killed in that moment."""
PROGRAMS = (*TOOLS, *CONTROL_PLANE, *NODE, *ADDONS)


@dataclass(frozen=True)
class Process:
    """A process that was seen: number and start time together name it for as long as the machine runs."""

    pid: int
    started_ticks: int
    arguments: tuple[str, ...]

    @property
    def program(self) -> str:
        """File name of the program, without its folder."""
        return Path(self.arguments[0]).name


def read_process(pid: int, root: Path = Path("/proc")) -> Process | None:
    """What /proc says of a process; None when it is gone, ended (a zombie) or has no arguments (a kernel thread)."""
    try:
        stat = (root / str(pid) / "stat").read_text()
        arguments = (root / str(pid) / "cmdline").read_bytes()
    except OSError:
        return None
    # The program's name stands in brackets and may hold anything: count from the last bracket.
    fields = stat.rpartition(")")[2].split()
    if not arguments or fields[0] in "ZX":
        return None
    words = tuple(word.decode(errors="replace") for word in arguments.rstrip(b"\0").split(b"\0"))
    return Process(pid, int(fields[19]), words)


def is_part_of(process: Process, cluster: Cluster) -> bool:
    """Whether the process is one of ours and works in this cluster's folders."""
    if process.program not in PROGRAMS:
        return False
    folders = tuple(f"{folder}/" for folder in (cluster.folder, cluster.data_folder, cluster.run_folder))
    return any(word.rpartition("=")[2].startswith(folders) for word in process.arguments)


def all_processes() -> list[Process]:
    """The machine's running processes, in the order of their numbers."""
    pids = sorted(int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit())
    return [process for process in map(read_process, pids) if process]


def find_processes(cluster: Cluster, programs: Iterable[str] = PROGRAMS) -> list[Process]:
    """The running processes of a cluster, in the order in which they were started: a parent before its children."""
    wanted = set(programs)
    found = [process for process in all_processes() if process.program in wanted and is_part_of(process, cluster)]
    # Not by their numbers, which begin anew after the highest one.
    return sorted(found, key=lambda process: (process.started_ticks, process.pid))


def start_process(arguments: Sequence[str | Path], log: Path, environment: Mapping[str, str] | None = None) -> int:
    """Start a process that outlives this program; its output is appended to the log. Returns its number."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        process = subprocess.Popen(
            [str(argument) for argument in arguments],
            env={**os.environ, **(environment or {})},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            cwd="/",
        )
    return process.pid


def stop_process(process: Process, timeout_seconds: float = 10) -> bool:
    """End exactly this process, first kindly, then by force; answers whether it is gone."""
    try:
        handle = os.pidfd_open(process.pid)
    except ProcessLookupError:
        return True
    try:
        # The handle keeps its number from being given away; only now is it sure whom the signal reaches.
        if read_process(process.pid) != process:
            return True
        return any(_end(handle, ending, timeout_seconds) for ending in (signal.SIGTERM, signal.SIGKILL))
    except ProcessLookupError:
        return True
    finally:
        os.close(handle)


def _end(handle: int, ending: signal.Signals, timeout_seconds: float) -> bool:
    signal.pidfd_send_signal(handle, ending)
    return bool(select.select([handle], [], [], timeout_seconds)[0])


def wait_until(condition: Callable[[], bool], what: str, timeout_seconds: float, log: Path | None = None) -> None:
    """Ask again until the condition holds; NotHealthy, with the end of the log, when it does not in time."""
    deadline = time.monotonic() + timeout_seconds
    while not condition():
        if time.monotonic() > deadline:
            tail = f"; the end of {log}:\n{log_tail(log)}" if log else ""
            raise NotHealthy(f"{what} within {timeout_seconds:g} s: no{tail}")
        time.sleep(0.1)


def log_tail(log: Path, lines: int = 12) -> str:
    """The last lines of a log; empty when there is none."""
    try:
        return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])
    except OSError:
        return ""
