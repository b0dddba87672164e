"""Threads that answer short requests are kept on one processor, and given back."""

import os
import threading
from collections.abc import Callable
from time import monotonic, sleep

import pytest

from scoring_runtime import affinity
from scoring_runtime.affinity import SHORT_SECONDS, Placement, Usage, choose

IDLE = {0: 0.0, 1: 0.0, 2: 0.0}
SHORT = 1 / SHORT_SECONDS


def use(
    process: float = 1.0, placed: float = 0.9, processors: dict[int, float] | None = None, requests: float = 2 * SHORT
) -> Usage:
    return Usage(process, placed, IDLE if processors is None else processors, requests)


@pytest.mark.parametrize(
    ("at", "usage", "chosen"),
    [
        pytest.param(None, use(), 2, id="where most have run"),
        pytest.param(1, use(processors={0: 0.3, 1: 0.95, 2: 0.0}), 1, id="stays"),
        pytest.param(1, use(placed=0.5, processors={0: 0.9, 1: 1.0, 2: 0.1}), 2, id="leaves a crowded one"),
        pytest.param(1, use(placed=0.5, processors={0: 0.9, 1: 1.0, 2: 0.8}), 1, id="stays where no other is better"),
        pytest.param(1, use(processors={0: 0.3, 2: 0.9}), 2, id="leaves one that was taken away"),
        pytest.param(1, use(requests=SHORT / 2), None, id="long requests"),
        pytest.param(1, use(requests=0), None, id="work without requests"),
        pytest.param(None, use(processors={0: 0.0}), None, id="one processor"),
        pytest.param(None, use(processors={}), None, id="a system that does not tell"),
        pytest.param(None, use(processors={0: 0.0, 1: 0.0}), None, id="the usual one was taken away"),
    ],
)
def test_processor_is_chosen(at: int | None, usage: Usage, chosen: int | None) -> None:
    assert choose(at, usage, lambda: 2) == chosen


def wait_for(is_so: Callable[[], bool]) -> bool:
    until = monotonic() + 20
    while not is_so() and monotonic() < until:
        sleep(0.05)
    return is_so()


class Worker:
    """A thread that answers requests of some processor time, and tells where it may run."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.rests = False
        self.answered = 0
        self.allowed: set[int] = set()
        self.is_ended = False
        self.placement = Placement(lambda: self.answered)
        self.placement.watch()
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self) -> None:
        while not self.is_ended:
            self.placement.settle()
            self.allowed = os.sched_getaffinity(0)
            until = monotonic() + self.seconds
            while monotonic() < until:
                if self.rests:
                    sleep(self.seconds)
            self.answered += 1


several_processors = pytest.mark.skipif(
    len(os.sched_getaffinity(0)) < 2, reason="there is one processor only: nothing to choose"
)


@several_processors
def test_threads_of_short_requests_are_kept_on_one_processor_until_requests_are_long() -> None:
    everywhere = os.sched_getaffinity(0)
    worker = Worker()
    try:
        assert wait_for(lambda: len(worker.allowed) == 1)
        worker.seconds = 10 * SHORT_SECONDS
        assert wait_for(lambda: worker.allowed == everywhere)
        assert os.sched_getaffinity(0) == everywhere
    finally:
        worker.is_ended = True
        worker.thread.join()


@several_processors
def test_threads_are_given_back_after_a_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(affinity, "REMEMBERED_SECONDS", 1.0)
    everywhere = os.sched_getaffinity(0)
    worker = Worker()
    try:
        assert wait_for(lambda: len(worker.allowed) == 1)
        worker.seconds, worker.rests = 0.05, True
        assert wait_for(lambda: worker.allowed == everywhere)
    finally:
        worker.is_ended = True
        worker.thread.join()
