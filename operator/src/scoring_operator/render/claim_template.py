"""The ResourceClaimTemplate of a model on a class whose devices come from a DRA driver."""

from scoring_operator.api import HardwareClass, Manifest, ScoringModel
from scoring_operator.kinds import CLAIM_TEMPLATE
from scoring_operator.render.metadata import render_object

CLAIM = "accelerator"
"""Name of the claim in the pod, and of the request in the claim."""


def render_claim_template(model: ScoringModel, hardware: HardwareClass) -> Manifest | None:
    """Return the template from which each replica gets a claim of its own; None for a class without resourceClaim."""
    claim = hardware.spec.resource_claim
    if claim is None:
        return None
    exactly: Manifest = {
        "deviceClassName": claim.device_class_name,
        "allocationMode": "ExactCount",
        "count": claim.count,
    }
    if claim.selectors:
        exactly["selectors"] = [{"cel": {"expression": expression}} for expression in claim.selectors]
    return render_object(
        CLAIM_TEMPLATE, model, {"spec": {"devices": {"requests": [{"name": CLAIM, "exactly": exactly}]}}}
    )
