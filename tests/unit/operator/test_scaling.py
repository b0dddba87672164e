"""When an autoscaler is said not to work, and what is said then."""

import datetime

import pytest

from scoring_operator.api import Manifest
from scoring_operator.scaling import Autoscalers, ScalingVerdict, judge_scaling

NOW = datetime.datetime(2026, 11, 26, 12, 0, tzinfo=datetime.UTC)
OLD, YOUNG = "2026-11-26T11:58:00Z", "2026-11-26T11:59:40Z"


def build_deployment(ready: int, available: str = "True", since: str = OLD) -> Manifest:
    condition = {"type": "Available", "status": available, "lastTransitionTime": since}
    return {"status": {"readyReplicas": ready, "conditions": [condition]}}


SERVING = build_deployment(1)


def build_autoscaler(reason: str, since: str = OLD, status: str = "False") -> Manifest:
    condition = {"type": "ScalingActive", "status": status, "reason": reason, "message": "no metrics returned."}
    return {"status": {"conditions": [{**condition, "lastTransitionTime": since}]}}


def test_nothing_is_wrong_without_any_autoscaler_or_with_one_that_works() -> None:
    assert judge_scaling(Autoscalers(), NOW).problem is None
    works = judge_scaling(
        Autoscalers(deployment=SERVING, autoscaler=build_autoscaler("ValidMetricFound", status="True")), NOW
    )
    assert (works.problem, works.again_seconds) == (None, None)


@pytest.mark.parametrize(
    ("reason", "remedy"),
    [
        ("FailedGetResourceMetric", "need a metrics server in the cluster."),
        ("FailedGetPodsMetric", "custom.metrics.k8s.io."),
        ("FailedGetExternalMetric", "external.metrics.k8s.io."),
        ("InvalidSelector", "no metrics returned."),
    ],
)
def test_metrics_that_stay_away_are_told_with_the_remedy(reason: str, remedy: str) -> None:
    problem = judge_scaling(Autoscalers(deployment=SERVING, autoscaler=build_autoscaler(reason)), NOW).problem
    assert problem is not None
    assert problem.reason == "MetricsUnavailable"
    assert problem.message.startswith("The autoscaler does not work: no metrics returned.")
    assert problem.message.endswith(remedy)


def test_metrics_that_are_only_late_are_looked_at_again() -> None:
    verdict = judge_scaling(
        Autoscalers(deployment=SERVING, autoscaler=build_autoscaler("FailedGetResourceMetric", YOUNG)), NOW
    )
    assert (verdict.problem, verdict.again_seconds) == (None, 40.0)


@pytest.mark.parametrize("reason", ["FailedGetResourceMetric", "FailedGetPodsMetric"])
def test_metrics_of_pods_are_not_missed_before_the_first_is_ready(reason: str) -> None:
    starting = Autoscalers(deployment=build_deployment(0, "False"), autoscaler=build_autoscaler(reason))
    assert judge_scaling(starting, NOW) == ScalingVerdict()
    started = Autoscalers(deployment=build_deployment(1, since=YOUNG), autoscaler=build_autoscaler(reason))
    assert judge_scaling(started, NOW) == ScalingVerdict(again_seconds=40.0)
    # One of several may never come.
    partly = Autoscalers(deployment=build_deployment(1, "False", YOUNG), autoscaler=build_autoscaler(reason))
    assert judge_scaling(partly, NOW).problem is not None


def test_metrics_from_elsewhere_are_missed_while_no_replica_is_ready() -> None:
    starting = Autoscalers(deployment=build_deployment(0), autoscaler=build_autoscaler("FailedGetExternalMetric"))
    assert judge_scaling(starting, NOW).problem is not None


def test_condition_from_the_future_is_looked_at_again_within_the_grace() -> None:
    late = judge_scaling(
        Autoscalers(deployment=SERVING, autoscaler=build_autoscaler("FailedGetPodsMetric", "2026-11-26T13:00:00Z")), NOW
    )
    assert (late.problem, late.again_seconds) == (None, 60.0)


def test_autoscaler_of_a_model_without_replicas_is_not_wrong() -> None:
    verdict = judge_scaling(Autoscalers(deployment=SERVING, autoscaler=build_autoscaler("ScalingDisabled")), NOW)
    assert (verdict.problem, verdict.again_seconds) == (None, None)


def test_scaled_object_that_is_refused_is_told_at_once() -> None:
    condition = {"type": "Ready", "status": "False", "reason": "ScaledObjectCheckFailed", "message": "no such trigger"}
    problem = judge_scaling(Autoscalers(scaled_object={"status": {"conditions": [condition]}}), NOW).problem
    assert problem is not None
    assert (problem.reason, problem.message) == (
        "ScaledObjectNotReady",
        "KEDA does not scale the model: no such trigger",
    )


def test_missing_keda_is_told_with_the_remedy() -> None:
    problem = judge_scaling(Autoscalers(is_keda_missing=True), NOW).problem
    assert problem is not None
    assert problem.reason == "KedaNotInstalled"
    assert "Install KEDA, or use metrics of type cpu" in problem.message
