"""Compares the model's answer to the manifest's example with what the manifest expects. Used by loading.py."""

import math
from collections.abc import Mapping
from typing import NamedTuple

import orjson

from scoring_runtime.errors import UnexpectedAnswerError
from scoring_runtime.manifest import Expectation
from scoring_runtime.tasks import Json

_SHOWN_CHARACTERS = 80


class Difference(NamedTuple):
    """Where two answers differ, as in `[0].name`, and what stands there."""

    place: str
    found: Json
    expected: Json


def check_answer(answer: Json, expected: Expectation) -> None:
    """Raise UnexpectedAnswerError, naming the place, when an answer differs by more than the tolerance."""
    found = orjson.loads(orjson.dumps(answer, option=orjson.OPT_SERIALIZE_NUMPY))
    difference = find_difference(found, expected.answer, expected.tolerance)
    if difference is not None:
        raise UnexpectedAnswerError(
            f"The model answers its example otherwise than manifest.json expects: answer{difference.place} is "
            f"{_show(difference.found)}, expected {_show(difference.expected)} (tolerance {expected.tolerance:g}). It is "
            "another model, or its library computes otherwise: correct the model, the image, or expect."
        )


def find_difference(found: Json, expected: Json, tolerance: float, place: str = "") -> Difference | None:
    """Return the first place where two JSON values differ; None when they are equal but for the tolerance."""
    if isinstance(found, Mapping) and isinstance(expected, Mapping) and found.keys() == expected.keys():
        pairs = [(f"{place}.{key}", found[key], expected[key]) for key in expected]
    elif _is_list(found) and _is_list(expected) and len(found) == len(expected):
        pairs = [(f"{place}[{index}]", found[index], expected[index]) for index in range(len(expected))]
    else:
        return None if _is_equal(found, expected, tolerance) else Difference(place, found, expected)
    differences = (find_difference(left, right, tolerance, where) for where, left, right in pairs)
    return next((difference for difference in differences if difference is not None), None)


def _is_list(value: Json) -> bool:
    return isinstance(value, list | tuple)


def _is_equal(found: Json, expected: Json, tolerance: float) -> bool:
    if _is_number(found) and _is_number(expected):
        return math.isclose(found, expected, rel_tol=tolerance, abs_tol=tolerance)
    return type(found) is type(expected) and bool(found == expected)


def _is_number(value: Json) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _show(value: Json) -> str:
    return orjson.dumps(value).decode()[:_SHOWN_CHARACTERS]
