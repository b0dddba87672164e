"""spec.autoscaling: which metrics may stand together, and what is said about those that may not."""

from collections.abc import Callable
from typing import Any

import pytest

from scoring_operator.api import Manifest, ScoringModel
from scoring_operator.errors import ModelProblem

CPU = {"type": "cpu", "target": 70}
IN_FLIGHT = {"type": "requestsInFlight", "target": 4}
PODS = {"type": "pods", "name": "requests", "target": 4}


def parse(build_model: Callable[..., ScoringModel], *metrics: Manifest, **bounds: int) -> Any:
    return build_model(autoscaling={"maxReplicas": 5, "metrics": list(metrics), **bounds}).spec.autoscaling


@pytest.mark.parametrize(
    ("metric", "message"),
    [
        ({"type": "cpu", "target": 0}, "target of cpu and memory is a percentage"),
        ({"type": "memory", "target": "70"}, "target of cpu and memory is a percentage"),
        ({"type": "cpu", "target": 1001}, "target of cpu and memory is a percentage"),
        ({"type": "cpu"}, "target is required for every type of metric but keda"),
        ({"type": "keda", "target": 1, "trigger": {"type": "cron", "metadata": {}}}, "not allowed for that"),
        ({"type": "pods", "target": 1}, "name is required for metrics of type pods and external"),
        ({"type": "cpu", "target": 1, "name": "x"}, "name is required for metrics of type pods and external"),
        ({"type": "prometheus", "target": 1}, "query is required for metrics of type prometheus"),
        ({**CPU, "selector": {"a": "b"}}, "selector is allowed for metrics of type pods and external only"),
        ({**CPU, "serverAddress": "http://p"}, "serverAddress is allowed for metrics of type requestsInFlight"),
        ({"type": "keda"}, "trigger is required for metrics of type keda"),
        ({"type": "pods", "name": "x", "target": "many"}, "must be a quantity"),
    ],
)
def test_metric_says_what_is_wrong_with_its_fields(
    build_model: Callable[..., ScoringModel], metric: Manifest, message: str
) -> None:
    with pytest.raises(ModelProblem, match=r"spec\.autoscaling\.metrics\.0") as refused:
        parse(build_model, metric)
    assert message in refused.value.message


@pytest.mark.parametrize(
    ("metrics", "bounds", "message"),
    [
        ([CPU], {"minReplicas": 0}, "minReplicas 0 needs a metric that tells of work while no replica runs"),
        ([PODS], {"minReplicas": 0}, "minReplicas 0 needs a metric that tells of work while no replica runs"),
        ([IN_FLIGHT, PODS], {}, "metrics of type pods and external cannot stand beside those that KEDA reads"),
        ([CPU], {"minReplicas": 6}, "minReplicas must not be above maxReplicas"),
    ],
)
def test_autoscaling_says_what_does_not_go_together(
    build_model: Callable[..., ScoringModel], metrics: list[Manifest], bounds: dict[str, int], message: str
) -> None:
    with pytest.raises(ModelProblem, match=r"spec\.autoscaling: ") as refused:
        parse(build_model, *metrics, **bounds)
    assert message in refused.value.message


@pytest.mark.parametrize(
    ("metrics", "needs_keda"), [([CPU], False), ([CPU, PODS], False), ([IN_FLIGHT], True), ([CPU, IN_FLIGHT], True)]
)
def test_keda_is_needed_as_soon_as_one_metric_needs_it(
    build_model: Callable[..., ScoringModel], metrics: list[Manifest], needs_keda: bool
) -> None:
    assert parse(build_model, *metrics).needs_keda is needs_keda
