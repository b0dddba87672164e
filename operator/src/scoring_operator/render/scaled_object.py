"""The KEDA ScaledObject of a model with a metric that only KEDA can read. KEDA makes a HorizontalPodAutoscaler of its own from it."""

import hashlib

from scoring_operator.api import Autoscaling, HardwareClass, Manifest, Metric, ScoringModel
from scoring_operator.api.metric import RESOURCE_TYPES
from scoring_operator.errors import ModelProblem
from scoring_operator.kinds import DEPLOYMENT, SCALED_OBJECT
from scoring_operator.render.autoscaler import check_requests, render_behavior
from scoring_operator.render.metadata import render_object
from scoring_operator.render.resources import format_number
from scoring_operator.settings import Settings

MODEL = 'namespace="{namespace}",scoring_model="{name}"'
"""Labels by which the runtime's metrics are found, as the ServiceMonitor and the documented scrape configuration set them."""

QUERIES = {
    "requestsInFlight": "sum(scoring_requests_in_flight{{{model}}})",
    # Not those that the gate refuses: a flood of them must not make replicas.
    "requestsPerSecond": 'sum(rate(scoring_requests_total{{{model},code!~"401|403|408|429"}}[1m]))',
    "queueWaitMilliseconds": (
        "1000 * sum(rate(scoring_queue_wait_seconds_sum{{{model}}}[1m])) / "
        "clamp_min(sum(rate(scoring_queue_wait_seconds_count{{{model}}}[1m])), 0.001)"
    ),
}
"""PromQL for what the runtime itself tells (docs/runtime-contract.md)."""

KEDA_PREFIX = "keda-hpa-"
"""What KEDA puts before a ScaledObject's name to name the HorizontalPodAutoscaler that it makes of it, unless it is given a name."""

MAX_NAME_CHARACTERS = 63
"""Of that name, which is the value of a label too."""

VALUE_TYPES = ("queueWaitMilliseconds",)
"""Measures that more replicas make smaller by themselves, so that they are not divided by the replicas."""


def render_scaled_object(model: ScoringModel, hardware: HardwareClass, settings: Settings) -> Manifest | None:
    """Return the ScaledObject of the model's Deployment; None when no metric needs KEDA.

    Raises ModelProblem when a metric is read from Prometheus and no server is named, or a percentage lacks its request.
    """
    autoscaling = model.spec.autoscaling
    if autoscaling is None or not autoscaling.needs_keda:
        return None
    check_requests(model, hardware, autoscaling)
    spec = {
        "scaleTargetRef": {"apiVersion": DEPLOYMENT.api_version, "kind": DEPLOYMENT.name, "name": model.name},
        "minReplicaCount": autoscaling.min_replicas,
        "maxReplicaCount": autoscaling.max_replicas,
        "triggers": [render_trigger(metric, model, settings) for metric in autoscaling.metrics],
        **render_looks(autoscaling),
    }
    autoscaler = {**render_behavior(autoscaling), **render_autoscaler_name(model)}
    if autoscaler:
        spec["advanced"] = {"horizontalPodAutoscalerConfig": autoscaler}
    return render_object(SCALED_OBJECT, model, spec)


def render_autoscaler_name(model: ScoringModel) -> Manifest:
    """Return the name of KEDA's autoscaler, where the one that KEDA would choose is too long; one that it has is never changed."""
    name = find_autoscaler_name(model.name)
    return {} if name == KEDA_PREFIX + model.name else {"name": name}


def find_autoscaler_name(model_name: str) -> str:
    """Return how the HorizontalPodAutoscaler of a model's ScaledObject is named."""
    name = KEDA_PREFIX + model_name
    if len(name) <= MAX_NAME_CHARACTERS:
        return name
    digest = hashlib.sha256(model_name.encode()).hexdigest()[:8]
    return f"{name[: MAX_NAME_CHARACTERS - len(digest) - 1]}-{digest}"


def render_looks(autoscaling: Autoscaling) -> Manifest:
    """Return how often KEDA looks and how long it waits, if the model says so."""
    return autoscaling.keda.model_dump(by_alias=True, exclude_none=True) if autoscaling.keda else {}


def render_trigger(metric: Metric, model: ScoringModel, settings: Settings) -> Manifest:
    """Return one trigger of the ScaledObject."""
    if metric.trigger is not None:
        return metric.trigger.model_dump(by_alias=True, exclude_none=True, mode="json")
    if metric.type in RESOURCE_TYPES:
        return {"type": metric.type, "metricType": "Utilization", "metadata": {"value": str(metric.target)}}
    query = metric.query or QUERIES[metric.type].format(model=MODEL.format(namespace=model.namespace, name=model.name))
    return {
        "type": "prometheus",
        "metricType": "Value" if metric.type in VALUE_TYPES else "AverageValue",
        "metadata": {
            "serverAddress": find_server(metric, settings),
            "query": query,
            "threshold": format_number(metric.target or 0),
        },
    }


def find_server(metric: Metric, settings: Settings) -> str:
    """Return the Prometheus server of a metric; raises ModelProblem when neither it nor the operator names one."""
    address = metric.server_address or settings.prometheus_address
    if not address:
        raise ModelProblem(
            "InvalidSpec",
            f"autoscaling on {metric.type} is read from Prometheus, and no server is known: set serverAddress of the metric, "
            "or prometheusAddress of the operator's chart.",
        )
    return address
