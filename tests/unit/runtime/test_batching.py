"""Batching: who is let in, who is refused, what is gathered into one batch, and whose error is whose."""

import sys
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from time import monotonic
from typing import Any

import pytest

from scoring_runtime.batching import Batcher, BatchLimits
from scoring_runtime.errors import DeviceLostError, InvalidInputError, LoadError, OverloadedError, ScoringFailedError
from scoring_runtime.tensors import Signature, TensorSpec


class Doubling:
    """A task that doubles numbers; `gate`, when set, keeps each batch until the test lets it go."""

    file_types: tuple[str, ...] = ()
    trusted_types: tuple[str, ...] = ()
    classes: int | None = None
    max_batch_size = 1
    signature = Signature(inputs=(TensorSpec(name="x", datatype="INT64", shape=(-1,)),))

    def __init__(self) -> None:
        self.batches: list[list[Any]] = []
        self.threads: set[int] = set()
        self.gate: threading.Semaphore | None = None
        self.started = threading.Semaphore(0)

    def count(self, inputs: Any) -> int:
        return len(inputs) if isinstance(inputs, list) else 1

    def score(self, requests: Sequence[Any]) -> list[Any]:
        self.batches.append(list(requests))
        self.threads.add(threading.get_ident())
        self.started.release()
        if self.gate is not None:
            assert self.gate.acquire(timeout=60)
        if any(request == "bad" for request in requests):
            raise InvalidInputError("one of them is bad")
        if any(request == "broken" for request in requests):
            raise ZeroDivisionError("a secret")
        if any(request == "huge" for request in requests):
            raise MemoryError
        if any(request == "exit" for request in requests):
            sys.exit(1)
        if any(request == "lost" for request in requests):
            raise DeviceLostError("gone")
        return [request * 2 for request in requests]


Ask = Callable[[Any], "Future[Any]"]


@pytest.fixture
def task() -> Any:
    return Doubling()


@pytest.fixture
def batcher() -> Batcher:
    return Batcher(100)


@pytest.fixture
def ask(task: Any, batcher: Batcher) -> Any:
    """Ask on a thread of its own, within `admit`, and return once the request is inside."""
    with ThreadPoolExecutor(32) as pool:

        def score(inputs: Any, inside: threading.Event) -> Any:
            with batcher.admit():
                inside.set()
                return batcher.score(task, inputs)

        def start(inputs: Any) -> "Future[Any]":
            inside = threading.Event()
            future = pool.submit(score, inputs, inside)
            assert inside.wait(60)
            return future

        yield start


def hold(task: Any, ask: Ask) -> "Future[Any]":
    """Occupy the model with a first request."""
    task.gate = threading.Semaphore(0)
    first = ask(1)
    assert task.started.acquire(timeout=60)
    return first


def wait_until_queued(batcher: Batcher, count: int) -> None:
    deadline = monotonic() + 60
    while batcher._queue.qsize() < count:
        assert monotonic() < deadline


def test_requests_that_wait_are_scored_as_one_batch(task: Any, batcher: Batcher, ask: Ask) -> None:
    batcher.limits = BatchLimits(max_items=8)
    first = hold(task, ask)
    others = [ask(number) for number in (2, 3, 4)]
    wait_until_queued(batcher, 3)
    task.gate.release(2)
    assert [first.result(), *[other.result() for other in others]] == [2, 4, 6, 8]
    assert [len(batch) for batch in task.batches] == [1, 3]


def test_a_batch_holds_no_more_items_than_its_size_and_keeps_the_order(task: Any, batcher: Batcher, ask: Ask) -> None:
    batcher.limits = BatchLimits(max_items=4)
    hold(task, ask)
    others = []
    for number, inputs in enumerate(([1, 2, 3], [4], [5, 6], [7, 8, 9], [0]), start=1):
        others.append(ask(inputs))
        wait_until_queued(batcher, number)
    task.gate.release(9)
    for other in others:
        other.result()
    assert task.batches[1:] == [[[1, 2, 3], [4]], [[5, 6]], [[7, 8, 9], [0]]]


def test_a_request_larger_than_a_batch_is_scored_alone(task: Any, batcher: Batcher, ask: Ask) -> None:
    batcher.limits = BatchLimits(max_items=2)
    assert ask([1, 2, 3]).result() == [1, 2, 3, 1, 2, 3]
    assert task.batches == [[[1, 2, 3]]]


def test_an_idle_model_does_not_wait_for_more(task: Any, batcher: Batcher, ask: Ask) -> None:
    batcher.limits = BatchLimits(max_items=8, max_delay_seconds=3600)
    assert ask(1).result(timeout=60) == 2


def test_a_busy_model_waits_for_more_until_the_batch_is_full(task: Any, batcher: Batcher, ask: Ask) -> None:
    batcher.limits = BatchLimits(max_items=3, max_delay_seconds=3600)
    first, second = hold(task, ask), ask(2)
    wait_until_queued(batcher, 1)
    task.gate.release(9)
    assert first.result() == 2
    assert not second.done()
    others = [ask(3), ask(4)]
    assert [second.result(timeout=60), *[other.result(timeout=60) for other in others]] == [4, 6, 8]
    assert [len(batch) for batch in task.batches] == [1, 3]


def test_a_busy_model_waits_no_longer_than_the_delay(task: Any, batcher: Batcher, ask: Ask) -> None:
    batcher.limits = BatchLimits(max_items=3, max_delay_seconds=0.01)
    hold(task, ask)
    second = ask(2)
    wait_until_queued(batcher, 1)
    task.gate.release(9)
    assert second.result(timeout=60) == 4


@pytest.mark.parametrize(
    ("inputs", "error", "message"),
    [
        ("bad", InvalidInputError, "one of them is bad"),
        ("broken", ScoringFailedError, "The model failed on this request: the server's log says why."),
        ("exit", ScoringFailedError, "The model failed on this request: the server's log says why."),
        ("huge", OverloadedError, "The memory does not suffice for this request now"),
    ],
)
def test_an_error_is_that_of_its_request_alone(
    task: Any, batcher: Batcher, ask: Ask, inputs: str, error: type[Exception], message: str
) -> None:
    batcher.limits = BatchLimits(max_items=8)
    hold(task, ask)
    futures = [ask(2), ask(inputs), ask(3)]
    wait_until_queued(batcher, 3)
    task.gate.release(9)
    assert futures[0].result() == 4
    with pytest.raises(error, match=message):
        futures[1].result()
    assert futures[2].result() == 6


def test_a_lost_device_is_told_to_all_and_ends_the_worker(task: Any) -> None:
    ended = threading.Event()
    batcher = Batcher(1, end=lambda _error: ended.set())
    with batcher.admit(), pytest.raises(OverloadedError, match="accelerator is lost"):
        batcher.score(task, "lost")
    assert ended.wait(60)


def test_a_thread_that_cannot_go_on_ends_the_worker(task: Any) -> None:
    ended: Future[LoadError] = Future()
    batcher = Batcher(1, end=ended.set_result)
    batcher.report_batch = lambda _items: sys.exit(1)
    threading.Thread(target=batcher.score, args=(task, 1), daemon=True).start()  # which nobody answers any more
    assert ended.result(60).message == "The scoring thread has ended unexpectedly: SystemExit."


def test_a_full_queue_refuses_and_lets_the_next_in_afterwards(task: Any) -> None:
    batcher = Batcher(1)
    with batcher.admit(), batcher.admit():
        assert batcher.count_waiting() == 1
        with pytest.raises(OverloadedError, match="1 requests wait for the model already"), batcher.admit():
            pytest.fail("a third was let in")
    with batcher.admit():
        assert batcher.score(task, 4) == 8
    assert batcher.count_waiting() == 0


def test_who_could_not_be_answered_in_time_is_refused_at_once_and_told_when_to_come_back(task: Any) -> None:
    batcher = Batcher(100, max_wait_seconds=5.0)
    batcher._seconds_per_request = 2.0
    with batcher.admit(), batcher.admit(), batcher.admit():
        with pytest.raises(OverloadedError, match="could not answer within 5 s") as refused, batcher.admit():
            pytest.fail("a fourth was let in")
        assert refused.value.retry_after_seconds == 1.0
    with batcher.admit():
        assert batcher.score(task, 4) == 8


def test_the_time_per_request_follows_what_requests_take(task: Any, batcher: Batcher) -> None:
    batcher._seconds_per_request = 1000.0
    for _ in range(100):
        with batcher.admit():
            batcher.score(task, 1)
    assert batcher._seconds_per_request < 1.0


def test_times_of_the_warm_up_refuse_nobody(task: Any) -> None:
    batcher = Batcher(100, max_wait_seconds=1.0)
    batcher._seconds_per_request = 30.0
    batcher.forget_times()
    with batcher.admit(), batcher.admit():
        assert batcher.score(task, 4) == 8


def test_places_are_given_back_after_failures(task: Any) -> None:
    batcher = Batcher(0)
    for _ in range(3):
        with batcher.admit(), pytest.raises(ScoringFailedError):
            batcher.score(task, "broken")
    with batcher.admit():
        assert batcher.score(task, 4) == 8


def test_all_scoring_runs_on_one_thread(task: Any, ask: Ask) -> None:
    for future in [ask(number) for number in range(20)]:
        future.result()
    assert len(task.threads) == 1
    assert threading.get_ident() not in task.threads


def test_sizes_of_batches_are_reported(task: Any, batcher: Batcher, ask: Ask) -> None:
    sizes: list[int] = []
    batcher.report_batch = sizes.append
    ask([1, 2, 3]).result()
    assert sizes == [3]
