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
    outside = {
        "loadBalancerClass": endpoint.load_balancer_class,
        "loadBalancerSourceRanges": endpoint.load_balancer_source_ranges and list(endpoint.load_balancer_source_ranges),
        "externalTrafficPolicy": endpoint.external_traffic_policy,
    }
    given = {name: value for name, value in outside.items() if value is not None}
    spec = {"type": endpoint.type, "selector": render_selector(model), "ports": ports, **given}
    body = render_object(SERVICE, model, spec)
    if endpoint.annotations:
        body["metadata"]["annotations"] = dict(endpoint.annotations)
    return body
