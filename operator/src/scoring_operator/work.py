"""What the operator does while it runs: keep the store filled, and the queue fed with the models that a change concerns."""

import asyncio
import logging

from scoring_operator.api import Manifest
from scoring_operator.cluster import Cluster
from scoring_operator.errors import ClusterError
from scoring_operator.kinds import HARDWARE_CLASS, SCORING_MODEL, WATCHED, Key, Kind, find_model_key
from scoring_operator.reconcile import SETTLE_SECONDS, Reconciler
from scoring_operator.settings import Settings
from scoring_operator.store import Store
from scoring_operator.work_queue import WorkQueue

logger = logging.getLogger(__name__)


class Work:
    """The store, the queue and the reconciler of one operator process."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._store = Store()
        self._queue: WorkQueue[Key] = WorkQueue(self._process, expected=ClusterError)
        self._cluster: Cluster | None = None
        self._reconciler: Reconciler | None = None
        self._resync: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Connect, fill the store, reconcile every model once, and go on in the background.

        Raises ClusterError when the API server cannot be reached or lacks the CRDs.
        """
        self._cluster = self._cluster or await Cluster.connect()
        self._reconciler = Reconciler(self._cluster, self._store, self._settings)
        await self._list_all()
        self._queue.start(self._settings.workers)
        self._resync = asyncio.create_task(self._resync_forever(), name="resync")

    async def stop(self) -> None:
        """Stop the workers and close the connection; what was not done is found again at the next start."""
        if self._resync is not None:
            self._resync.cancel()
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
        if kind is HARDWARE_CLASS:
            self._add_all()
        elif kind is not SCORING_MODEL:
            self._add(find_model_key(kind, body), SETTLE_SECONDS)
        elif is_deleted or has_new_wishes(body, known):
            self._add(find_model_key(kind, body), 0.0)

    def check_health(self) -> float:
        """Return how many seconds the longest reconcile now in progress has taken; raises TimeoutError when it is stuck."""
        if self._resync is not None and self._resync.done():
            raise TimeoutError("the resync has ended")
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
        for kind in WATCHED:
            bodies, resource_version = await self._cluster.list(kind)
            self._store.replace(kind, bodies, resource_version)
        self._add_all()

    async def _resync_forever(self) -> None:
        while True:
            await asyncio.sleep(self._settings.resync_seconds)
            try:
                await self._list_all()
            except ClusterError as error:
                logger.warning("Resync failed, trying again in %.0f s: %s", self._settings.resync_seconds, error)


def has_new_wishes(body: Manifest, known: Manifest | None) -> bool:
    """Tell whether a ScoringModel is new, wishes something else than before, or is to be deleted: a change of its status is no cause."""
    if known is None:
        return True
    return any(
        body["metadata"].get(name) != known["metadata"].get(name) for name in ("uid", "generation", "deletionTimestamp")
    )
