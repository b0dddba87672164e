"""Processor time and memory of a process that is not ours to end, and the operator as one that is. Lowest layer."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from http import HTTPStatus
from pathlib import Path

from benchmarks.serving.errors import BenchmarkError

RUNTIME_IMAGES = '{"sklearn": "localhost/runtime-sklearn:benchmark"}'
_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
_USER_TICKS, _SYSTEM_TICKS = 11, 12
_START_SECONDS = 120.0
_POLL_SECONDS = 0.02


def count_cpu_seconds(pid: int) -> float:
    """Return the processor time that a process has used so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[_USER_TICKS]) + int(fields[_SYSTEM_TICKS])) / _TICKS_PER_SECOND


def read_memory(pid: int) -> dict[str, float]:
    """Return mebibytes of a process: resident now, resident at its peak, and its share (PSS)."""
    found = {}
    for file, name in (("status", "VmRSS"), ("status", "VmHWM"), ("smaps_rollup", "Pss")):
        lines = Path(f"/proc/{pid}/{file}").read_text().splitlines()
        found[name] = next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:")) / 1024
    return {
        "rss_mib": round(found["VmRSS"], 1),
        "peak_rss_mib": round(found["VmHWM"], 1),
        "pss_mib": round(found["Pss"], 1),
    }


class Operator:
    """One operator, which can be ended and started again; its log goes to a file."""

    def __init__(self, kubeconfig: Path, log: Path) -> None:
        self._kubeconfig = kubeconfig
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The process id; raises BenchmarkError when it does not run."""
        if self._process is None or self._process.poll() is not None:
            raise BenchmarkError(f"The operator does not run; its log is {self._log}.")
        return self._process.pid

    def start(self) -> float:
        """Start it and wait until it is healthy, which it says once it has listed everything; return the seconds that took."""
        port = find_free_port()
        environment = {
            **os.environ,
            "KUBECONFIG": str(self._kubeconfig),
            "SCORING_OPERATOR_RUNTIME_IMAGES": RUNTIME_IMAGES,
            "SCORING_OPERATOR_HEALTH_PORT": str(port),
            "SCORING_OPERATOR_RESYNC_SECONDS": "3600",
            "SCORING_OPERATOR_LEADER_ELECTION": "false",
        }
        program = Path(sys.executable).with_name("scoring-operator")
        started = time.perf_counter()
        with self._log.open("ab") as log:
            self._process = subprocess.Popen([program], env=environment, stdout=log, stderr=log)
        while not _is_healthy(port):
            if time.perf_counter() - started > _START_SECONDS:
                raise BenchmarkError(f"The operator is not healthy after {_START_SECONDS:.0f} s: {self._log}.")
            _ = self.pid
            time.sleep(_POLL_SECONDS)
        return time.perf_counter() - started

    def stop(self) -> None:
        """End it as the kubelet does."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            self._process.wait(timeout=30)
        self._process = None


def find_free_port() -> int:
    """Return a TCP port of the loopback that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _is_healthy(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=5) as response:
            return bool(response.status == HTTPStatus.OK)
    except (OSError, urllib.error.URLError):
        return False
