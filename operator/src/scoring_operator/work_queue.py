"""A queue of keys for a level-triggered reconciler: a key waits once, runs once at a time, and again if something happened meanwhile.

Home-made because no kept asyncio library has these three rules; controllers in Go have them as client-go's workqueue.
"""

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)

FIRST_BACKOFF_SECONDS = 0.5
LAST_BACKOFF_SECONDS = 300.0

SUCCESS, ERROR, CRASH = "success", "error", "crash"
"""How a run ends: as it should, with an error that is expected at times, or with any other."""

logger = logging.getLogger(__name__)


class WorkQueue(Generic[K]):
    """Keys and the workers that process them; a failed key is tried again, each time later, without holding up the others.

    `report_wait` gets the seconds that each key has waited for a worker, and `report_run` how its run ended and how long it took.
    """

    def __init__(self, process: Callable[[K], Awaitable[None]], expected: type[Exception]) -> None:
        """Take the coroutine function that does the work of one key, and the base of the errors that are logged without a traceback."""
        self._process = process
        self._expected = expected
        self.report_wait: Callable[[float], None] = lambda _seconds: None
        self.report_run: Callable[[str, float], None] = lambda _outcome, _seconds: None
        self._ready: asyncio.Queue[K] = asyncio.Queue()
        self._waiting: dict[K, float] = {}
        self._running: dict[K, float] = {}
        self._again: set[K] = set()
        self._timers: dict[K, asyncio.TimerHandle] = {}
        self._failures: dict[K, int] = {}
        self._workers: list[asyncio.Task[None]] = []

    def start(self, workers: int) -> None:
        """Start that many workers in the running event loop."""
        self._workers = [
            asyncio.create_task(self._work(), name=f"reconcile worker {number}") for number in range(workers)
        ]

    async def stop(self) -> None:
        """Cancel the workers and the timers; what was not done is found again at the next start."""
        for timer in self._timers.values():
            timer.cancel()
        for worker in self._workers:
            worker.cancel()
        await asyncio.gather(*self._workers, return_exceptions=True)

    def add(self, key: K, delay_seconds: float = 0.0) -> None:
        """Have a key processed, at once or after a delay; a key that waits already is processed once, at the earlier time."""
        if delay_seconds > 0:
            self._add_later(key, delay_seconds)
            return
        timer = self._timers.pop(key, None)
        if timer is not None:
            timer.cancel()
        if key in self._running:
            self._again.add(key)
        elif key not in self._waiting:
            self._waiting[key] = time.monotonic()
            self._ready.put_nowait(key)

    def count_waiting(self) -> int:
        """Return how many keys wait for a worker."""
        return len(self._waiting)

    def count_delayed(self) -> int:
        """Return how many keys are processed later, after a delay."""
        return len(self._timers)

    def count_failing(self) -> int:
        """Return how many keys' last run has failed."""
        return len(self._failures)

    def find_oldest_wait_seconds(self) -> float:
        """Return how long the key has waited that has waited longest."""
        now = time.monotonic()
        return now - next(iter(self._waiting.values()), now)

    def find_longest_run_seconds(self) -> float:
        """Return how long the oldest run now in progress has taken; infinite when a worker has died."""
        if any(worker.done() for worker in self._workers):
            return float("inf")
        now = time.monotonic()
        return now - min(self._running.values(), default=now)

    def _add_later(self, key: K, delay_seconds: float) -> None:
        if key in self._waiting:
            return
        due = asyncio.get_running_loop().time() + delay_seconds
        timer = self._timers.get(key)
        if timer is not None and timer.when() <= due:
            return
        if timer is not None:
            timer.cancel()
        self._timers[key] = asyncio.get_running_loop().call_at(due, self.add, key)

    async def _work(self) -> None:
        while True:
            key = await self._ready.get()
            self._running[key] = started = time.monotonic()
            self.report_wait(started - self._waiting.pop(key))
            outcome = SUCCESS
            try:
                await self._process(key)
                self._failures.pop(key, None)
            except Exception as error:  # noqa: BLE001 (whatever it is, this key is tried again and the others go on)
                outcome = ERROR if isinstance(error, self._expected) else CRASH
                self._retry(key, error)
            finally:
                del self._running[key]
            self.report_run(outcome, time.monotonic() - started)
            if key in self._again:
                self._again.discard(key)
                self.add(key)

    def _retry(self, key: K, error: Exception) -> None:
        failures = self._failures[key] = self._failures.get(key, 0) + 1
        delay_seconds = find_backoff_seconds(failures)
        traceback = None if isinstance(error, self._expected) else error
        logger.warning(
            "Reconciling %s failed %d times; again in %.1f s: %s",
            key,
            failures,
            delay_seconds,
            error,
            exc_info=traceback,
        )
        self._add_later(key, delay_seconds)


def find_backoff_seconds(failures: int) -> float:
    """Return the wait after that many failures in a row: doubling, up to five minutes, spread by a quarter so that keys do not move in step."""
    return min(FIRST_BACKOFF_SECONDS * 2.0 ** min(failures - 1, 20), LAST_BACKOFF_SECONDS) * random.uniform(0.75, 1.0)  # noqa: S311 (no secret)
