"""Batching: a bounded queue in front of the model, and one thread that scores what waits, batch by batch.

Sits between service.py and the task. A request takes its place before its body is read, so that no more than those inside
hold threads and memory: the server's spare threads answer probes. Who could not be answered in time is refused at once, by
the time that requests have taken lately.

All scoring runs on one thread of its own, because OpenMP keeps a pool per calling thread: scoring on the server's many
threads would fight over the CPU limit. That thread takes what has gathered while it was busy, up to the batch's size. An
idle model never waits: a request that finds it idle is scored alone and at once.
"""

import math
import threading
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from time import monotonic, perf_counter
from typing import Any

import structlog

from scoring_runtime.errors import (
    DeviceLostError,
    LoadError,
    OverloadedError,
    RequestError,
    ScorerFailedError,
    ScoringFailedError,
)
from scoring_runtime.tasks import Inputs, Outputs, Task

MEMORY_SHORT = "The memory does not suffice for this request now: send less at once, or try again later."

# Weight of the newest batch in the mean time per request.
_NEWEST_SHARE = 0.2

_logger = structlog.stdlib.get_logger(__name__)


@dataclass(frozen=True)
class BatchLimits:
    """How requests are gathered: at most `max_items` items, waiting at most `max_delay_seconds` after the first's arrival."""

    max_items: int = 1
    max_delay_seconds: float = 0.0


class Pending:
    """A request on its way through the queue; `done` is released when it has outputs or an error."""

    __slots__ = ("arrived", "done", "error", "inputs", "items", "outputs", "task")

    def __init__(self, task: Task, inputs: Inputs, arrived: float) -> None:
        self.task = task
        self.inputs = inputs
        self.items = task.count(inputs)
        self.arrived = arrived
        self.outputs: Outputs = None
        self.error: Exception | None = None
        self.done = threading.Lock()
        self.done.acquire()


class _Place(AbstractContextManager[None]):
    """A place among those inside. No generator as of contextlib, which costs a request that is refused 2 µs more."""

    def __init__(self, enter: Callable[[], None], leave: Callable[[], None]) -> None:
        self._enter = enter
        self._leave = leave

    def __enter__(self) -> None:
        self._enter()

    def __exit__(self, *_end: object) -> None:
        self._leave()


class Batcher:
    """Lets at most `max_waiting` requests in behind the one that is scored, and scores first come, first served.

    Whoever would wait longer than `max_wait_seconds` is refused. `report_batch` gets the number of items of each batch;
    `report_preprocess`, `report_wait` and `report_score` the seconds that each request took to be read, has waited for its
    batch, and that this took; `end` is called when nothing can be scored any more: the device is lost for good, or the thread has ended.
    """

    def __init__(
        self,
        max_waiting: int,
        max_wait_seconds: float = math.inf,
        report_batch: Callable[[int], None] = lambda _items: None,
        end: Callable[[LoadError], None] = lambda _error: None,
    ) -> None:
        self.limits = BatchLimits()
        self.report_batch = report_batch
        self.report_preprocess: Callable[[float], None] = lambda _seconds: None
        self.report_wait: Callable[[float], None] = lambda _seconds: None
        self.report_score: Callable[[float], None] = lambda _seconds: None
        # Called by each thread before it works on a request: affinity.py may want it on another processor.
        self.settle: Callable[[], None] = lambda: None
        # What traces need (telemetry/tracing.py), and nobody else.
        self.make_pending: Callable[[Task, Inputs, float], Pending] = Pending
        self.follow_batch: Callable[[Sequence[Pending]], AbstractContextManager[None]] | None = None
        self._max_waiting = max_waiting
        self._max_wait_seconds = max_wait_seconds
        self._end = end
        self._inside = 0
        self._place = _Place(self._enter, self._leave)
        self._answered = 0
        self._seconds_per_request = 0.0
        self._lock = threading.Lock()
        self._queue: SimpleQueue[Pending] = SimpleQueue()
        self._held: Pending | None = None
        threading.Thread(target=self._score_until_lost, name="scoring", daemon=True).start()

    def count_inside(self) -> int:
        """Return how many requests are being answered or wait now."""
        return self._inside

    def count_answered(self) -> int:
        """Return how many requests the model has answered so far, with outputs or an error."""
        return self._answered

    def count_waiting(self) -> int:
        """Return how many requests wait now: those inside, being read or ready, but for one."""
        return max(0, self._inside - 1)

    def forget_times(self) -> None:
        """Forget how long requests have taken: a warm-up compiles and compares engines, and says nothing of those to come."""
        self._seconds_per_request = 0.0

    def admit(self) -> AbstractContextManager[None]:
        """Return what holds a place for the time of a `with` block. That raises OverloadedError when there is none, or none in time."""
        return self._place

    def score(self, task: Task, inputs: Inputs) -> Outputs:
        """Return the outputs of one request, or raise its error. Called within `admit`."""
        pending = self.make_pending(task, inputs, monotonic())
        self._queue.put(pending)
        pending.done.acquire()
        if pending.error is not None:
            raise pending.error
        return pending.outputs

    def _enter(self) -> None:
        with self._lock:
            wait_seconds = self._inside * self._seconds_per_request
            if self._inside > self._max_waiting:
                raise OverloadedError(
                    f"{self._max_waiting} requests wait for the model already: try again later.", wait_seconds
                )
            if wait_seconds > self._max_wait_seconds:
                raise OverloadedError(
                    f"The model could not answer within {self._max_wait_seconds:g} s, so many requests wait: try again later.",
                    wait_seconds - self._max_wait_seconds,
                )
            self._inside += 1
        self.settle()

    def _leave(self) -> None:
        with self._lock:
            self._inside -= 1

    def _score_until_lost(self) -> None:
        try:
            self._score_batches()
        except BaseException as error:
            _logger.exception("the scoring thread has ended")
            self._end(ScorerFailedError(f"The scoring thread has ended unexpectedly: {type(error).__name__}."))

    def _score_batches(self) -> None:
        while True:
            batch = self._gather()
            self.settle()
            now = monotonic()
            for pending in batch:
                self.report_wait(now - pending.arrived)
            started = perf_counter()
            if self.follow_batch is None:
                lost = _score_batch(batch)
            else:
                with self.follow_batch(batch):
                    lost = _score_batch(batch)
            seconds = perf_counter() - started
            self._learn(len(batch), seconds)
            self._answered += len(batch)
            self.report_batch(sum(pending.items for pending in batch))
            for pending in batch:
                self.report_score(seconds)
                pending.done.release()
            if lost is not None:
                self._end(lost)

    def _learn(self, requests: int, seconds: float) -> None:
        newest = seconds / requests
        mean = self._seconds_per_request
        self._seconds_per_request = mean + _NEWEST_SHARE * (newest - mean) if mean else newest

    def _gather(self) -> list[Pending]:
        """Take the next request and what fits into a batch with it."""
        first, was_idle = self._take_first()
        batch, items = [first], first.items
        until = monotonic() if was_idle else first.arrived + self.limits.max_delay_seconds
        while items < self.limits.max_items:
            following = self._take_before(until)
            if following is None:
                break
            if following.task is not first.task or items + following.items > self.limits.max_items:
                self._held = following
                break
            batch.append(following)
            items += following.items
        return batch

    def _take_first(self) -> tuple[Pending, bool]:
        held, self._held = self._held, None
        if held is not None:
            return held, False
        try:
            return self._queue.get_nowait(), False
        except Empty:
            return self._queue.get(), True

    def _take_before(self, until: float) -> Pending | None:
        try:
            left = until - monotonic()
            return self._queue.get(timeout=left) if left > 0 else self._queue.get_nowait()
        except Empty:
            return None


def _score_batch(batch: Sequence[Pending]) -> DeviceLostError | None:
    """Give every request its outputs or its error; when the batch as a whole fails, each is scored alone."""
    try:
        outputs = batch[0].task.score([pending.inputs for pending in batch])
        for pending, own in zip(batch, outputs, strict=True):
            pending.outputs = own
    except DeviceLostError as error:
        for pending in batch:
            pending.error = OverloadedError("The accelerator is lost and the server restarts: try again later.")
        return error
    except BaseException as error:  # noqa: BLE001 (whatever a model raises, sys.exit() too, is the request's answer, never the thread's end)
        if len(batch) == 1:
            batch[0].error = _explain(error)
            return None
        losses = [_score_batch([pending]) for pending in batch]
        return next((loss for loss in losses if loss is not None), None)
    return None


def _explain(error: BaseException) -> Exception:
    if isinstance(error, RequestError):
        return error
    if isinstance(error, MemoryError):
        return OverloadedError(MEMORY_SHORT)
    _logger.error("scoring failed", exc_info=error)
    failed = ScoringFailedError("The model failed on this request: the server's log says why.")
    failed.__cause__ = error
    return failed


def describe_limits(limits: BatchLimits) -> dict[str, Any]:
    """Return the limits as /version shows them."""
    return {"maxSize": limits.max_items, "maxDelayMilliseconds": limits.max_delay_seconds * 1000}
