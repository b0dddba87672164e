"""The newest known state of every object that concerns the operator, so that a reconcile reads without asking the API server.

Filled by watches, by full lists (at the start and at each resync: an object deleted during a gap of a watch gives no event)
and by the answers to the operator's own writes.
"""

from collections import OrderedDict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from scoring_operator.api import Manifest
from scoring_operator.kinds import MODEL_LABEL, NODE, POD, Key, Kind

Address = tuple[str | None, str]

REMEMBERED_DELETIONS = 1000


class Store:
    """Objects by kind, namespace and name; an older version never replaces a newer one."""

    def __init__(self) -> None:
        self._objects: dict[Kind, dict[Address, Manifest]] = {}
        self._served: frozenset[Kind] = frozenset()
        # An answer to a write may arrive after the event of the object's deletion; it must not bring the object back. But an object
        # that only lost our label counts as deleted for a watch that selects by it, and comes back in a later version.
        self._deleted: OrderedDict[str, int] = OrderedDict()

    def is_served(self, kind: Kind) -> bool:
        """Tell whether the cluster has the kind: always, unless it is an optional one."""
        return not kind.is_optional or kind in self._served

    def serve(self, kinds: frozenset[Kind]) -> bool:
        """Take note of the optional kinds that the cluster has now; what there was of others is gone. Tell whether it is news."""
        is_news = kinds != self._served
        for kind in self._served - kinds:
            self._objects.pop(kind, None)
        self._served = kinds
        return is_news

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
        objects[address] = strip(kind, body)
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

    @contextmanager
    def replacing(self, kind: Kind) -> Iterator["Replacement"]:
        """Take over a list of all objects of a kind, part by part; what it lacks at the end is gone, except what is newer than the list.

        When the list breaks off, what is known stays.
        """
        replacement = Replacement(self, kind)
        yield replacement
        oldest = min(replacement.versions, default=0)
        objects = self._objects.get(kind, {})
        self._objects[kind] = {
            address: body
            for address, body in objects.items()
            if address in replacement.addresses or read_version(body) > oldest
        }


class Replacement:
    """What a list of all objects of a kind has brought so far."""

    def __init__(self, store: Store, kind: Kind) -> None:
        self._store = store
        self._kind = kind
        self.addresses: set[Address] = set()
        self.versions: list[int] = []

    def add(self, bodies: Iterable[Manifest], resource_version: str) -> None:
        """Take over a part of the list, read at `resource_version`."""
        self.versions.append(int(resource_version))
        for body in bodies:
            self.addresses.add(find_address(body))
            self._store.put(self._kind, body)


def find_address(body: Manifest) -> Address:
    """Return namespace (None for cluster-scoped objects) and name."""
    return body["metadata"].get("namespace"), body["metadata"]["name"]


def read_version(body: Manifest) -> int:
    """Return the resource version: since Kubernetes 1.35, those of one kind are numbers in the order of the writes."""
    return int(body["metadata"]["resourceVersion"])


def strip(kind: Kind, body: Manifest) -> Manifest:
    """Return the object without what is never read: managed fields, half of its size; of nodes and of others' pods, nearly all."""
    metadata = {name: value for name, value in body["metadata"].items() if name != "managedFields"}
    if kind is NODE or (kind is POD and MODEL_LABEL not in metadata.get("labels", {})):
        return reduce(body, metadata)
    return {**body, "metadata": metadata}


def reduce(body: Manifest, metadata: Manifest) -> Manifest:
    """Return of a node or a pod what tells its room and its requests."""
    spec, status = body.get("spec", {}), body.get("status", {})
    words = ("name", "namespace", "uid", "resourceVersion", "labels")
    containers = {
        name: [{"resources": container.get("resources", {})} for container in spec[name]]
        for name in ("containers", "initContainers")
        if spec.get(name)
    }
    conditions = [one for one in status.get("conditions") or [] if one["type"] == "Ready"]
    kept = {
        "metadata": {name: metadata[name] for name in words if name in metadata},
        "spec": {
            **{name: spec[name] for name in ("nodeName", "overhead", "taints", "unschedulable") if name in spec},
            **containers,
        },
        "status": {
            **{name: status[name] for name in ("phase", "allocatable") if name in status},
            "conditions": [{"type": one["type"], "status": one["status"]} for one in conditions],
        },
    }
    return {"apiVersion": body.get("apiVersion"), "kind": body.get("kind"), **kept}
