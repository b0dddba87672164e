"""Expectation: which answers count as the expected one."""

from typing import Any

import numpy as np
import pytest

from scoring_runtime.errors import UnexpectedAnswerError
from scoring_runtime.expectation import check_answer, find_difference
from scoring_runtime.manifest import Expectation


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (1.0, 1.0009),
        (1000.0, 1000.9),
        (1, 1.0),
        ([["cat", 0.5], ["dog", 0.25]], [["cat", 0.5004], ["dog", 0.2499]]),
        ({"a": [None, True, "x"]}, {"a": [None, True, "x"]}),
        ([], []),
    ],
)
def test_answers_within_the_tolerance_are_equal(found: Any, expected: Any) -> None:
    assert find_difference(found, expected, 1e-3) is None


@pytest.mark.parametrize(
    ("found", "expected", "place"),
    [
        (1.0, 1.1, ""),
        ([["cat", 0.5]], [["dog", 0.5]], "[0][0]"),
        ([1, 2], [1, 2, 3], ""),
        ({"a": {"b": 1}}, {"a": {"b": 2}}, ".a.b"),
        ({"a": 1}, {"b": 1}, ""),
        (True, 1, ""),
        ("1", 1, ""),
        (None, 0, ""),
    ],
)
def test_answers_that_differ_name_the_first_place(found: Any, expected: Any, place: str) -> None:
    difference = find_difference(found, expected, 1e-3)
    assert difference is not None
    assert difference.place == place


def test_arrays_are_compared_as_the_json_they_become() -> None:
    check_answer({"y": np.array([1.0, 2.0], dtype=np.float32)}, Expectation(answer={"y": [1.0, 2.0]}))
    with pytest.raises(UnexpectedAnswerError, match=r"answer\.y\[1\] is 2\.0, expected 3\.0 \(tolerance 0\.001\)"):
        check_answer({"y": np.array([1.0, 2.0])}, Expectation(answer={"y": [1.0, 3.0]}))
