"""What the operator does while it runs: keep the store filled, and the queue fed with the models that a change concerns."""

import asyncio
import logging
from collections.abc import Callable

from scoring_operator.api import Manifest
from scoring_operator.cluster import Cluster
from scoring_operator.connection import Access
from scoring_operator.errors import ClusterError
from scoring_operator.kinds import DEPLOYMENT, HARDWARE_CLASS, SCORING_MODEL, WATCHED, Key, Kind, find_model_key
from scoring_operator.reconcile import SETTLE_SECONDS, Reconciler
from scoring_operator.settings import Settings
from scoring_operator.status import has_settled
from scoring_operator.store import Store, find_address
from scoring_operator.watches import Watches
from scoring_operator.work_queue import WorkQueue

logger = logging.getLogger(__name__)


class Work:
    """The store, the queue and the reconciler of one operator process."""

    def __init__(self, settings: Settings, log_in: Callable[[], Access]) -> None:
        self._log_in = log_in
        self._settings = settings
        self._store = Store()
        self._queue: WorkQueue[Key] = WorkQueue(self._process, expected=ClusterError)
        self._cluster: Cluster | None = None
        self._watches: Watches | None = None
        self._reconciler: Reconciler | None = None
        self._resync: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Connect, fill the store, reconcile every model once, and go on in the background.

        Raises ClusterError when the API server cannot be reached or lacks the CRDs.
        """
        if self._cluster is None:
            self._cluster = await Cluster.connect(self._log_in)
            self._watches = Watches(self._cluster, self._store, self.observe)
        if self._watches is not None:
            await self._watches.start(WATCHED)
        self._reconciler = Reconciler(self._cluster, self._store, self._settings)
        self._queue.start(self._settings.workers)
        self._resync = asyncio.create_task(self._resync_forever(), name="resync")

    async def stop(self) -> None:
        """Stop the workers and close the connection; what was not done is found again at the next start."""
        if self._resync is not None:
            self._resync.cancel()
        if self._watches is not None:
            await self._watches.stop()
        await self._queue.stop()
        if self._cluster is not None:
            await self._cluster.close()

    def observe(self, kind: Kind, body: Manifest, is_deleted: bool) -> None:
        """Take note of a change that a watch or a list reports, and have the models that it concerns reconciled."""
        known = self._store.get(SCORING_MODEL, *find_address(body)) if kind is SCORING_MODEL else None
        if is_deleted:
            self._store.remove(kind, body)
        elif not self._store.put(kind, body):
            return  # The echo of our own write, or of a list.
        if kind is HARDWARE_CLASS:
            self._add_all()
        elif kind is not SCORING_MODEL:
            self._add(find_model_key(kind, body), find_delay_seconds(kind, body, is_deleted))
        elif is_deleted or has_new_wishes(body, known):
            self._add(find_model_key(kind, body), 0.0)

    def check_health(self) -> float:
        """Return how many seconds the longest reconcile now in progress has taken; raises TimeoutError when it is stuck."""
        if self._resync is not None and self._resync.done():
            raise TimeoutError("the resync has ended")
        if self._watches is not None and self._watches.has_ended():
            raise TimeoutError("a watch has ended")
        seconds = self._queue.find_longest_run_seconds()
        if seconds > self._settings.stuck_seconds:
            raise TimeoutError(f"a reconcile has been running for {seconds:.0f} s")
        return round(seconds, 3)

    def _add(self, key: Key | None, delay_seconds: float) -> None:
        if key is not None:
            self._queue.add(key, delay_seconds)

    def _add_all(self) -> None:
        for key in self._store.select_keys(SCORING_MODEL):
            self._add(key, 0.0)

    async def _process(self, key: Key) -> None:
        again_seconds = await self._reconciler.reconcile(key) if self._reconciler else None
        if again_seconds is not None:
            self._queue.add(key, again_seconds)

    async def _list_all(self) -> None:
        if self._watches is None:
            return
        for kind in WATCHED:
            await self._watches.list(kind)
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


def find_delay_seconds(kind: Kind, body: Manifest, is_deleted: bool) -> float:
    """Return how long a change of a model's child or pod may wait for others: not at all when it decides whether the model is ready."""
    return 0.0 if is_deleted or (kind is DEPLOYMENT and has_settled(body)) else SETTLE_SECONDS
