"""The ServiceAccount of a model's pods: an identity of its own, without a token in the pod."""

from scoring_operator.api import Manifest, ScoringModel
from scoring_operator.kinds import SERVICE_ACCOUNT
from scoring_operator.render.metadata import render_metadata


def render_service_account(model: ScoringModel) -> Manifest | None:
    """Return the account; None when the model names an existing one."""
    if model.spec.runtime.service_account_name is not None:
        return None
    return {
        "apiVersion": SERVICE_ACCOUNT.api_version,
        "kind": SERVICE_ACCOUNT.name,
        "metadata": render_metadata(model),
        "automountServiceAccountToken": False,
    }


def choose_service_account(model: ScoringModel) -> str:
    """Return the name of the account that the pods run as."""
    return model.spec.runtime.service_account_name or model.name
