"""The Service: one stable address for the replicas that are ready."""

from scoring_operator.api import Manifest, ScoringModel
from scoring_operator.kinds import SERVICE
from scoring_operator.render.metadata import render_object, render_selector

SERVICE_PORT = 80


def render_service(model: ScoringModel) -> Manifest:
    """Return the Service on port 80, of the type that spec.endpoint asks for."""
    port = {"name": "http", "port": SERVICE_PORT, "targetPort": "http", "protocol": "TCP"}
    return render_object(
        SERVICE, model, {"type": model.spec.endpoint.type, "selector": render_selector(model), "ports": [port]}
    )
