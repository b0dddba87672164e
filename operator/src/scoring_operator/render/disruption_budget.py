"""The PodDisruptionBudget of a model that may have several replicas: node drains take a few at a time."""

from scoring_operator.api import Manifest, ScoringModel
from scoring_operator.kinds import DISRUPTION_BUDGET
from scoring_operator.render.metadata import render_object, render_selector
from scoring_operator.render.replicas import may_have_several

MAX_UNAVAILABLE = "25%"
"""Rounded up by Kubernetes: one of up to four replicas."""


def render_disruption_budget(model: ScoringModel) -> Manifest | None:
    """Return the budget; None for a model with at most one replica, which would keep its node from ever being drained, or not help."""
    if not may_have_several(model):
        return None
    spec = {
        "maxUnavailable": MAX_UNAVAILABLE,
        "selector": {"matchLabels": render_selector(model)},
        # A replica that does not work protects nobody.
        "unhealthyPodEvictionPolicy": "AlwaysAllow",
    }
    return render_object(DISRUPTION_BUDGET, model, spec)
