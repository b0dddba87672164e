"""The newest known state of every object that concerns the operator, so that a reconcile reads without asking the API server.

Filled by watches, by full lists (at the start and at each resync: an object deleted during a gap of a watch gives no event)
and by the answers to the operator's own writes.
"""

from collections import OrderedDict
from collections.abc import Iterable

from scoring_operator.api import Manifest
from scoring_operator.kinds import MODEL_LABEL, Key, Kind

Address = tuple[str | None, str]

REMEMBERED_DELETIONS = 1000


class Store:
    """Objects by kind, namespace and name; an older version never replaces a newer one."""

    def __init__(self) -> None:
        self._objects: dict[Kind, dict[Address, Manifest]] = {}
        # An answer to a write may arrive after the event of the object's deletion; it must not bring the object back. But an object
        # that only lost our label counts as deleted for a watch that selects by it, and comes back in a later version.
        self._deleted: OrderedDict[str, int] = OrderedDict()

    def get(self, kind: Kind, namespace: str | None, name: str) -> Manifest | None:
        """Return one object, or None; it must not be changed."""
        return self._objects.get(kind, {}).get((namespace, name))

    def select(self, kind: Kind) -> list[Manifest]:
        """Return all objects of a kind."""
        return list(self._objects.get(kind, {}).values())

    def select_of(self, kind: Kind, key: Key) -> list[Manifest]:
        """Return the objects of a kind that carry the label of one ScoringModel."""
        return [
            body
            for (namespace, _), body in self._objects.get(kind, {}).items()
            if namespace == key.namespace and body["metadata"].get("labels", {}).get(MODEL_LABEL) == key.name
        ]

    def put(self, kind: Kind, body: Manifest) -> bool:
        """Keep an object, unless a newer version is known or it was deleted later than this version; tell whether it is news."""
        objects = self._objects.setdefault(kind, {})
        address = find_address(body)
        known = objects.get(address)
        newest = max(self._deleted.get(body["metadata"]["uid"], -1), read_version(known) if known else -1)
        if read_version(body) <= newest:
            return False
        objects[address] = strip(body)
        return True

    def remove(self, kind: Kind, body: Manifest) -> None:
        """Forget a deleted object, unless another of the same name has taken its place."""
        self._deleted[body["metadata"]["uid"]] = read_version(body)
        if len(self._deleted) > REMEMBERED_DELETIONS:
            self._deleted.popitem(last=False)
        address = find_address(body)
        known = self._objects.get(kind, {}).get(address)
        if known is not None and known["metadata"]["uid"] == body["metadata"]["uid"]:
            del self._objects[kind][address]

    def replace(self, kind: Kind, bodies: Iterable[Manifest], resource_version: str) -> None:
        """Take over a full list, read at `resource_version`: what it lacks is gone, except what is newer than the list."""
        known = self._objects.get(kind, {})
        self._objects[kind] = {
            address: body for address, body in known.items() if read_version(body) > int(resource_version)
        }
        for body in bodies:
            self.put(kind, body)


def find_address(body: Manifest) -> Address:
    """Return namespace (None for cluster-scoped objects) and name."""
    return body["metadata"].get("namespace"), body["metadata"]["name"]


def read_version(body: Manifest) -> int:
    """Return the resource version: since Kubernetes 1.35, those of one kind are numbers in the order of the writes."""
    return int(body["metadata"]["resourceVersion"])


def strip(body: Manifest) -> Manifest:
    """Return the object without its managed fields, which are half of its size and never read."""
    return {**body, "metadata": {name: value for name, value in body["metadata"].items() if name != "managedFields"}}
