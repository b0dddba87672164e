"""Renders a ScoringModel's children: pure functions from the model, its hardware and the operator's settings to manifests."""

from scoring_operator.api import HardwareClass, Manifest, ScoringModel
from scoring_operator.kinds import AUTOSCALER, DEPLOYMENT, SERVICE, Kind
from scoring_operator.render.autoscaler import render_autoscaler
from scoring_operator.render.deployment import render_deployment
from scoring_operator.render.metadata import add_hash
from scoring_operator.render.service import render_service
from scoring_operator.settings import Settings


def render_children(model: ScoringModel, hardware: HardwareClass, settings: Settings) -> dict[Kind, Manifest | None]:
    """Return the wished manifest of each kind of child; None for a child that must not be.

    Raises ModelProblem when the model and its hardware do not fit together.
    """
    rendered = {
        DEPLOYMENT: render_deployment(model, hardware, settings),
        SERVICE: render_service(model),
        AUTOSCALER: render_autoscaler(model, hardware),
    }
    return {kind: None if body is None else add_hash(body) for kind, body in rendered.items()}
