"""Who claims which host and path: an index over the ScoringModels, Ingresses and HTTPRoutes of the store, and pure reading of these.

A claim is a prefix on a host, whatever IngressClass or Gateway it goes through: a URL should mean one model.
"""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from scoring_operator.api import GROUP, Manifest
from scoring_operator.kinds import HTTP_ROUTE, INGRESS, SCORING_MODEL, Kind

CLAIMING = (SCORING_MODEL, INGRESS, HTTP_ROUTE)
PREFIXES = ("Prefix", "ImplementationSpecific")
"""Types of an Ingress's paths that mean a prefix; an exact path takes nothing else from a prefix."""

Place = tuple[str, str]
"""A host, and a prefix of paths on it that does not end with / unless it is nothing else."""


@dataclass(frozen=True)
class Claimant:
    """An object that claims places."""

    kind: Kind
    namespace: str
    name: str
    is_child: bool = False
    """Whether it belongs to a ScoringModel, which claims the same."""

    def __str__(self) -> str:
        return f"{self.kind.name} {self.namespace}/{self.name}"


class Claims:
    """The claims of all objects, by place and by object."""

    def __init__(self) -> None:
        self._claimants: defaultdict[Place, set[Claimant]] = defaultdict(set)
        self._known: dict[tuple[Kind, str, str], tuple[Claimant, frozenset[Place]]] = {}

    def put(self, kind: Kind, body: Manifest) -> None:
        """Take note of what an object claims now."""
        if kind not in CLAIMING:
            return
        self.remove(kind, body)
        places = frozenset(find_places(kind, body))
        if places:
            metadata = body["metadata"]
            claimant = Claimant(kind, metadata["namespace"], metadata["name"], is_child(body))
            self._known[kind, claimant.namespace, claimant.name] = claimant, places
            for place in places:
                self._claimants[place].add(claimant)

    def remove(self, kind: Kind, body: Manifest) -> None:
        """Take note that an object is gone."""
        if kind in CLAIMING:
            self._drop((kind, body["metadata"]["namespace"], body["metadata"]["name"]))

    def remove_all(self, kind: Kind) -> None:
        """Take note that all objects of a kind are gone."""
        for known in [known for known in self._known if known[0] == kind]:
            self._drop(known)

    def find(self, place: Place) -> frozenset[Claimant]:
        """Return who claims a place."""
        return frozenset(self._claimants.get(place, ()))

    def find_places_of(self, kind: Kind, body: Manifest) -> frozenset[Place]:
        """Return what an object claims as last noted."""
        if kind not in CLAIMING:
            return frozenset()
        known = self._known.get((kind, body["metadata"]["namespace"], body["metadata"]["name"]))
        return known[1] if known else frozenset()

    def _drop(self, address: tuple[Kind, str, str]) -> None:
        claimant, places = self._known.pop(address, (None, frozenset[Place]()))
        for place in places:
            if claimant is not None:
                self._claimants[place].discard(claimant)
            if not self._claimants[place]:
                del self._claimants[place]


def is_child(body: Manifest) -> bool:
    """Tell whether an object belongs to a ScoringModel."""
    owners = body["metadata"].get("ownerReferences") or []
    return any(
        owner.get("controller")
        and owner.get("kind") == SCORING_MODEL.name
        and str(owner.get("apiVersion")).startswith(f"{GROUP}/")
        for owner in owners
    )


def find_places(kind: Kind, body: Manifest) -> Iterator[Place]:
    """Yield what an object claims."""
    if kind is SCORING_MODEL:
        place = find_place(body)
        if place is not None:
            yield place
    elif kind is INGRESS:
        yield from find_ingress_places(body["spec"])
    else:
        yield from find_route_places(body["spec"])


def find_place(body: Manifest) -> Place | None:
    """Return what a ScoringModel claims; None without a host. It may be one that an older schema let in, of any content."""
    spec = body.get("spec")
    endpoint = spec.get("endpoint") if isinstance(spec, dict) else None
    if not isinstance(endpoint, dict):
        return None
    host, path = endpoint.get("host"), endpoint.get("path") or "/"
    return (host, trim(path)) if isinstance(host, str) and isinstance(path, str) else None


def find_ingress_places(spec: Manifest) -> Iterator[Place]:
    """Yield the prefixes of an Ingress on the hosts that it names."""
    for rule in spec.get("rules") or []:
        for path in (rule.get("http") or {}).get("paths") or []:
            if rule.get("host") and path.get("pathType") in PREFIXES:
                yield rule["host"], trim(path.get("path") or "/")


def find_route_places(spec: Manifest) -> Iterator[Place]:
    """Yield the prefixes of an HTTPRoute on the hosts that it names: those that ask for nothing but the path."""
    for rule in spec.get("rules") or [{}]:
        for match in rule.get("matches") or [{}]:
            path = match.get("path") or {}
            if match.keys() <= {"path"} and path.get("type", "PathPrefix") == "PathPrefix":
                yield from ((host, trim(path.get("value") or "/")) for host in spec.get("hostnames") or [])


def trim(path: str) -> str:
    """Return a prefix as places have it."""
    return path.rstrip("/") or "/"
