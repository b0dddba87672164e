"""Processor time and memory of a process with all its descendants, read from /proc. Lowest layer.

Servers start processes that leave their group, change their parent and overwrite their environment, so a process belongs to
the tree when its parent does, or when it carries the mark that the tree was started with; and once in, always in.
"""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

MARK = "SCORING_BENCHMARK_MARK"
TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")

_POLL_SECONDS = 0.05
_PARENT, _USER_TICKS, _SYSTEM_TICKS, _STARTED = 1, 11, 12, 19

Stat = list[str]


@dataclass(frozen=True)
class Memory:
    """Mebibytes of a tree: `pss` now, shared pages in equal parts; `peak_rss` the sum of each process's own peak."""

    pss: float
    peak_rss: float


class ProcessTree:
    """The processes that came from one, by (id, start time), so that an id used again is another process."""

    def __init__(self, root: int, mark: str) -> None:
        self._root = root
        self._mark = f"{MARK}={mark}".encode()
        self._known: set[tuple[int, str]] = set()

    def find_members(self) -> set[int]:
        """Return the ids of the processes that live now."""
        stats = dict(_read_stats())
        members = {pid for pid, stat in stats.items() if self._belongs(pid, stat)}
        found = members
        while found:
            found = {pid for pid, stat in stats.items() if int(stat[_PARENT]) in members} - members
            members |= found
        self._known |= {(pid, stats[pid][_STARTED]) for pid in members}
        return members

    def count_cpu_seconds(self) -> float:
        """Return the processor time that the living members have used."""
        stats = [_read_stat(pid) for pid in self.find_members()]
        return sum(int(stat[_USER_TICKS]) + int(stat[_SYSTEM_TICKS]) for stat in stats if stat) / TICKS_PER_SECOND

    def measure_memory(self) -> Memory:
        """Return the memory of the living members."""
        members = self.find_members()
        pss = sum(_read_kibibytes(pid, "smaps_rollup", "Pss") for pid in members)
        peak_rss = sum(_read_kibibytes(pid, "status", "VmHWM") for pid in members)
        return Memory(pss / 1024, peak_rss / 1024)

    def end(self, root: subprocess.Popen[bytes], seconds: float) -> None:
        """Ask the root to end and wait for the whole tree; kill what is left after `seconds`."""
        root.terminate()
        deadline = time.monotonic() + seconds
        with contextlib.suppress(subprocess.TimeoutExpired):
            root.wait(seconds)
        while self._send(signal.SIGTERM) and time.monotonic() < deadline:
            time.sleep(_POLL_SECONDS)
        self._send(signal.SIGKILL)
        root.wait()

    def _belongs(self, pid: int, stat: Stat) -> bool:
        return pid == self._root or (pid, stat[_STARTED]) in self._known or _has_mark(pid, self._mark)

    def _send(self, signal_number: int) -> int:
        members = self.find_members()
        for pid in members:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal_number)
        return len(members)


def _read_stats() -> Iterator[tuple[int, Stat]]:
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit() and (stat := _read_stat(int(folder.name))):
            yield int(folder.name), stat


def _read_stat(pid: int) -> Stat:
    """Return the fields of /proc/<pid>/stat after the name; none when the process is gone or a zombie."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return []
    return [] if fields[0] == "Z" else fields


def _has_mark(pid: int, mark: bytes) -> bool:
    try:
        return mark in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return False


def _read_kibibytes(pid: int, file: str, name: str) -> int:
    try:
        lines = Path(f"/proc/{pid}/{file}").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith(f"{name}:")), 0)
