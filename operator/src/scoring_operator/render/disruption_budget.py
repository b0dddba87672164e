"""The PodDisruptionBudget of a model that asks for several replicas: node drains take a few at a time."""

from scoring_operator.api import Manifest, ScoringModel
from scoring_operator.kinds import DISRUPTION_BUDGET
from scoring_operator.render.metadata import render_object, render_selector
from scoring_operator.render.replicas import asks_for_several

MAX_UNAVAILABLE = "25%"
"""Rounded up by Kubernetes: one of up to four replicas."""


def render_disruption_budget(model: ScoringModel) -> Manifest | None:
    """Return the budget; None for a model that at times has one replica, and so has said that it can do without."""
    if not asks_for_several(model):
        return None
    spec = {
        "maxUnavailable": MAX_UNAVAILABLE,
        "selector": {"matchLabels": render_selector(model)},
        # A replica that does not work protects nobody.
        "unhealthyPodEvictionPolicy": "AlwaysAllow",
    }
    return render_object(DISRUPTION_BUDGET, model, spec)
