"""What the operator does while it runs: keep the store filled, and the queue fed with the models that a change concerns."""

import asyncio
import logging

from scoring_operator.advice import Adviser
from scoring_operator.api import Manifest
from scoring_operator.cluster import Cluster
from scoring_operator.errors import ClusterError
from scoring_operator.kinds import HARDWARE_CLASS, NODE, OPTIONAL, POD, SCORING_MODEL, Key, Kind, Scope, find_model_key
from scoring_operator.reconcile import SETTLE_SECONDS, Reconciler
from scoring_operator.settings import Settings
from scoring_operator.store import Store
from scoring_operator.work_queue import WorkQueue

ADVISED = {HARDWARE_CLASS, NODE, POD, SCORING_MODEL}
"""Kinds that the advice about capacity depends on."""

logger = logging.getLogger(__name__)


class Work:
    """The store, the queue and the reconciler of one operator process."""

    def __init__(self, settings: Settings, scope: Scope) -> None:
        self._settings = settings
        self._scope = scope
        self._store = Store()
        self._queue: WorkQueue[Key] = WorkQueue(self._process, expected=ClusterError)
        self._cluster: Cluster | None = None
        self._reconciler: Reconciler | None = None
        self._adviser: Adviser | None = None
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Connect, fill the store, reconcile every model once, and go on in the background.

        Raises ClusterError when the API server cannot be reached or lacks the CRDs.
        """
        self._cluster = self._cluster or await Cluster.connect(self._scope)
        self._reconciler = Reconciler(self._cluster, self._store, self._settings, self._queue.add)
        await self._list_all()
        self._reconciler.join_rollouts()
        self._queue.start(self._settings.workers)
        self._tasks = [asyncio.create_task(self._resync_forever(), name="resync")]
        if self._scope.is_capacity_told:
            self._adviser = Adviser(self._cluster, self._store, self._reconciler.rollouts)
            self._adviser.mark()
            self._tasks.append(asyncio.create_task(self._adviser.run_forever(), name="capacity advice"))

    async def stop(self) -> None:
        """Stop the workers and close the connection; what was not done is found again at the next start."""
        for task in self._tasks:
            task.cancel()
        await self._queue.stop()
        if self._cluster is not None:
            await self._cluster.close()

    def observe(self, kind: Kind, body: Manifest, *, is_deleted: bool) -> None:
        """Take note of a change that a watch reports, and have the models that it concerns reconciled."""
        known = self._store.get(kind, body["metadata"].get("namespace"), body["metadata"]["name"])
        if is_deleted:
            self._store.remove(kind, body)
        elif not self._store.put(kind, body):
            return  # The echo of our own write, or of a list.
        if self._adviser is not None and kind in ADVISED:
            self._adviser.mark()
        if kind not in {HARDWARE_CLASS, SCORING_MODEL}:
            self._add(find_model_key(kind, body), SETTLE_SECONDS)
        elif is_deleted or has_new_wishes(body, known):
            self._add_all() if kind is HARDWARE_CLASS else self._add(find_model_key(kind, body), 0.0)

    async def discover(self) -> None:
        """Look which optional kinds the cluster has now; when that has changed, have every model reconciled with them, or without.

        Raises ClusterError when the API server cannot be reached.
        """
        if self._cluster is None:
            return
        served = await self._cluster.find_served(OPTIONAL)
        found = [kind for kind in OPTIONAL if kind in served and not self._store.is_served(kind)]
        if not self._store.serve(served):
            return
        logger.info("Optional kinds here: %s", ", ".join(sorted(kind.name for kind in served)) or "none")
        for kind in found:
            await self._list(self._cluster, kind)
        self._add_all()

    def check_health(self) -> float:
        """Return how many seconds the longest reconcile now in progress has taken; raises TimeoutError when it is stuck."""
        ended = [task.get_name() for task in self._tasks if task.done()]
        if ended:
            raise TimeoutError(f"{', '.join(ended)} has ended")
        seconds = self._queue.find_longest_run_seconds()
        if seconds > self._settings.stuck_seconds:
            raise TimeoutError(f"a reconcile has been running for {seconds:.0f} s")
        return round(seconds, 3)

    def _add(self, key: Key | None, delay_seconds: float) -> None:
        if key is not None:
            self._queue.add(key, delay_seconds)

    def _add_all(self) -> None:
        for body in self._store.select(SCORING_MODEL):
            self._add(find_model_key(SCORING_MODEL, body), 0.0)

    async def _process(self, key: Key) -> None:
        again_seconds = await self._reconciler.reconcile(key) if self._reconciler else None
        if again_seconds is not None:
            self._queue.add(key, again_seconds)

    async def _list_all(self) -> None:
        if self._cluster is None:
            return
        await self.discover()
        for kind in self._scope.kinds:
            if self._store.is_served(kind):
                await self._list(self._cluster, kind)
        self._add_all()

    async def _list(self, cluster: Cluster, kind: Kind) -> None:
        with self._store.replacing(kind) as replacement:
            async for bodies, resource_version in cluster.list(kind):
                replacement.add(bodies, resource_version)

    async def _resync_forever(self) -> None:
        while True:
            await asyncio.sleep(self._settings.resync_seconds)
            try:
                await self._list_all()
            except ClusterError as error:
                logger.warning("Resync failed, trying again in %.0f s: %s", self._settings.resync_seconds, error)


def has_new_wishes(body: Manifest, known: Manifest | None) -> bool:
    """Tell whether a model or class is new, wishes something else than before, or is to be deleted: a change of its status is no cause."""
    if known is None:
        return True
    return any(
        body["metadata"].get(name) != known["metadata"].get(name) for name in ("uid", "generation", "deletionTimestamp")
    )
