"""The ServiceAccount of a model's pods: an identity of its own where it is wished, without a token in the pod."""

from scoring_operator.api import Manifest, ScoringModel
from scoring_operator.kinds import SERVICE_ACCOUNT
from scoring_operator.render.metadata import render_metadata
from scoring_operator.settings import Settings

DEFAULT_ACCOUNT = "default"
"""The ServiceAccount that Kubernetes makes in each namespace."""


def render_service_account(model: ScoringModel, settings: Settings) -> Manifest | None:
    """Return the account of a model that asks for its own; None when its pods run as an existing one."""
    if not has_own_account(model, settings):
        return None
    wished = model.spec.runtime.service_account
    annotations = {**wished.annotations} if wished and wished.annotations else {}
    return {
        "apiVersion": SERVICE_ACCOUNT.api_version,
        "kind": SERVICE_ACCOUNT.name,
        "metadata": {**render_metadata(model), **({"annotations": annotations} if annotations else {})},
        "automountServiceAccountToken": False,
    }


def choose_service_account(model: ScoringModel, settings: Settings) -> str:
    """Return the name of the account that the pods run as.

    The default one is named, too: a pod template that no longer named any would keep the name that it had before.
    """
    own = model.name if has_own_account(model, settings) else DEFAULT_ACCOUNT
    return model.spec.runtime.service_account_name or own


def has_own_account(model: ScoringModel, settings: Settings) -> bool:
    """Tell whether the model's pods have an account of their own."""
    runtime = model.spec.runtime
    is_wished = runtime.service_account is not None or settings.service_accounts == "always"
    return is_wished and runtime.service_account_name is None
