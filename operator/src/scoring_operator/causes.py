"""Which changes are a cause to reconcile a model, and how long they may wait for others. Pure."""

from scoring_operator.api import Manifest
from scoring_operator.kinds import DEPLOYMENT, HARDWARE_CLASS, ROUTERS, ROUTES, SCORING_MODEL, Kind
from scoring_operator.status import has_settled

WISHES = {HARDWARE_CLASS, SCORING_MODEL}
"""Kinds that say what is wished; of these, a change of the status alone is no cause."""

COMPARED = {*WISHES, *ROUTERS, *ROUTES}
"""Kinds of which it matters what there was before."""

SETTLE_SECONDS = 0.5
"""Changes come in bursts; this much later, one round serves them all."""

LONGEST_SETTLE_SECONDS = 3.0
"""A burst of changes is looked at after so long at most, however many models wait."""


def has_new_wishes(body: Manifest, known: Manifest | None) -> bool:
    """Tell whether a model or class is new, wishes something else than before, or is to be deleted: a change of its status is no cause."""
    if known is None:
        return True
    return any(
        body["metadata"].get(name) != known["metadata"].get(name) for name in ("uid", "generation", "deletionTimestamp")
    )


def has_changed(known: Manifest | None, body: Manifest | None) -> bool:
    """Tell whether anything of what the store keeps of an object is news, but its version."""
    kept = [
        {**one, "metadata": {**one["metadata"], "resourceVersion": None, "managedFields": None}}
        for one in (known, body)
        if one is not None
    ]
    return len(kept) == 1 or kept[0] != kept[-1]


def stretch(delay_seconds: float, backlog: float) -> float:
    """Return a delay, longer the more models wait for each worker: what new ones need comes before another look at those that have it."""
    return max(delay_seconds, min(delay_seconds * (1 + backlog), LONGEST_SETTLE_SECONDS))


def find_delay_seconds(kind: Kind, body: Manifest, is_deleted: bool) -> float:
    """Return how long a change of a model's child or pod may wait for others: not at all when it decides whether the model is ready."""
    return 0.0 if is_deleted or (kind is DEPLOYMENT and has_settled(body)) else SETTLE_SECONDS
