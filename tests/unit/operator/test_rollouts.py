"""How many models follow a change of their class at the same time, and who comes next."""

import pytest

from scoring_operator.kinds import Key
from scoring_operator.rollouts import Rollouts

A, B, C, D = (Key("team", name) for name in "abcd")


@pytest.mark.parametrize(("share", "models", "limit"), [(0.1, 5, 1), (0.1, 39, 3), (1.0, 4, 4), (0.25, 4, 1)])
def test_a_share_of_the_models_begins_and_at_least_one(share: float, models: int, limit: int) -> None:
    rollouts = Rollouts(share)
    begun = [rollouts.begin(Key("team", str(number)), "cpu", models) for number in range(models)]
    assert begun == [True] * limit + [False] * (models - limit)
    assert rollouts.count("cpu") == (limit, models - limit)


def test_those_that_wait_come_in_their_order_when_one_has_rolled_out() -> None:
    rollouts = Rollouts(0.1)
    assert [rollouts.begin(key, "cpu", 4) for key in (A, B, C, D)] == [True, False, False, False]
    assert rollouts.settle(A, is_rolled_out=False) == []
    assert rollouts.settle(A, is_rolled_out=True) == [B]
    assert rollouts.begin(B, "cpu", 4)
    assert not rollouts.begin(C, "cpu", 4)


def test_one_that_is_rolling_may_go_on() -> None:
    rollouts = Rollouts(0.1)
    assert rollouts.begin(A, "cpu", 4)
    assert rollouts.begin(A, "cpu", 4)


def test_one_that_does_not_come_up_keeps_its_place() -> None:
    rollouts = Rollouts(0.1)
    rollouts.begin(A, "cpu", 4)
    rollouts.begin(B, "cpu", 4)
    assert rollouts.settle(A, is_rolled_out=False) == []
    assert not rollouts.begin(B, "cpu", 4)


def test_one_that_goes_while_it_is_called_passes_its_turn_on() -> None:
    rollouts = Rollouts(0.1)
    for key in (A, B, C):
        rollouts.begin(key, "cpu", 4)
    assert rollouts.settle(A, is_rolled_out=True) == [B]
    assert rollouts.settle(B, is_rolled_out=True) == [C]


def test_classes_do_not_hold_each_other_up() -> None:
    rollouts = Rollouts(0.1)
    assert rollouts.begin(A, "cpu", 4)
    assert rollouts.begin(B, "gpu", 4)


def test_one_that_rolled_already_counts() -> None:
    rollouts = Rollouts(0.1)
    rollouts.join(A, "cpu")
    assert not rollouts.begin(B, "cpu", 4)
    assert rollouts.settle(A, is_rolled_out=True) == [B]


def test_model_that_was_never_concerned_calls_nobody() -> None:
    rollouts = Rollouts(0.1)
    rollouts.begin(A, "cpu", 4)
    rollouts.begin(B, "cpu", 4)
    assert rollouts.settle(D, is_rolled_out=True) == []
