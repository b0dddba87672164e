"""Renders a ScoringModel's children: pure functions from the model, its hardware and the operator's settings to manifests."""

from scoring_operator.api import HardwareClass, Manifest, ScoringModel
from scoring_operator.kinds import (
    AUTOSCALER,
    CLAIM_TEMPLATE,
    DEPLOYMENT,
    DISRUPTION_BUDGET,
    HTTP_ROUTE,
    INGRESS,
    NETWORK_POLICY,
    REDIRECT,
    SCALED_OBJECT,
    SERVICE,
    SERVICE_ACCOUNT,
    SERVICE_MONITOR,
    Kind,
)
from scoring_operator.render.autoscaler import render_autoscaler
from scoring_operator.render.claim_template import render_claim_template
from scoring_operator.render.deployment import render_deployment
from scoring_operator.render.disruption_budget import render_disruption_budget
from scoring_operator.render.http_route import render_http_route, render_redirect
from scoring_operator.render.ingress import render_ingress
from scoring_operator.render.metadata import add_hash
from scoring_operator.render.network_policy import render_network_policy
from scoring_operator.render.scaled_object import render_scaled_object
from scoring_operator.render.service import render_service
from scoring_operator.render.service_account import render_service_account
from scoring_operator.render.service_monitor import render_service_monitor
from scoring_operator.settings import Settings


def render_children(model: ScoringModel, hardware: HardwareClass, settings: Settings) -> dict[Kind, Manifest | None]:
    """Return the wished manifest of each kind of child; None for a child that must not be.

    Raises ModelProblem when the model and its hardware do not fit together.
    """
    rendered = {
        SERVICE_ACCOUNT: render_service_account(model, settings),
        CLAIM_TEMPLATE: render_claim_template(model, hardware),
        DEPLOYMENT: render_deployment(model, hardware, settings),
        SERVICE: render_service(model),
        AUTOSCALER: render_autoscaler(model, hardware),
        SCALED_OBJECT: render_scaled_object(model, hardware, settings),
        DISRUPTION_BUDGET: render_disruption_budget(model),
        NETWORK_POLICY: render_network_policy(model, settings),
        INGRESS: render_ingress(model, settings),
        HTTP_ROUTE: render_http_route(model, settings),
        REDIRECT: render_redirect(model, settings),
        SERVICE_MONITOR: render_service_monitor(model, settings),
    }
    return {kind: None if body is None else add_hash(body) for kind, body in rendered.items()}
