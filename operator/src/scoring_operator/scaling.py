"""Why a model is not scaled by its load: pure reading of its autoscalers into one ModelProblem, which becomes the condition ScalingInactive."""

import datetime
from dataclasses import dataclass

from scoring_operator.api import Manifest
from scoring_operator.diagnosis import find_condition, shorten
from scoring_operator.errors import ModelProblem

KEDA_NOT_INSTALLED = "KedaNotInstalled"
SCALED_OBJECT_NOT_READY = "ScaledObjectNotReady"
METRICS_UNAVAILABLE = "MetricsUnavailable"
AUTOSCALER_REFUSED = "AutoscalerRefused"

GRACE_SECONDS = 60.0
"""How long metrics may be missing before it is told: those of new pods come late."""

SWITCHED_OFF = "ScalingDisabled"
"""Kubernetes' reason while the Deployment has no replicas: nothing is wrong."""

OF_PODS = ("FailedGetResourceMetric", "FailedGetContainerResourceMetric", "FailedGetPodsMetric")
"""Kubernetes' reasons for metrics that no pod has before it is ready."""

REMEDIES = {
    "FailedGetResourceMetric": "Percentages of CPU and memory need a metrics server in the cluster.",
    "FailedGetContainerResourceMetric": "Percentages of CPU and memory need a metrics server in the cluster.",
    "FailedGetPodsMetric": "Metrics of type pods need an adapter that serves the API custom.metrics.k8s.io.",
    "FailedGetExternalMetric": "Metrics of type external need an adapter that serves the API external.metrics.k8s.io.",
}


@dataclass(frozen=True)
class Autoscalers:
    """What there is of a model's autoscalers, as last seen."""

    is_keda_missing: bool = False
    """Whether the model needs a ScaledObject and the cluster has no such kind."""

    scaled_object: Manifest | None = None
    autoscaler: Manifest | None = None
    """The HorizontalPodAutoscaler: the model's own, or the one that KEDA made."""

    deployment: Manifest | None = None
    """What is scaled."""


@dataclass(frozen=True)
class ScalingVerdict:
    """What is wrong with the scaling, if anything, and when to look again at what may yet mend itself."""

    problem: ModelProblem | None = None
    again_seconds: float | None = None


def judge_scaling(autoscalers: Autoscalers, now: datetime.datetime) -> ScalingVerdict:
    """Return what keeps the load from choosing the number of replicas."""
    if autoscalers.is_keda_missing:
        message = (
            "A metric needs KEDA, which this cluster does not have; the replicas stay as they are. Install KEDA, or use metrics of "
            "type cpu, memory, pods or external."
        )
        return ScalingVerdict(ModelProblem(KEDA_NOT_INSTALLED, message))
    failing = find_failing_condition(autoscalers)
    if failing is None:
        return ScalingVerdict()
    condition, problem = failing
    # Looked at again within the grace, even if the clocks of the control plane's own machines are apart.
    age_seconds = measure_age_seconds(condition, now)
    available = find_condition(autoscalers.deployment or {}, "Available")
    if available.get("status") == "True" and condition.get("reason") in OF_PODS:
        age_seconds = min(age_seconds, measure_age_seconds(available, now))
    left = min(GRACE_SECONDS - age_seconds, GRACE_SECONDS)
    return ScalingVerdict(problem) if left <= 0 else ScalingVerdict(again_seconds=left)


def find_failing_condition(autoscalers: Autoscalers) -> tuple[Manifest, ModelProblem] | None:
    """Return the condition of an autoscaler that says it does not work, and what it means; None when all work."""
    ready = find_condition(autoscalers.scaled_object or {}, "Ready")
    if ready.get("status") == "False":
        message = f"KEDA does not scale the model: {shorten(ready.get('message', ''))}"
        return ready, ModelProblem(SCALED_OBJECT_NOT_READY, message)
    has_replica = (autoscalers.deployment or {}).get("status", {}).get("readyReplicas", 0) > 0
    for condition_type in ("AbleToScale", "ScalingActive"):
        condition = find_condition(autoscalers.autoscaler or {}, condition_type)
        reason = condition.get("reason", "")
        if condition.get("status") == "False" and reason != SWITCHED_OFF and (has_replica or reason not in OF_PODS):
            said = shorten(condition.get("message", "")).rstrip(".")
            remedy = REMEDIES.get(reason, "")
            return condition, ModelProblem(
                METRICS_UNAVAILABLE, f"The autoscaler does not work: {said}. {remedy}".strip()
            )
    return None


def describe_refused_autoscaler(refusal: str) -> ScalingVerdict:
    """Return the verdict on an autoscaler that the API server does not accept, in its words."""
    return ScalingVerdict(ModelProblem(AUTOSCALER_REFUSED, f"The API server refuses the model's autoscaler: {refusal}"))


def measure_age_seconds(condition: Manifest, now: datetime.datetime) -> float:
    """Return how long a condition has been as it is; KEDA's tell no time, and count as old."""
    changed = condition.get("lastTransitionTime")
    if changed is None:
        return GRACE_SECONDS
    return (now - datetime.datetime.fromisoformat(changed)).total_seconds()
