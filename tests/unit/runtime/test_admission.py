"""Admission: who is let in, who is refused, and that a place is free again afterwards."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from scoring_runtime.admission import Admission
from scoring_runtime.errors import OverloadedError


def test_admission_lets_the_next_in_after_a_failure() -> None:
    admission = Admission(0)

    def fail() -> None:
        raise KeyError("x")

    for _ in range(3):
        with pytest.raises(KeyError), admission.admit():
            admission.run(fail)
    with admission.admit():
        assert admission.run(lambda: 7) == 7
    assert admission.count_waiting() == 0


def test_admission_refuses_who_comes_while_another_is_still_being_read() -> None:
    admission = Admission(0)
    with admission.admit(), pytest.raises(OverloadedError), admission.admit():
        pytest.fail("two were let in")
    with admission.admit():
        assert admission.count_waiting() == 0


def test_admission_counts_those_behind_the_first() -> None:
    admission = Admission(2)
    with admission.admit(), admission.admit(), admission.admit():
        assert admission.count_waiting() == 2
    assert admission.count_waiting() == 0


def test_all_work_runs_on_one_thread_in_its_order() -> None:
    admission = Admission(9)
    with ThreadPoolExecutor(4) as pool:
        threads = set(pool.map(lambda _: admission.run(threading.get_ident), range(20)))
    assert len(threads) == 1
    assert threading.get_ident() not in threads
