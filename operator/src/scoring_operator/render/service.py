"""The Service: one stable address for the replicas that are ready."""

from scoring_operator.api import Manifest, ScoringModel
from scoring_operator.kinds import SERVICE
from scoring_operator.render.metadata import render_object, render_selector

SERVICE_PORT = 80
GRPC_SERVICE_PORT = 8081


def render_service(model: ScoringModel) -> Manifest:
    """Return the Service on port 80, and 8081 for gRPC, of the type that spec.endpoint asks for."""
    endpoint = model.spec.endpoint
    numbers = {"http": SERVICE_PORT, **({"grpc": GRPC_SERVICE_PORT} if endpoint.grpc else {})}
    ports = [{"name": name, "port": port, "targetPort": name, "protocol": "TCP"} for name, port in numbers.items()]
    return render_object(SERVICE, model, {"type": endpoint.type, "selector": render_selector(model), "ports": ports})
