"""An API server's objects, kept in memory: what the reconciler's rounds make of them, without waiting for anything."""

import datetime
from collections.abc import Iterator
from copy import deepcopy
from itertools import count
from typing import Any

from scoring_operator.api import Manifest
from scoring_operator.errors import ClusterError
from scoring_operator.kinds import MANAGER, Kind
from scoring_operator.store import Store


class ClusterInMemory:
    """Takes what is applied as it is, but for the kinds that it is told to refuse; no pods come up by themselves."""

    def __init__(self, store: Store, first_version: int = 1) -> None:
        self._store = store
        self._versions: Iterator[int] = count(first_version)
        self.refusals: dict[Kind, ClusterError] = {}

    def now(self) -> datetime.datetime:
        """Return any time."""
        return datetime.datetime(2026, 11, 27, tzinfo=datetime.UTC)

    def put(self, kind: Kind, body: Manifest) -> Manifest:
        """Store an object as its next version, as the watch would."""
        metadata = {"uid": body["metadata"]["name"], **body["metadata"], "resourceVersion": str(next(self._versions))}
        self._store.put(kind, stored := {**body, "metadata": metadata})
        return stored

    async def get(self, kind: Kind, namespace: str, name: str) -> Manifest | None:
        """Return an object as the store has it."""
        return self._store.get(kind, namespace, name)

    async def apply_new(self, kind: Kind, body: Manifest) -> Manifest:
        """Create an object."""
        return await self.apply(kind, body)

    async def apply(self, kind: Kind, body: Manifest, manager: str = MANAGER) -> Manifest:
        """Create or change an object. Raises what stands for its kind in `refusals`."""
        del manager
        if kind in self.refusals:
            raise self.refusals[kind]
        old = self._store.get(kind, body["metadata"]["namespace"], body["metadata"]["name"]) or {}
        generation = old.get("metadata", {}).get("generation", 0) + 1
        changed = {**deepcopy(body), "metadata": {**body["metadata"], "generation": generation}}
        return self.put(kind, {**changed, "status": old.get("status", {})})

    async def delete(self, kind: Kind, body: Manifest) -> None:
        """Delete an object."""
        self._store.remove(kind, body)

    async def write_status(self, kind: Kind, body: Manifest, status: Manifest) -> Manifest:
        """Take a status."""
        return self.put(kind, {**body, "status": status})

    async def post_event(self, *_arguments: Any) -> None:
        """Take an event."""


def roll_out(deployment: Manifest) -> Manifest:
    """Return a Deployment whose pods have come up."""
    replicas = deployment["spec"].get("replicas", 1)
    numbers = dict.fromkeys(("replicas", "updatedReplicas", "readyReplicas"), replicas)
    progressing = {"type": "Progressing", "status": "True", "reason": "NewReplicaSetAvailable"}
    status = {"observedGeneration": deployment["metadata"]["generation"], "conditions": [progressing], **numbers}
    return {**deployment, "status": status}
