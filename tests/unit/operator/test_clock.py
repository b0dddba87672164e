"""Which time conditions and events get when this machine's clock and the API server's are apart."""

import datetime
import logging
from email.utils import format_datetime

import pytest

from scoring_operator.clock import ClusterClock

NOON = datetime.datetime(2026, 11, 26, 12, 0, tzinfo=datetime.UTC)
HOUR = datetime.timedelta(hours=1)


class Machine:
    """A machine's two clocks: one that may be set, and a steady one."""

    def __init__(self, wall: datetime.datetime) -> None:
        self.wall = wall
        self.steady_seconds = 5000.0

    def pass_time(self, seconds: float) -> None:
        self.wall += datetime.timedelta(seconds=seconds)
        self.steady_seconds += seconds


def make_clock(machine: Machine) -> ClusterClock:
    return ClusterClock(lambda: machine.wall, lambda: machine.steady_seconds)


def answer(clock: ClusterClock, machine: Machine, date: datetime.datetime | None, answer_seconds: float = 0.1) -> None:
    """Have the API server answer, with its own time."""
    asked_at = machine.steady_seconds
    machine.pass_time(answer_seconds)
    clock.note(None if date is None else format_datetime(date, usegmt=True), asked_at)


def test_time_is_this_machines_until_the_api_server_has_told_its_own() -> None:
    machine = Machine(NOON)
    clock = make_clock(machine)
    assert clock.now() == NOON
    answer(clock, machine, None)
    assert clock.now() == machine.wall


@pytest.mark.parametrize("seconds", [-3, 0, 3])
def test_time_of_clocks_that_agree_is_this_machines(seconds: float) -> None:
    machine = Machine(NOON)
    clock = make_clock(machine)
    answer(clock, machine, NOON + datetime.timedelta(seconds=seconds))
    machine.pass_time(3600)
    assert clock.now() == machine.wall


@pytest.mark.parametrize("wrong", [HOUR, -HOUR])
def test_time_is_the_api_servers_when_this_machines_is_wrong(wrong: datetime.timedelta) -> None:
    machine = Machine(NOON + wrong)
    clock = make_clock(machine)
    answer(clock, machine, NOON)
    machine.pass_time(1800)
    assert clock.now() == NOON + HOUR / 2


def test_clock_that_is_set_while_nothing_is_asked_does_no_harm() -> None:
    machine = Machine(NOON)
    clock = make_clock(machine)
    answer(clock, machine, NOON)
    machine.wall += HOUR
    machine.pass_time(60)
    assert clock.now() == NOON + datetime.timedelta(seconds=60)


def test_wrong_clock_is_told_once_and_again_when_it_is_right(caplog: pytest.LogCaptureFixture) -> None:
    machine = Machine(NOON + HOUR)
    clock = make_clock(machine)
    with caplog.at_level(logging.INFO):
        for _ in range(3):
            answer(clock, machine, machine.wall - HOUR)
        machine.wall -= HOUR
        for _ in range(3):
            answer(clock, machine, machine.wall)
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]
    assert "3600 s ahead of the API server's" in caplog.text
    assert "agree again" in caplog.text


def test_late_or_senseless_answer_tells_no_time() -> None:
    """An answer that this process reads late, since it was paused, was true when it was sent."""
    machine = Machine(NOON)
    clock = make_clock(machine)
    answer(clock, machine, NOON, answer_seconds=600)
    assert clock.now() == machine.wall
    for date in ("yesterday", "", "Thu, 99 Nov 2026 12:00:00 GMT", "Thu, 26 Nov 2026 12:00:00 -0000"):
        clock.note(date, machine.steady_seconds)
    assert clock.now() == machine.wall
