"""What changes of which objects are a cause to reconcile, and how soon."""

from collections.abc import Callable

import pytest

from scoring_operator.api import Manifest
from scoring_operator.causes import (
    LONGEST_SETTLE_SECONDS,
    SETTLE_SECONDS,
    find_delay_seconds,
    has_new_wishes,
    stretch,
)
from scoring_operator.kinds import DEPLOYMENT, POD, SERVICE

Build = Callable[..., Manifest]


def test_what_decides_readiness_waits_for_nothing(build_deployment: Build, build_pod: Build) -> None:
    assert find_delay_seconds(DEPLOYMENT, build_deployment(), is_deleted=False) == 0
    assert find_delay_seconds(DEPLOYMENT, build_deployment(readyReplicas=1), is_deleted=False) == SETTLE_SECONDS
    assert find_delay_seconds(POD, build_pod(), is_deleted=False) == SETTLE_SECONDS


def test_lost_child_waits_for_nothing(build_deployment: Build) -> None:
    assert find_delay_seconds(DEPLOYMENT, build_deployment(readyReplicas=1), is_deleted=True) == 0
    assert find_delay_seconds(SERVICE, {}, is_deleted=True) == 0


@pytest.mark.parametrize(
    ("changes", "is_cause"),
    [
        ({}, False),
        ({"resourceVersion": "9", "labels": {"a": "b"}}, False),
        ({"generation": 4}, True),
        ({"uid": "other"}, True),
        ({"deletionTimestamp": "2026-11-26T00:00:00Z"}, True),
    ],
)
def test_models_change_is_a_cause_only_when_its_wishes_are_new(
    changes: dict[str, object], is_cause: bool, build_body: Build
) -> None:
    known = build_body()
    body = {**known, "metadata": {**known["metadata"], **changes}, "status": {"replicas": 2}}
    assert has_new_wishes(body, known) is is_cause


def test_new_model_is_a_cause(build_body: Build) -> None:
    assert has_new_wishes(build_body(), None)


def test_another_look_comes_the_later_the_more_models_wait_but_not_without_end() -> None:
    assert stretch(SETTLE_SECONDS, backlog=0) == SETTLE_SECONDS
    assert stretch(SETTLE_SECONDS, backlog=2) == 3 * SETTLE_SECONDS
    assert stretch(SETTLE_SECONDS, backlog=1000) == LONGEST_SETTLE_SECONDS


def test_what_is_due_at_once_or_much_later_is_so_however_many_models_wait() -> None:
    assert stretch(0.0, backlog=1000) == 0.0
    assert stretch(60.0, backlog=1000) == 60.0
