"""What the operator does while it runs: keep the store filled, and the queue fed with the models that a change concerns."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

import aiohttp

from scoring_operator.advice import Adviser
from scoring_operator.api import Manifest
from scoring_operator.api_requests import build_meter
from scoring_operator.causes import COMPARED, WISHES, find_delay_seconds, has_changed, has_new_wishes, stretch
from scoring_operator.census import Census
from scoring_operator.clock import ClusterClock
from scoring_operator.cluster import Cluster, build_fence
from scoring_operator.connection import Access
from scoring_operator.errors import ClusterError
from scoring_operator.exposure import find_claiming_models
from scoring_operator.kinds import (
    CRD,
    CRD_KINDS,
    HARDWARE_CLASS,
    NODE,
    OPTIONAL,
    POD,
    ROUTERS,
    SCORING_MODEL,
    Key,
    Kind,
    Scope,
    find_model_key,
)
from scoring_operator.leadership import Election
from scoring_operator.metrics import Metrics
from scoring_operator.reconcile import Reconciler, is_up_to_date
from scoring_operator.settings import Settings
from scoring_operator.store import Store, find_address
from scoring_operator.watches import Watches
from scoring_operator.work_queue import WorkQueue

LIST_RETRY_SECONDS = 1.0
FRESH_SECONDS = 30.0
"""What was listed so recently is not listed again when the work starts: no watch has missed anything since."""

DISCOVERY_PAUSE_SECONDS = 2.0
"""A kind is served a moment after its CRD is there; it is looked for once more."""

ADVISED = {HARDWARE_CLASS, NODE, POD, SCORING_MODEL}
"""Kinds that the advice about capacity depends on."""

logger = logging.getLogger(__name__)


class Work:
    """The store, and while this process leads the queue, the reconciler and the adviser. A follower only keeps the store filled."""

    def __init__(self, settings: Settings, scope: Scope, log_in: Callable[[], Access]) -> None:
        self._settings = settings
        self._scope = scope
        self._log_in = log_in
        self._store = Store()
        self.metrics = Metrics()
        self._census = Census(self._store)
        self.metrics.registry.register(self._census)
        self._clock = ClusterClock()
        self._cluster: Cluster | None = None
        self._leases: Cluster | None = None
        self._watches: Watches | None = None
        self._election: Election | None = None
        self._queue: WorkQueue[Key] | None = None
        self._reconciler: Reconciler | None = None
        self._adviser: Adviser | None = None
        self._has_new_kinds = asyncio.Event()
        self._discovering = asyncio.Lock()
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Connect, fill the store, and go on in the background: lead at once without an election, else when it is won.

        Raises ClusterError when the API server cannot be reached or lacks the CRDs.
        """
        if self._settings.leader_election and self._leases is None:
            # A connection of its own: a renewal never waits behind the work, and is the one write that a follower may make.
            self._leases = await self._connect()
            self._election = Election(self._leases, self._settings, self._lead)
        if self._cluster is None:
            self._cluster = await self._connect(*([build_fence(self._election.term.check)] if self._election else []))
        if self._watches is None:
            self._watches = Watches(self._cluster, self._store, self._scope, self.observe)
        await self.discover()
        await self._watches.start(kind for kind in self._scope.kinds if self._store.is_served(kind))
        run = self._election.run if self._election else self._lead
        self._tasks = [
            asyncio.create_task(log_end(run), name="election"),
            asyncio.create_task(log_end(self._keep_discovering), name="discovery"),
        ]

    async def _connect(self, *hooks: aiohttp.TraceConfig) -> Cluster:
        meter = build_meter(self.metrics.record_request)
        return await Cluster.connect(self._log_in, self._scope, self._clock, [meter, *hooks])

    async def stop(self) -> None:
        """Stop the work, give the Lease back and close the connections; what was not done is found again by the next leader."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        if self._watches is not None:
            await self._watches.stop()
        if self._election is not None:
            await self._election.release()
        for cluster in (self._cluster, self._leases):
            if cluster is not None:
                await cluster.close()

    def observe(self, kind: Kind, body: Manifest, is_deleted: bool, listed_at: int = -1) -> None:
        """Take note of a change that a watch or a list of this version reports, and have the models that it concerns reconciled."""
        if kind is CRD:
            if body["metadata"]["name"] in CRD_KINDS:
                self._has_new_kinds.set()
            return
        known = self._store.get(kind, *find_address(body)) if kind in COMPARED else None
        places = self._store.claims.find_places_of(kind, body)
        if is_deleted:
            self._store.remove(kind, body)
        elif not self._store.put(kind, body, listed_at):
            return  # The echo of our own write, or of a list.
        if self._adviser is not None and kind in ADVISED:
            self._adviser.mark()
        changed = places ^ self._store.claims.find_places_of(kind, body)
        for key in find_claiming_models(self._store, changed):
            self._add(key)
        self._wake(kind, body, known, is_deleted)

    def _wake(self, kind: Kind, body: Manifest, known: Manifest | None, is_deleted: bool) -> None:
        """Have the models reconciled that an object belongs to, or that depend on one that belongs to the platform team."""
        if kind in ROUTERS:
            if is_deleted or has_changed(known, self._store.get(kind, *find_address(body))):
                self._add_all()
        elif kind not in WISHES:
            # A route that has lost our label was a model's before.
            for key in {find_model_key(kind, one) for one in (body, known or body)}:
                self._add(key, find_delay_seconds(kind, body, is_deleted))
        elif is_deleted or has_new_wishes(body, known):
            self._add_all() if kind is HARDWARE_CLASS else self._add(find_model_key(kind, body))

    async def discover(self) -> None:
        """Look which optional kinds the cluster has now; when that has changed, have every model reconciled with them, or without.

        Raises ClusterError when the API server cannot be reached.
        """
        if self._cluster is None or self._watches is None:
            return
        async with self._discovering:
            served = await self._cluster.find_served(OPTIONAL)
            await self._watches.stop([kind for kind in OPTIONAL if kind not in served])
            # A kind counts once it is watched, which may fail while the API server prepares it; it is tried again then.
            await self._watches.start(served)
            is_news = self._store.serve(served)
        if is_news:
            logger.info("Optional kinds here: %s", ", ".join(sorted(kind.name for kind in served)) or "none")
            self._add_all()

    async def _keep_discovering(self) -> None:
        while True:
            await self._has_new_kinds.wait()
            self._has_new_kinds.clear()
            try:
                await self.discover()
                await asyncio.sleep(DISCOVERY_PAUSE_SECONDS)
                await self.discover()
            except ClusterError as error:
                logger.warning("Optional kinds not looked for, trying again: %s", error)
                self._has_new_kinds.set()
                await asyncio.sleep(DISCOVERY_PAUSE_SECONDS)

    def is_leading(self) -> bool:
        """Tell whether this process does the work now."""
        return self._queue is not None

    def check_health(self) -> float:
        """Return how many seconds the longest reconcile now in progress has taken; raises TimeoutError when it, or the election, is stuck."""
        ended = [task.get_name() for task in self._tasks if task.done()]
        if ended or (self._watches is not None and self._watches.has_ended()):
            raise TimeoutError(f"{', '.join(ended) or 'a watch'} has ended")
        if self._election is not None and self._election.is_stuck():
            raise TimeoutError("the election is stuck")
        seconds = self._queue.find_longest_run_seconds() if self._queue else 0.0
        if seconds > self._settings.stuck_seconds:
            raise TimeoutError(f"a reconcile has been running for {seconds:.0f} s")
        return round(seconds, 3)

    def _add(self, key: Key | None, delay_seconds: float = 0.0) -> None:
        if key is not None and self._queue is not None:
            backlog = self._queue.count_waiting() / self._settings.workers
            self._queue.add(key, stretch(delay_seconds, backlog))

    def _add_all(self) -> None:
        """Have all models reconciled: first those that wait for something."""
        for key in sorted(self._store.select_keys(SCORING_MODEL), key=lambda key: is_up_to_date(self._store, key)):
            self._add(key)

    async def _process(self, key: Key) -> None:
        again_seconds = await self._reconciler.reconcile(key) if self._reconciler else None
        if self._adviser is not None:
            # The class that a model uses and the end of its rollout are told by our own writes, whose echo is no news.
            self._adviser.mark()
        if again_seconds is not None:
            self._add(key, again_seconds)

    async def _lead(self) -> None:
        """Do the leader's work until cancelled: list what may have been missed, reconcile every model, and go on.

        All that the work remembers beside the store is made anew, so that nothing of an earlier term is left.
        """
        if self._cluster is None:
            return
        self._reconciler = Reconciler(self._cluster, self._store, self._settings, self._add)
        self._queue = self._census.queue = queue = WorkQueue(self._process, expected=ClusterError)
        queue.report_wait, queue.report_run = self.metrics.record_wait, self.metrics.record_run
        self.metrics.record_lead(True)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._keep_listing(queue, self._reconciler), name="resync")
                if self._scope.is_capacity_told:
                    self._adviser = Adviser(self._cluster, self._store, self._reconciler.rollouts)
                    group.create_task(self._adviser.run_forever(), name="capacity advice")
        finally:
            self._queue = self._adviser = self._census.queue = None
            self.metrics.record_lead(False)
            await queue.stop()

    async def _keep_listing(self, queue: WorkQueue[Key], reconciler: Reconciler) -> None:
        """List everything now and at each resync; the workers start with the first list."""
        is_listed = False
        while True:
            try:
                await self._list_all(fresh_seconds=0.0 if is_listed else FRESH_SECONDS)
            except ClusterError as error:
                logger.warning("Listing failed: %s", error)
            else:
                if not is_listed:
                    reconciler.join_rollouts()
                    queue.start(self._settings.workers)
                is_listed = True
            await asyncio.sleep(self._settings.resync_seconds if is_listed else LIST_RETRY_SECONDS)

    async def _list_all(self, fresh_seconds: float) -> None:
        if self._watches is None:
            return
        await self.discover()
        for kind in self._scope.kinds:
            if self._store.is_served(kind):
                await self._watches.relist(kind, fresh_seconds)
        self._add_all()
        if self._adviser is not None:
            self._adviser.mark()


async def log_end(run: Callable[[], Awaitable[None]]) -> None:
    """Run what is to run for ever, and log why it has ended, when it was not cancelled; /healthz fails then."""
    try:
        await run()
    except Exception:
        logger.exception("What is to run for ever has ended")
        raise
