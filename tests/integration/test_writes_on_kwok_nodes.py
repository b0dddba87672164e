"""How much the operator writes, counted by the API server's own metrics; pods run on nodes that KWOK plays."""

from functools import partial

import pytest

from kubectl import Kubectl
from operator_processes import OperatorProcess, count_requests, count_writes, wait_until_quiet
from scoring_models import ScoringModels
from waiting import wait_for

MODELS = 20


@pytest.fixture(autouse=True)
def _alone(kubectl: Kubectl) -> None:
    """Wait until the models of earlier tests are gone, since their ends are written too."""
    wait_for(
        lambda: kubectl("get", "scoringmodels,deployments", "-A", "-o", "name") == "", "earlier models to be gone", 120
    )


def count_lists(kubectl: Kubectl) -> int:
    """Return how often ScoringModels have been listed so far."""
    return count_requests(kubectl)["scoringmodels", "", "LIST"]


def test_steady_state_and_restart_with_20_models_write_nothing(
    kubectl: Kubectl, models: ScoringModels, operator: OperatorProcess
) -> None:
    scaled = {"autoscaling": {"minReplicas": 1, "maxReplicas": 3}}
    models.kubectl.apply(*(models.build(f"faq-{number}", **(scaled if number % 2 else {})) for number in range(MODELS)))
    for number in range(MODELS):
        models.wait_until_ready(f"faq-{number}", timeout_seconds=120)
    # KWOK's pods have no metrics, which is told after a minute: a write of its own.
    for number in range(1, MODELS, 2):
        wait_for(partial(models.find_condition, "ScalingInactive", f"faq-{number}"), "the metrics to be missed", 180)
    before = wait_until_quiet(kubectl)
    operator.kill()
    operator.start(resync_seconds=1.0)
    lists = count_lists(kubectl)
    wait_for(lambda: count_lists(kubectl) >= lists + 3, "three resyncs")
    assert count_writes(kubectl) == before
    operator.stop()
    operator.start()
    wait_until_quiet(kubectl)
    assert count_writes(kubectl) == before


def test_new_model_costs_one_write_for_each_child_at_most_two_of_status_and_no_read(
    kubectl: Kubectl, models: ScoringModels
) -> None:
    models.apply("first")
    models.wait_until_ready("first")
    wait_until_quiet(kubectl)
    before = count_requests(kubectl)
    models.apply("second")
    models.wait_until_ready("second")
    wait_until_quiet(kubectl)
    new = count_requests(kubectl)
    new.subtract(before)
    assert (new["deployments", "", "APPLY"], new["services", "", "APPLY"]) == (1, 1)
    assert new["scoringmodels", "status", "PATCH"] in {1, 2}
    assert (new["deployments", "", "GET"], new["services", "", "GET"]) == (0, 0)
