"""The newest known state of every object that concerns the operator, so that a reconcile reads without asking the API server.

Filled by watches, by full lists (at the start and at each resync) and by the answers to the operator's own writes.
What is kept is what a reconcile reads, as compressed JSON: an object as Python's dictionaries takes ten times as much memory.
"""

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from sys import intern

from scoring_operator.api import Manifest
from scoring_operator.host_claims import Claims
from scoring_operator.kinds import POD, Key, Kind, find_model_key
from scoring_operator.packing import pack, unpack

Address = tuple[str | None, str]

REMEMBERED_DELETIONS = 1000
INDEXED = (POD,)
"""Kinds of which a model has objects of any number and name."""


@dataclass(frozen=True, slots=True)
class Kept:
    """One object: what tells versions and owners apart, and the object itself."""

    uid: str
    version: int
    packed: bytes

    def unpack(self) -> Manifest:
        """Return the object."""
        return unpack(self.packed)


class Store:
    """Objects by kind, namespace and name; an older version never replaces a newer one."""

    def __init__(self) -> None:
        self._objects: dict[Kind, dict[Address, Kept]] = {}
        self.claims = Claims()
        self._served: frozenset[Kind] = frozenset()
        self._names: dict[Kind, dict[Key, set[str]]] = {kind: {} for kind in INDEXED}
        # An answer to a write may arrive after the event of the object's deletion; it must not bring the object back. But an object
        # that only lost our label counts as deleted for a watch that selects by it, and comes back in a later version.
        self._deleted: OrderedDict[str, int] = OrderedDict()

    def is_served(self, kind: Kind) -> bool:
        """Tell whether the cluster has the kind: always, unless it is an optional one."""
        return not kind.is_optional or kind.stored in self._served

    def serve(self, kinds: frozenset[Kind]) -> bool:
        """Take note of the optional kinds that the cluster has now; what there was of others is gone. Tell whether it is news."""
        is_news = kinds != self._served
        for kind in self._served - kinds:
            self._objects.pop(kind, None)
            self.claims.remove_all(kind)
        self._served = kinds
        return is_news

    def has(self, kind: Kind, namespace: str | None, name: str) -> bool:
        """Tell whether there is an object."""
        return (namespace, name) in self._objects.get(kind.stored, {})

    def get(self, kind: Kind, namespace: str | None, name: str) -> Manifest | None:
        """Return one object, or None; what is done to it does not change the store."""
        kept = self._objects.get(kind.stored, {}).get((namespace, name))
        return kept.unpack() if kept else None

    def select(self, kind: Kind) -> list[Manifest]:
        """Return all objects of a kind."""
        return [kept.unpack() for kept in self._objects.get(kind, {}).values()]

    def select_kept(self, kind: Kind) -> Iterable[Kept]:
        """Return all objects of a kind as they are kept, of which only some may have to be unpacked."""
        return self._objects.get(kind, {}).values()

    def select_keys(self, kind: Kind) -> list[Key]:
        """Return namespace and name of all objects of a namespaced kind."""
        return [Key(namespace, name) for namespace, name in self._objects.get(kind, {}) if namespace]

    def select_of(self, kind: Kind, key: Key) -> list[Manifest]:
        """Return the objects of a kind in INDEXED that carry the label of one ScoringModel."""
        found = (self.get(kind, key.namespace, name) for name in self._names[kind].get(key, ()))
        return [body for body in found if body is not None]

    def put(self, kind: Kind, body: Manifest, listed_at: int = -1) -> bool:
        """Keep an object, unless a newer version is known or it was deleted later than this version; tell whether it is news.

        listed_at: the version of the full list that it comes from. What such a list says is so at that version, whatever was known of
        the ones before: after etcd was put back to a snapshot, objects are older than they were.
        """
        kind = kind.stored
        objects = self._objects.setdefault(kind, {})
        address = find_address(body)
        known = objects.get(address)
        uid, version = body["metadata"]["uid"], read_version(body)
        newest = max(self._deleted.get(uid, -1), known.version if known else -1)
        if version <= newest and (newest > listed_at or (known is not None and known.version == version)):
            return False
        self._index(kind, address, known, body)
        self.claims.put(kind, body)
        objects[address] = Kept(uid, version, pack(kind, body))
        return True

    def remove(self, kind: Kind, body: Manifest) -> None:
        """Forget a deleted object, unless another of the same name has taken its place."""
        self._deleted[body["metadata"]["uid"]] = read_version(body)
        if len(self._deleted) > REMEMBERED_DELETIONS:
            self._deleted.popitem(last=False)
        kind, address = kind.stored, find_address(body)
        known = self._objects.get(kind, {}).get(address)
        if known is not None and known.uid == body["metadata"]["uid"]:
            self._index(kind, address, known, None)
            self.claims.remove(kind, body)
            del self._objects[kind][address]

    def forget_deletions(self) -> None:
        """Let any version count as news of an object that was deleted."""
        self._deleted.clear()

    def find_unlisted(
        self, kind: Kind, namespace: str | None, addresses: Iterable[Address], resource_version: str
    ) -> list[Manifest]:
        """Return the objects that a full list of a namespace, or of all, lacks although they are not newer than it: they are gone."""
        listed = set(addresses)
        return [
            kept.unpack()
            for address, kept in self._objects.get(kind, {}).items()
            if address not in listed
            and (namespace is None or address[0] == namespace)
            and kept.version <= int(resource_version)
        ]

    def _index(self, kind: Kind, address: Address, known: Kept | None, body: Manifest | None) -> None:
        """Keep the names of each model's objects; an object's label may change."""
        if kind not in INDEXED:
            return
        names = self._names[kind]
        old = find_model_key(kind, known.unpack()) if known else None
        new = find_model_key(kind, body) if body else None
        if old is not None and old != new:
            names[old].discard(address[1])
            if not names[old]:
                del names[old]
        if new is not None:
            names.setdefault(new, set()).add(address[1])


def find_address(body: Manifest) -> Address:
    """Return namespace (None for cluster-scoped objects) and name."""
    metadata = body["metadata"]
    namespace = metadata.get("namespace")
    return (intern(namespace) if namespace else None), intern(metadata["name"])


def read_version(body: Manifest) -> int:
    """Return the resource version: since Kubernetes 1.35, those of one kind are numbers in the order of the writes."""
    return int(body["metadata"]["resourceVersion"])
