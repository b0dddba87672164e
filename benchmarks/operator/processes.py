"""Processor time and memory of a process that is not ours to end, and an operator as one that is. Lowest layer."""

import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from pathlib import Path

from benchmarks.serving.errors import BenchmarkError

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

    def __init__(
        self, command: Sequence[str | Path], environment: Mapping[str, str], health_url: str, log: Path
    ) -> None:
        """Take what starts it, variables beside those of this process, and the URL that answers 200 when it is healthy."""
        self._command = command
        self._environment = environment
        self._health_url = health_url
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The process id; raises BenchmarkError when it does not run."""
        if self._process is None or self._process.poll() is not None:
            raise BenchmarkError(f"The operator does not run; its log is {self._log}.")
        return self._process.pid

    def start(self) -> float:
        """Start it and wait until it is healthy; return the seconds that took."""
        environment = {**os.environ, **self._environment}
        started = time.perf_counter()
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(self._command, env=environment, stdout=log, stderr=log)
        while not _is_healthy(self._health_url):
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


def _is_healthy(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as response:
            return bool(response.status == HTTPStatus.OK)
    except (OSError, urllib.error.URLError):
        return False
