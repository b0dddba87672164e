"""The HorizontalPodAutoscaler of a model whose metrics Kubernetes reads itself."""

from scoring_operator.api import Autoscaling, HardwareClass, Manifest, Metric, ScoringModel
from scoring_operator.api.metric import RESOURCE_TYPES
from scoring_operator.errors import ModelProblem
from scoring_operator.kinds import AUTOSCALER, DEPLOYMENT
from scoring_operator.render.metadata import render_object
from scoring_operator.render.resources import merge_resources


def render_autoscaler(model: ScoringModel, hardware: HardwareClass) -> Manifest | None:
    """Return the autoscaler of the model's Deployment; None when the number of replicas is fixed, or KEDA chooses it.

    Raises ModelProblem when a share of a request is to be kept but nothing is requested.
    """
    autoscaling = model.spec.autoscaling
    if autoscaling is None or autoscaling.needs_keda:
        return None
    check_requests(model, hardware, autoscaling)
    spec = {
        "scaleTargetRef": {"apiVersion": DEPLOYMENT.api_version, "kind": DEPLOYMENT.name, "name": model.name},
        "minReplicas": autoscaling.min_replicas,
        "maxReplicas": autoscaling.max_replicas,
        "metrics": [render_metric(metric) for metric in autoscaling.metrics],
        **render_behavior(autoscaling),
    }
    return render_object(AUTOSCALER, model, spec)


def check_requests(model: ScoringModel, hardware: HardwareClass, autoscaling: Autoscaling) -> None:
    """Raise ModelProblem when a metric is a percentage of a request that a replica does not make."""
    resources = merge_resources(model, hardware)
    for metric in autoscaling.metrics:
        name = metric.type
        if name in RESOURCE_TYPES and not (name in resources["requests"] or name in resources["limits"]):
            raise ModelProblem(
                "InvalidSpec",
                f"autoscaling on {name} needs a {describe_resource(name)} request: set spec.resources.requests.{name} in HardwareClass "
                f"{hardware.name}, or spec.runtime.resources.requests.{name} here.",
            )


def describe_resource(name: str) -> str:
    """Return how a sentence writes a resource."""
    return "CPU" if name == "cpu" else name


def render_metric(metric: Metric) -> Manifest:
    """Return a metric as autoscaling/v2 writes it; pods and external metrics are averages over the replicas."""
    if metric.type in RESOURCE_TYPES:
        target: Manifest = {"type": "Utilization", "averageUtilization": metric.target}
        return {"type": "Resource", "resource": {"name": metric.type, "target": target}}
    identifier: Manifest = {"name": metric.name}
    if metric.selector:
        identifier["selector"] = {"matchLabels": dict(metric.selector)}
    kind = "Pods" if metric.type == "pods" else "External"
    target = {"type": "AverageValue", "averageValue": str(metric.target)}
    return {"type": kind, metric.type: {"metric": identifier, "target": target}}


def render_behavior(autoscaling: Autoscaling) -> Manifest:
    """Return the field `behavior`, if the model has it; KEDA takes it as it is too."""
    if autoscaling.behavior is None:
        return {}
    return {"behavior": autoscaling.behavior.model_dump(by_alias=True, exclude_none=True, mode="json")}
