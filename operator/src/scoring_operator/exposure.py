"""The route of one model as the store has it: who else claims its host and path, and what there is on the way to it. Above `store`."""

from collections.abc import Iterator

from scoring_operator.api import Manifest, ScoringModel
from scoring_operator.host_claims import Claimant, Place, find_place
from scoring_operator.kinds import (
    GATEWAY,
    HTTP_ROUTE,
    INGRESS,
    INGRESS_CLASS,
    REDIRECT,
    SCORING_MODEL,
    Key,
    Kind,
)
from scoring_operator.routing import RouteSight, RouteVerdict, judge_route
from scoring_operator.settings import Settings
from scoring_operator.store import Store


def judge_exposure(store: Store, settings: Settings, body: Manifest, model: ScoringModel) -> RouteVerdict | None:
    """Return whether a model is reached at its host; None when it has none."""
    endpoint = model.spec.endpoint
    if endpoint.host is None:
        return None
    gateway = endpoint.choose_gateway(settings.gateway)

    def find(kind: Kind) -> Manifest | None:
        return store.get(kind, model.namespace, model.name + kind.suffix)

    sight = RouteSight(
        rival=find_rival(store, body),
        is_gateway_api_missing=gateway is not None and not store.is_served(HTTP_ROUTE),
        ingress=find(INGRESS),
        ingress_classes=[] if gateway else store.select(INGRESS_CLASS),
        gateway=store.get(GATEWAY, gateway.namespace or model.namespace, gateway.name) if gateway else None,
        route=find(HTTP_ROUTE),
        redirect=find(REDIRECT),
    )
    return judge_route(model, settings, sight)


def find_rival(store: Store, body: Manifest) -> str | None:
    """Return who has a model's host and path already; None when the model has it, or may have it.

    Who has it keeps it. Among models that have not, the oldest gets it; what somebody else has made comes before them.
    """
    place = find_place(body)
    if place is None:
        return None
    claimants = store.claims.find(place)
    models = [other for one in claimants if (other := find_model(store, one))]
    first = min(models, key=lambda other: rank(other, place), default=body)
    if first["metadata"]["uid"] != body["metadata"]["uid"]:
        return f"{SCORING_MODEL.name} {first['metadata']['namespace']}/{first['metadata']['name']}"
    others = sorted(str(one) for one in claimants if one.kind is not SCORING_MODEL and not one.is_child)
    return None if holds(body, place) else next(iter(others), None)


def find_model(store: Store, claimant: Claimant) -> Manifest | None:
    """Return the ScoringModel that claims; None for another kind of claimant."""
    if claimant.kind is not SCORING_MODEL:
        return None
    return store.get(SCORING_MODEL, claimant.namespace, claimant.name)


def find_claiming_models(store: Store, places: frozenset[Place]) -> Iterator[Key]:
    """Yield the models that claim one of the places."""
    for place in places:
        for claimant in store.claims.find(place):
            if claimant.kind is SCORING_MODEL:
                yield Key(claimant.namespace, claimant.name)


def rank(body: Manifest, place: Place) -> tuple[bool, str, str, str]:
    """Return by what models that claim the same place are ordered: who has it, then the oldest."""
    metadata = body["metadata"]
    return not holds(body, place), metadata.get("creationTimestamp", ""), metadata["namespace"], metadata["name"]


def holds(body: Manifest, place: Place) -> bool:
    """Tell whether a model has a place: its status, which only the operator writes, has the place's URL."""
    url = (body.get("status") or {}).get("url")
    return isinstance(url, str) and url.partition("://")[2] == place[0] + place[1].rstrip("/")
