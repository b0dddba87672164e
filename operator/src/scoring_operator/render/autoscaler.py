"""The HorizontalPodAutoscaler of a model with spec.autoscaling."""

from scoring_operator.api import HardwareClass, Manifest, ScoringModel
from scoring_operator.errors import ModelProblem
from scoring_operator.kinds import AUTOSCALER, DEPLOYMENT
from scoring_operator.render.metadata import render_object
from scoring_operator.render.resources import merge_resources


def render_autoscaler(model: ScoringModel, hardware: HardwareClass) -> Manifest | None:
    """Return the autoscaler of the model's Deployment, or None when the number of replicas is fixed.

    Raises ModelProblem when a share of the CPU request is to be kept but none is requested.
    """
    autoscaling = model.spec.autoscaling
    if autoscaling is None:
        return None
    resources = merge_resources(model, hardware)
    if "cpu" not in resources["requests"] and "cpu" not in resources["limits"]:
        raise ModelProblem(
            "InvalidSpec",
            f"autoscaling on cpu needs a CPU request: set spec.resources.requests.cpu in HardwareClass {hardware.name}, "
            "or spec.runtime.resources.requests.cpu here.",
        )
    metrics = [
        {
            "type": "Resource",
            "resource": {"name": metric.type, "target": {"type": "Utilization", "averageUtilization": metric.target}},
        }
        for metric in autoscaling.metrics
    ]
    spec = {
        "scaleTargetRef": {"apiVersion": DEPLOYMENT.api_version, "kind": DEPLOYMENT.name, "name": model.name},
        "minReplicas": autoscaling.min_replicas,
        "maxReplicas": autoscaling.max_replicas,
        "metrics": metrics,
    }
    return render_object(AUTOSCALER, model, spec)
