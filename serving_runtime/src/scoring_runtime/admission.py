"""Admission to the model: one scoring at a time, a bounded number of requests inside, the rest refused at once.

Sits between app.py and the task. A request takes its place before its body is read, so that no more than those inside
hold threads and memory: the server's spare threads answer probes. granian has no time limit for a body, so one that
trickles in holds its place as long as its client likes, and no more than that. All scoring runs on one thread of its own, because
OpenMP keeps a pool per calling thread: scoring on the server's many threads would fight over the CPU limit.
"""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

from scoring_runtime.errors import OverloadedError

Result = TypeVar("Result")


class Admission:
    """Lets at most `max_waiting` requests in behind the one that is scored, and scores first come, first served."""

    def __init__(self, max_waiting: int) -> None:
        self._max_waiting = max_waiting
        self._inside = 0
        self._lock = threading.Lock()
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="scoring")

    def count_waiting(self) -> int:
        """Return how many requests wait now: those inside, being read or ready, but for one."""
        return max(0, self._inside - 1)

    def run(self, work: Callable[[], Result]) -> Result:
        """Run `work` on the scoring thread; return or raise what it does. Called within `admit`."""
        return self._executor.submit(work).result()

    @contextmanager
    def admit(self) -> Iterator[None]:
        """Hold a place for the time of a `with` block. Raises OverloadedError when all are taken."""
        self._enter()
        try:
            yield
        finally:
            with self._lock:
                self._inside -= 1

    def _enter(self) -> None:
        with self._lock:
            if self._inside > self._max_waiting:
                raise OverloadedError(f"{self._max_waiting} requests wait for the model already: try again later.")
            self._inside += 1
