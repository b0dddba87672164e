import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from scoring_operator import work_queue
from scoring_operator.work_queue import FIRST_BACKOFF_SECONDS, LAST_BACKOFF_SECONDS, WorkQueue, find_backoff_seconds

pytestmark = pytest.mark.asyncio

LIMIT_SECONDS = 20.0
"""A test that waits longer for something has failed."""

Queue = WorkQueue[str]


class ExpectedError(Exception):
    """What the worked-on system raises in the ordinary course of things."""


@pytest.fixture
def short_backoff(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(work_queue, "FIRST_BACKOFF_SECONDS", 0.001)


class Runs:
    """Records the runs of keys; a run goes on until its gate is open."""

    def __init__(self) -> None:
        self.started: list[str] = []
        self.running: set[str] = set()
        self.gate = asyncio.Event()
        self._changed = asyncio.Event()

    async def process(self, key: str) -> None:
        assert key not in self.running
        self.running.add(key)
        self.record(key)
        try:
            await self.gate.wait()
        finally:
            self.running.remove(key)
            self._changed.set()

    def record(self, key: str) -> None:
        self.started.append(key)
        self._changed.set()

    async def wait_for(self, is_so: Callable[[], bool]) -> None:
        async with asyncio.timeout(LIMIT_SECONDS):
            while not is_so():
                self._changed.clear()
                await self._changed.wait()


@asynccontextmanager
async def work(process: Callable[[str], Awaitable[None]], workers: int = 4) -> AsyncIterator[Queue]:
    queue: Queue = WorkQueue(process, expected=ExpectedError)
    queue.start(workers)
    try:
        yield queue
    finally:
        await queue.stop()


async def let_others_run() -> None:
    """Give each task that can go on several turns of the event loop."""
    for _ in range(20):
        await asyncio.sleep(0)


async def test_key_is_processed_once_when_added_several_times_before() -> None:
    runs = Runs()
    runs.gate.set()
    async with work(runs.process) as queue:
        for _ in range(5):
            queue.add("a")
        queue.add("b")
        await runs.wait_for(lambda: "b" in runs.started)
        await let_others_run()
    assert runs.started == ["a", "b"]


async def test_keys_run_at_the_same_time_up_to_the_number_of_workers() -> None:
    runs = Runs()
    async with work(runs.process, workers=2) as queue:
        for key in "abc":
            queue.add(key)
        await runs.wait_for(lambda: len(runs.running) == 2)
        await let_others_run()
        assert runs.running == {"a", "b"}
        runs.gate.set()
        await runs.wait_for(lambda: "c" in runs.started)


async def test_key_runs_once_more_afterwards_when_added_while_it_runs() -> None:
    runs = Runs()
    async with work(runs.process) as queue:
        queue.add("a")
        await runs.wait_for(lambda: "a" in runs.running)
        for _ in range(3):
            queue.add("a")
        await let_others_run()
        assert runs.started == ["a"]  # Not beside itself: Runs.process would fail, and be tried again.
        runs.gate.set()
        await runs.wait_for(lambda: len(runs.started) == 2 and not runs.running)
        await let_others_run()
    assert runs.started == ["a", "a"]


async def test_delayed_key_waits_and_the_earlier_time_wins() -> None:
    runs, begin = Runs(), time.monotonic()
    runs.gate.set()
    async with work(runs.process) as queue:
        queue.add("a", 30)
        queue.add("a", 0.02)
        queue.add("a", 30)
        queue.add("now")
        await runs.wait_for(lambda: runs.started == ["now"])
        await runs.wait_for(lambda: "a" in runs.started)
        assert 0.02 <= time.monotonic() - begin < LIMIT_SECONDS
    assert runs.started == ["now", "a"]


async def test_key_added_at_once_is_not_processed_again_at_its_former_delay() -> None:
    runs = Runs()
    runs.gate.set()
    async with work(runs.process) as queue:
        queue.add("a", 0.01)
        queue.add("a")
        queue.add("later", 0.03)
        await runs.wait_for(lambda: "later" in runs.started)
    assert runs.started == ["a", "later"]


@pytest.mark.usefixtures("short_backoff")
async def test_failed_key_is_tried_again_until_it_succeeds(caplog: pytest.LogCaptureFixture) -> None:
    runs = Runs()

    async def process(key: str) -> None:
        runs.record(key)
        if len(runs.started) < 4:
            raise ExpectedError("no answer")

    with caplog.at_level(logging.WARNING):
        async with work(process) as queue:
            queue.add("a")
            await runs.wait_for(lambda: len(runs.started) == 4)
            await let_others_run()
    assert [record.getMessage().partition(" times")[0] for record in caplog.records] == [
        f"Reconciling a failed {number}" for number in (1, 2, 3)
    ]
    assert all(record.exc_info is None and "no answer" in record.getMessage() for record in caplog.records)


@pytest.mark.usefixtures("short_backoff")
async def test_failures_are_counted_anew_after_a_success(caplog: pytest.LogCaptureFixture) -> None:
    runs = Runs()

    async def process(key: str) -> None:
        runs.record(key)
        if len(runs.started) != 3:
            raise ExpectedError("no answer")

    with caplog.at_level(logging.WARNING):
        async with work(process) as queue:
            queue.add("a")
            await runs.wait_for(lambda: len(runs.started) == 3)
            queue.add("a")
            await runs.wait_for(lambda: len(runs.started) == 4)
            await let_others_run()
    counts = [record.getMessage().partition(" times")[0][-1] for record in caplog.records]
    assert counts == ["1", "2", "1"]


@pytest.mark.usefixtures("short_backoff")
async def test_unexpected_error_is_logged_with_its_traceback_and_tried_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    runs = Runs()

    async def process(key: str) -> None:
        runs.record(key)
        if len(runs.started) == 1:
            raise KeyError("metadata")

    async with work(process) as queue:
        queue.add("a")
        await runs.wait_for(lambda: len(runs.started) == 2)
    (record,) = caplog.records
    assert record.exc_info is not None
    assert record.exc_info[0] is KeyError


async def test_failing_key_does_not_hold_up_the_others() -> None:
    runs = Runs()

    async def process(key: str) -> None:
        runs.record(key)
        if key == "bad":
            raise ExpectedError("no answer")

    async with work(process, workers=1) as queue:
        queue.add("bad")
        for number in range(10):
            queue.add(f"good-{number}")
        await runs.wait_for(lambda: len(runs.started) == 11)
    assert runs.started.count("bad") == 1


async def test_failed_key_runs_at_once_when_something_happens_to_it() -> None:
    runs = Runs()

    async def process(key: str) -> None:
        runs.record(key)
        if len(runs.started) == 1:
            raise ExpectedError("no answer")

    async with work(process) as queue:
        queue.add("a")
        await runs.wait_for(lambda: len(runs.started) == 1)
        await let_others_run()
        begin = time.monotonic()
        queue.add("a")
        await runs.wait_for(lambda: len(runs.started) == 2)
        assert time.monotonic() - begin < FIRST_BACKOFF_SECONDS / 2


async def test_stop_cancels_what_runs_and_what_waits() -> None:
    runs = Runs()
    async with work(runs.process, workers=1) as queue:
        queue.add("a")
        queue.add("waiting")
        queue.add("delayed", 0.005)
        await runs.wait_for(lambda: "a" in runs.running)
    assert not runs.running
    await asyncio.sleep(0.02)  # The delayed key's time passes, and nothing must come of it.
    assert runs.started == ["a"]


async def test_stop_is_fine_before_any_start() -> None:
    queue: Queue = WorkQueue(Runs().process, expected=ExpectedError)
    await queue.stop()


async def test_longest_run_is_the_oldest_in_progress() -> None:
    runs = Runs()
    async with work(runs.process) as queue:
        assert queue.find_longest_run_seconds() == 0.0
        begin = time.monotonic()
        queue.add("a")
        await runs.wait_for(lambda: "a" in runs.running)
        queue.add("b")
        await runs.wait_for(lambda: "b" in runs.running)
        first = queue.find_longest_run_seconds()
        assert 0.0 < first <= time.monotonic() - begin
        assert queue.find_longest_run_seconds() > first
        runs.gate.set()
        await runs.wait_for(lambda: not runs.running)
        await let_others_run()
        assert queue.find_longest_run_seconds() == 0.0


async def test_longest_run_is_infinite_when_a_worker_has_died() -> None:
    runs = Runs()

    async def process(key: str) -> None:
        runs.record(key)
        raise asyncio.CancelledError

    async with work(process) as queue:
        queue.add("a")
        await runs.wait_for(lambda: "a" in runs.started)
        await let_others_run()
        assert queue.find_longest_run_seconds() == float("inf")


async def test_backoff_doubles_up_to_five_minutes_and_is_spread() -> None:
    for failures in (1, 2, 3, 5, 10, 11, 100, 10**6):
        longest = min(FIRST_BACKOFF_SECONDS * 2.0 ** (failures - 1 if failures < 100 else 100), LAST_BACKOFF_SECONDS)
        waits = [find_backoff_seconds(failures) for _ in range(200)]
        assert all(0.75 * longest <= wait <= longest for wait in waits)
        assert len(set(waits)) > 1


@pytest.mark.asyncio
async def test_key_that_waits_already_is_not_processed_again_later() -> None:
    runs: list[str] = []

    async def process(key: str) -> None:
        runs.append(key)

    queue = WorkQueue(process, expected=OSError)
    queue.add("a")
    queue.add("a", 0.01)
    queue.start(1)
    await asyncio.sleep(0.05)
    await queue.stop()
    assert runs == ["a"]


async def test_waits_and_outcomes_of_runs_are_reported() -> None:
    errors = {"expected": ExpectedError("no"), "unexpected": RuntimeError("defect")}
    waits: list[float] = []
    runs: list[tuple[str, float]] = []

    async def process(key: str) -> None:
        if key in errors:
            raise errors[key]

    queue: Queue = WorkQueue(process, expected=ExpectedError)
    queue.report_wait = waits.append
    queue.report_run = lambda outcome, seconds: runs.append((outcome, seconds))
    for key in ("fine", "expected", "unexpected"):
        queue.add(key)
    assert queue.count_waiting() == 3
    queue.start(1)
    await let_others_run()
    assert [outcome for outcome, _ in runs] == ["success", "error", "crash"]
    assert len(waits) == 3
    assert min(waits) >= 0
    assert (queue.count_failing(), queue.count_delayed(), queue.find_oldest_wait_seconds()) == (2, 2, 0.0)
    await queue.stop()
