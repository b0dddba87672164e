"""What the operator does while it runs: keep the store filled, and the queue fed with the models that a change concerns."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from scoring_operator.api import Manifest
from scoring_operator.cluster import Cluster
from scoring_operator.errors import ClusterError
from scoring_operator.kinds import HARDWARE_CLASS, SCORING_MODEL, WATCHED, Key, Kind, find_model_key
from scoring_operator.leadership import Election
from scoring_operator.reconcile import SETTLE_SECONDS, Reconciler
from scoring_operator.settings import Settings
from scoring_operator.store import Store
from scoring_operator.work_queue import WorkQueue

LIST_RETRY_SECONDS = 1.0

logger = logging.getLogger(__name__)


class Work:
    """The store, and while this process leads the queue and the reconciler. A follower only keeps the store filled."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._store = Store()
        self._cluster: Cluster | None = None
        self._leases: Cluster | None = None
        self._election: Election | None = None
        self._queue: WorkQueue[Key] | None = None
        self._reconciler: Reconciler | None = None
        self._running: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Connect, fill the store, and go on in the background: lead at once without an election, else when it is won.

        Raises ClusterError when the API server cannot be reached or lacks the CRDs.
        """
        if self._settings.leader_election and self._leases is None:
            # A connection of its own: a renewal never waits behind the work, and is the one write that a follower may make.
            self._leases = await Cluster.connect()
            self._election = Election(self._leases, self._settings, self._lead)
        if self._cluster is None:
            self._cluster = await Cluster.connect(self._election.term.check if self._election else None)
        await self._list_all()
        run = self._election.run if self._election else self._lead
        self._running = asyncio.create_task(log_end(run), name="election")

    async def stop(self) -> None:
        """Stop the work, give the Lease back and close the connections; what was not done is found again by the next leader."""
        if self._running is not None:
            self._running.cancel()
            await asyncio.wait([self._running])
        if self._election is not None:
            await self._election.release()
        for cluster in (self._cluster, self._leases):
            if cluster is not None:
                await cluster.close()

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

    def is_leading(self) -> bool:
        """Tell whether this process does the work now."""
        return self._queue is not None

    def check_health(self) -> float:
        """Return how many seconds the longest reconcile now in progress has taken; raises TimeoutError when it, or the election, is stuck."""
        if self._running is not None and self._running.done():
            raise TimeoutError("the election or the resync has ended")
        if self._election is not None and self._election.is_stuck():
            raise TimeoutError("the election is stuck")
        seconds = self._queue.find_longest_run_seconds() if self._queue else 0.0
        if seconds > self._settings.stuck_seconds:
            raise TimeoutError(f"a reconcile has been running for {seconds:.0f} s")
        return round(seconds, 3)

    def _add(self, key: Key | None, delay_seconds: float) -> None:
        if key is not None and self._queue is not None:
            self._queue.add(key, delay_seconds)

    def _add_all(self) -> None:
        for body in self._store.select(SCORING_MODEL):
            self._add(find_model_key(SCORING_MODEL, body), 0.0)

    async def _process(self, key: Key) -> None:
        again_seconds = await self._reconciler.reconcile(key) if self._reconciler else None
        if again_seconds is not None:
            self._add(key, again_seconds)

    async def _lead(self) -> None:
        """Do the leader's work until cancelled: list everything, since a deletion may have been missed, reconcile every model, and go on.

        All that the work remembers beside the store is made anew, so that nothing of an earlier term is left.
        """
        if self._cluster is None:
            return
        self._reconciler = Reconciler(self._cluster, self._store, self._settings)
        self._queue = queue = WorkQueue(self._process, expected=ClusterError)
        try:
            await self._keep_listing(queue)
        finally:
            self._queue = None
            await queue.stop()

    async def _keep_listing(self, queue: WorkQueue[Key]) -> None:
        """List everything now and at each resync; the workers start with the first list."""
        is_listed = False
        while True:
            try:
                await self._list_all()
            except ClusterError as error:
                logger.warning("Listing failed: %s", error)
            else:
                if not is_listed:
                    queue.start(self._settings.workers)
                is_listed = True
            await asyncio.sleep(self._settings.resync_seconds if is_listed else LIST_RETRY_SECONDS)

    async def _list_all(self) -> None:
        if self._cluster is None:
            return
        for kind in WATCHED:
            bodies, resource_version = await self._cluster.list(kind)
            self._store.replace(kind, bodies, resource_version)
        self._add_all()


async def log_end(run: Callable[[], Awaitable[None]]) -> None:
    """Run what is to run for ever, and log why it has ended, when it was not cancelled; /healthz fails then."""
    try:
        await run()
    except Exception:
        logger.exception("The election or the leader's work has ended")
        raise


def has_new_wishes(body: Manifest, known: Manifest | None) -> bool:
    """Tell whether a ScoringModel is new, wishes something else than before, or is to be deleted: a change of its status is no cause."""
    if known is None:
        return True
    return any(
        body["metadata"].get(name) != known["metadata"].get(name) for name in ("uid", "generation", "deletionTimestamp")
    )
