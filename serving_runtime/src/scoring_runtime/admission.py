"""Admission to the model: one scoring at a time, a bounded number of requests that wait, the rest refused at once.

Sits between app.py and the task. All scoring runs on one thread of its own, because OpenMP keeps a pool per calling
thread: scoring on the server's many threads would multiply those pools and fight over the CPU limit.
"""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from scoring_runtime.errors import OverloadedError

Result = TypeVar("Result")


class Admission:
    """Runs work first come, first served, with at most `max_waiting` requests waiting behind the one that runs."""

    def __init__(self, max_waiting: int) -> None:
        self._max_waiting = max_waiting
        self._inside = 0
        self._lock = threading.Lock()
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="scoring")

    def count_waiting(self) -> int:
        """Return how many requests wait for the model now."""
        return max(0, self._inside - 1)

    def run(self, work: Callable[[], Result]) -> Result:
        """Run `work` on the scoring thread; return or raise what it does. Raises OverloadedError when full."""
        self._enter()
        try:
            return self._executor.submit(work).result()
        finally:
            with self._lock:
                self._inside -= 1

    def _enter(self) -> None:
        with self._lock:
            if self._inside > self._max_waiting:
                raise OverloadedError(f"{self._max_waiting} requests wait for the model already: try again later.")
            self._inside += 1
