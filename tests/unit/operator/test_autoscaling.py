"""spec.autoscaling: which metrics may stand together, and what is said about those that may not."""

from collections.abc import Callable
from typing import Any

import pytest

from scoring_operator.api import HardwareClass, Manifest, ScoringModel
from scoring_operator.errors import ModelProblem
from scoring_operator.render.scaled_object import find_autoscaler_name, render_scaled_object
from scoring_operator.settings import Settings

CPU = {"type": "cpu", "target": 70}
IN_FLIGHT = {"type": "requestsInFlight", "target": 4}
PODS = {"type": "pods", "name": "requests", "target": 4}
QUERY = {"type": "prometheus", "query": "sum(orders_waiting)", "target": 10}
CRON = {"type": "keda", "trigger": {"type": "cron", "metadata": {"desiredReplicas": "2"}}}
SLEEPS_FOR_GOOD = "minReplicas 0 needs a metric of type prometheus or keda"


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
        ({"type": "pods", "name": "x", "target": 0}, "target must be more than 0"),
        ({"type": "external", "name": "x", "target": "0m"}, "target must be more than 0"),
        ({**QUERY, "target": "0.0"}, "target must be more than 0"),
        ({**IN_FLIGHT, "target": "0"}, "target must be more than 0"),
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
        ([CPU], {"minReplicas": 0}, SLEEPS_FOR_GOOD),
        ([PODS], {"minReplicas": 0}, SLEEPS_FOR_GOOD),
        ([IN_FLIGHT], {"minReplicas": 0}, SLEEPS_FOR_GOOD),
        ([{"type": "requestsPerSecond", "target": 5}], {"minReplicas": 0}, SLEEPS_FOR_GOOD),
        ([{"type": "queueWaitMilliseconds", "target": 50}, CPU], {"minReplicas": 0}, SLEEPS_FOR_GOOD),
        ([IN_FLIGHT], {"minReplicas": 0}, "or set minReplicas to 1"),
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


@pytest.mark.parametrize("target", ["1m", "0.5", 1, "1Ki", "10"])
def test_target_may_be_any_quantity_above_zero(build_model: Callable[..., ScoringModel], target: int | str) -> None:
    assert parse(build_model, {**QUERY, "target": target}).metrics[0].target == target


def test_policies_of_a_behavior_are_left_out_or_there(build_model: Callable[..., ScoringModel]) -> None:
    with pytest.raises(ModelProblem, match=r"spec\.autoscaling\.behavior\.scaleUp\.policies"):
        build_model(autoscaling={"maxReplicas": 2, "behavior": {"scaleUp": {"policies": []}}})


@pytest.mark.parametrize("metrics", [[QUERY], [CRON], [IN_FLIGHT, QUERY], [CPU, IN_FLIGHT, CRON]])
def test_model_may_sleep_when_one_metric_is_there_without_replicas(
    build_model: Callable[..., ScoringModel], metrics: list[Manifest]
) -> None:
    assert parse(build_model, *metrics, minReplicas=0).min_replicas == 0


@pytest.mark.parametrize(
    ("metrics", "needs_keda"), [([CPU], False), ([CPU, PODS], False), ([IN_FLIGHT], True), ([CPU, IN_FLIGHT], True)]
)
def test_keda_is_needed_as_soon_as_one_metric_needs_it(
    build_model: Callable[..., ScoringModel], metrics: list[Manifest], needs_keda: bool
) -> None:
    assert parse(build_model, *metrics).needs_keda is needs_keda


@pytest.mark.parametrize(
    ("name", "autoscaler"),
    [
        ("a" * 54, "keda-hpa-" + "a" * 54),
        ("a" * 55, "keda-hpa-" + "a" * 45 + "-9f4390f8"),
        ("a" * 63, "keda-hpa-" + "a" * 45 + "-7d3e74a0"),
    ],
)
def test_kedas_autoscaler_of_a_long_name_gets_a_short_one(
    build_model: Callable[..., ScoringModel],
    build_class: Callable[..., HardwareClass],
    settings: Settings,
    name: str,
    autoscaler: str,
) -> None:
    """KEDA refuses names of more than 63 characters, and puts nine before the model's."""
    model = build_model(name, autoscaling={"minReplicas": 1, "maxReplicas": 3, "metrics": [IN_FLIGHT]})
    rendered = render_scaled_object(model, build_class(), settings)
    assert rendered is not None
    assert find_autoscaler_name(name) == autoscaler
    given = rendered["spec"].get("advanced", {}).get("horizontalPodAutoscalerConfig", {}).get("name")
    assert given == (None if len(name) <= 54 else autoscaler)
