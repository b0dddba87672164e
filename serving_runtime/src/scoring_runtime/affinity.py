"""Keeps the threads that take turns in Python on one processor while requests are short. Beside batching.py, which calls `settle`.

One thread at a time runs Python. Where the kernel spreads those that take turns over processors, as it does with whatever
wakes up, each turn wakes another one and finds what the last turn touched in that one's caches: short requests cost half as
much again. Threads that compute for a model or send and receive stay where the kernel wants them. docs/adr/0024-one-processor.md
has the measurements.
"""

import contextlib
import os
import random
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, process_time

CHECK_SECONDS = 0.5
SHORT_SECONDS = 0.0015
"""Processor time of a request: longer ones gain nothing, and what they compute without Python can use other processors."""

BUSY = 0.2
"""Processors in use from which on it matters where; below, the kernel may choose."""

REMEMBERED_SECONDS = 10.0
"""A pause in the requests as long as this does not undo the choice."""

CROWDED = 0.25
"""The share of our processor that others use before we look for a better one."""

_UNSEEN = -1
_PROCESSOR_FIELD = 36  # of /proc/<pid>/stat behind the name


@dataclass(frozen=True)
class Usage:
    """What was used since the last look, in processors: by this process, by its placed threads, of each processor by anybody."""

    process: float
    placed: float
    processors: Mapping[int, float]
    requests: float  # per second


class Placement:
    """Chooses the processor; `count_requests` tells how many have been answered so far."""

    def __init__(self, count_requests: Callable[[], int]) -> None:
        self._count_requests = count_requests
        self._at: int | None = None
        self._allowed: frozenset[int] = frozenset()
        self._here = _Here()
        self._threads: set[int] = set()

    def settle(self) -> None:
        """Move the calling thread to where it should be: next to nothing when it is there."""
        if self._here.at != self._at:
            self._move()

    def watch(self) -> None:
        """Look twice a second from now on, on a thread of its own. Does nothing where the system has no such thing."""
        if hasattr(os, "sched_setaffinity"):
            self._allowed = frozenset(os.sched_getaffinity(0))
            threading.Thread(target=self._follow, name="placement", daemon=True).start()

    def _move(self) -> None:
        at, thread = self._at, threading.get_native_id()
        self._threads.add(thread)
        is_new = self._here.at == _UNSEEN
        self._here.at = at
        if at is None and is_new:
            return
        # A processor may be taken away from the container at any time.
        with contextlib.suppress(OSError):
            os.sched_setaffinity(0, self._allowed if at is None else {at})

    def _follow(self) -> None:
        pause, last_busy = threading.Event(), monotonic()
        before: _Look | None = None
        seconds = process_time()
        while True:
            pause.wait(CHECK_SECONDS)
            used, seconds = process_time() - seconds, process_time()
            if used < BUSY * CHECK_SECONDS:
                # Looking costs a system call for each thread: a process that rests must not pay for it.
                before = None
                if monotonic() - last_busy > REMEMBERED_SECONDS:
                    self._at = None
                continue
            last_busy = monotonic()
            self._allowed = frozenset(os.sched_getaffinity(0))
            now = self._look()
            if before is not None:
                self._at = choose(self._at, compute_usage(before, now), self._find_usual)
            before = now

    def _look(self) -> "_Look":
        ran = {thread: _read_run_nanoseconds(thread) for thread in list(self._threads)}
        self._threads.difference_update([thread for thread, nanoseconds in ran.items() if nanoseconds is None])
        placed = {thread: nanoseconds for thread, nanoseconds in ran.items() if nanoseconds is not None}
        busy = {number: seconds for number, seconds in _read_busy_seconds() if number in self._allowed}
        return _Look(monotonic(), process_time(), placed, busy, self._count_requests())

    def _find_usual(self) -> int | None:
        """Return the processor on which most of the threads have run last."""
        found = Counter(map(_read_processor, list(self._threads)))
        return found.most_common(1)[0][0] if found else None


class _Here(threading.local):
    at: int | None = _UNSEEN


@dataclass(frozen=True)
class _Look:
    time: float
    process_seconds: float
    placed_nanoseconds: Mapping[int, int]
    busy_seconds: Mapping[int, float]
    requests: int


def compute_usage(before: _Look, now: _Look) -> Usage:
    """Return what was used from one look to the next."""
    seconds = now.time - before.time
    known = now.placed_nanoseconds.keys() & before.placed_nanoseconds.keys()
    placed = sum(now.placed_nanoseconds[thread] - before.placed_nanoseconds[thread] for thread in known)
    both = now.busy_seconds.keys() & before.busy_seconds.keys()
    return Usage(
        process=(now.process_seconds - before.process_seconds) / seconds,
        placed=placed / 1e9 / seconds,
        processors={number: (now.busy_seconds[number] - before.busy_seconds[number]) / seconds for number in both},
        requests=(now.requests - before.requests) / seconds,
    )


def choose(at: int | None, usage: Usage, find_usual: Callable[[], int | None]) -> int | None:
    """Return the processor for our threads; None where the kernel should choose: few processors, or long requests."""
    if len(usage.processors) <= 1 or usage.process > usage.requests * SHORT_SECONDS:
        return None
    if at is None or at not in usage.processors:
        usual = find_usual()
        return usual if usual in usage.processors else None
    others = usage.processors[at] - usage.placed
    least = min(usage.processors.values())
    if others < CROWDED or others - least < CROWDED:
        return at
    # By chance among the good ones: else all pods of a node would move to the same.
    good = [number for number, share in usage.processors.items() if share - least < CROWDED / 2 and number != at]
    return random.choice(good)  # noqa: S311  # guards nothing


def _read_run_nanoseconds(thread: int) -> int | None:
    try:
        return int(Path(f"/proc/self/task/{thread}/schedstat").read_text().split()[0])
    except (OSError, ValueError, IndexError):
        return None


def _read_processor(thread: int) -> int | None:
    try:
        return int(Path(f"/proc/self/task/{thread}/stat").read_text().rpartition(")")[2].split()[_PROCESSOR_FIELD])
    except (OSError, ValueError, IndexError):
        return None


def _read_busy_seconds() -> Iterable[tuple[int, float]]:
    """Yield how long each processor of the machine has been busy, since it began."""
    try:
        lines = Path("/proc/stat").read_text().splitlines()
    except OSError:
        return
    per_second = os.sysconf("SC_CLK_TCK")
    for line in lines:
        name, *ticks = line.split()
        if name.startswith("cpu") and name[3:].isdecimal():
            user, nice, system, _idle, _wait, interrupt, soft, stolen = map(int, ticks[:8])
            yield int(name[3:]), (user + nice + system + interrupt + soft + stolen) / per_second
