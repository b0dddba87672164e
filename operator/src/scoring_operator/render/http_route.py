"""The HTTPRoutes: the way from a Gateway's listener to the Service, and the one from plain HTTP to HTTPS."""

from scoring_operator.api import Gateway, Manifest, ScoringModel
from scoring_operator.errors import ModelProblem
from scoring_operator.kinds import GATEWAY, HTTP_ROUTE, REDIRECT, Kind
from scoring_operator.render.metadata import render_object
from scoring_operator.render.service import SERVICE_PORT
from scoring_operator.settings import Settings

MOVED_PERMANENTLY = 301
"""Of the redirects, those that each implementation of the Gateway API has are 301 and 302."""


def render_http_route(model: ScoringModel, settings: Settings) -> Manifest | None:
    """Return the HTTPRoute of a model whose host is a Gateway's; else None.

    Raises ModelProblem when the model asks for TLS of its own, and the Gateway is the operator's default.
    """
    gateway = model.spec.endpoint.choose_gateway(settings.gateway)
    if gateway is None:
        return None
    if model.spec.endpoint.tls is not None:
        raise describe_tls_of_listener(gateway)
    backend = {"kind": "Service", "name": model.name, "port": SERVICE_PORT}
    return render_route(HTTP_ROUTE, model, (gateway, gateway.section_name), {"backendRefs": [backend]})


def render_redirect(model: ScoringModel, settings: Settings) -> Manifest | None:
    """Return the HTTPRoute that sends clients of the HTTP listener to HTTPS; None when no such listener is named."""
    gateway = model.spec.endpoint.choose_gateway(settings.gateway)
    if gateway is None or gateway.redirect_section_name is None:
        return None
    redirect = {"scheme": "https", "statusCode": MOVED_PERMANENTLY}
    rule = {"filters": [{"type": "RequestRedirect", "requestRedirect": redirect}]}
    return render_route(REDIRECT, model, (gateway, gateway.redirect_section_name), rule)


def render_route(kind: Kind, model: ScoringModel, parent: tuple[Gateway, str | None], rule: Manifest) -> Manifest:
    """Return an HTTPRoute for the model's host and path, attached to a listener, or to all that take the host."""
    gateway, section = parent
    endpoint = model.spec.endpoint
    named = {"namespace": gateway.namespace, "sectionName": section}
    reference = {"group": GATEWAY.group, "kind": GATEWAY.name, "name": gateway.name}
    reference |= {name: value for name, value in named.items() if value is not None}
    match = {"path": {"type": "PathPrefix", "value": endpoint.prefix}}
    spec = {"parentRefs": [reference], "hostnames": [endpoint.host], "rules": [{"matches": [match], **rule}]}
    return render_object(kind, model, spec)


def describe_tls_of_listener(gateway: Gateway) -> ModelProblem:
    """Return the problem of a model with TLS of its own behind the operator's default Gateway."""
    return ModelProblem(
        "InvalidSpec",
        f"spec.endpoint.tls: models are routed by Gateway {gateway.name} here, whose listener ends TLS: leave tls out, "
        "or name ingressClassName to have an Ingress instead.",
    )
