"""Watches of all kinds that concern the operator, one for each kind, and namespace where these are named. Above `watch`, below `work`.

Kopf can watch too, but with a task, a queue and copies for each object: half of the operator's processor time, and memory that stays.
"""

import asyncio
from collections.abc import Collection, Iterable

from scoring_operator.cluster import Cluster
from scoring_operator.kinds import Kind, Scope
from scoring_operator.store import Store
from scoring_operator.watch import History, Observe, Watch


class Watches:
    """Starts and stops the watches of kinds."""

    def __init__(self, cluster: Cluster, store: Store, scope: Scope, observe: Observe) -> None:
        """Take what is told of each change, and puts it into the store."""
        self._cluster = cluster
        self._store = store
        self._scope = scope
        self._observe = observe
        self._history = History(self._start_over)
        self._watches: dict[tuple[Kind, str | None], Watch] = {}

    async def start(self, kinds: Iterable[Kind]) -> None:
        """List the kinds that are not watched yet, and follow them in the background; raises ClusterError when one cannot be listed."""
        for kind in kinds:
            for watch in self._find(kind):
                if not watch.is_started:
                    await watch.start()

    async def stop(self, kinds: Collection[Kind] | None = None) -> None:
        """End the watches of some kinds, or all."""
        await asyncio.gather(
            *(watch.stop() for watch in self._watches.values() if kinds is None or watch.kind in kinds)
        )

    def has_ended(self) -> bool:
        """Tell whether a watch has ended, which none should."""
        return any(watch.has_ended() for watch in self._watches.values())

    async def relist(self, kind: Kind, fresh_seconds: float = 0.0) -> None:
        """Tell of all objects of a kind, and of those that are gone without having been seen to go; not where that was done so recently."""
        for watch in self._find(kind):
            await watch.refresh(fresh_seconds)

    def _find(self, kind: Kind) -> list[Watch]:
        return [self._find_one(kind, namespace) for namespace in self._scope.find_namespaces(kind)]

    def _find_one(self, kind: Kind, namespace: str | None) -> Watch:
        place = (kind, namespace)
        if place not in self._watches:
            self._watches[place] = Watch(place, self._cluster, self._store, self._observe, self._history)
        return self._watches[place]

    def _start_over(self) -> None:
        for watch in self._watches.values():
            watch.start_over()
