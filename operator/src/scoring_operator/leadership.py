"""Leader election by a Lease: of several operator processes one works, and none writes while another may.

As in client-go, time is compared on a process's own steady clock only. A Lease has expired for whoever has seen it unchanged for its whole
duration; its holder may write for a shorter time, counted from the start of its last renewal. So wall clocks that differ do no harm.
"""

import asyncio
import datetime
import logging
import random
import socket
import uuid
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Protocol

from scoring_operator.api import Manifest
from scoring_operator.clock import read_steady_seconds
from scoring_operator.errors import ClusterError, Conflict, NotFound, NotLeading
from scoring_operator.kinds import LEASE, Kind
from scoring_operator.settings import Settings

RETRY_SPREAD = (0.8, 1.0)
"""Candidates that started together do not stay in step."""

RELEASED_DURATION_SECONDS = 1
"""The least that the API server takes; nobody waits for it, since a released Lease has no holder."""

Clock = Callable[[], float]

logger = logging.getLogger(__name__)


class LeaseStore(Protocol):
    """What the election needs of a Cluster; writes name the version they are based on, and raise Conflict when that is not the newest."""

    async def get(self, kind: Kind, namespace: str | None, name: str) -> Manifest | None:
        """Return one object, or None when there is none."""

    async def create(self, kind: Kind, body: Manifest) -> Manifest:
        """Create an object and return it; raises Conflict when there is one of its name."""

    async def update(self, kind: Kind, body: Manifest) -> Manifest:
        """Replace an object and return it; raises Conflict or NotFound."""


class Term:
    """The time for which this process may write, by its own clock."""

    def __init__(self, seconds: float, clock: Clock = read_steady_seconds) -> None:
        self._seconds = seconds
        self._clock = clock
        self._renewed_at: float | None = None

    def extend(self, started_at: float) -> None:
        """Count anew from the start of a renewal that has succeeded: other processes saw it later than that."""
        self._renewed_at = started_at

    def end(self) -> None:
        """Allow nothing any more."""
        self._renewed_at = None

    def find_left_seconds(self) -> float:
        """Return how long writing is still allowed; 0 when it is not."""
        if self._renewed_at is None:
            return 0.0
        return max(self._renewed_at + self._seconds - self._clock(), 0.0)

    def check(self) -> None:
        """Raise NotLeading unless writing is allowed now."""
        if self.find_left_seconds() <= 0:
            raise NotLeading("not written, since this process does not lead (any more)")


class Sighting:
    """What this process has seen of the Lease, and since when."""

    def __init__(self) -> None:
        self.lease: Manifest | None = None
        self._unchanged_since = 0.0

    def note(self, lease: Manifest | None, now: float) -> None:
        """Take note of the Lease as it is. One that has been deleted counts as unchanged: its holder may not know of it yet.

        The version tells, not the times inside: a clock that is set back could write the same time twice.
        """
        if lease is None:
            return
        if self.lease is None or lease["metadata"]["resourceVersion"] != self.lease["metadata"]["resourceVersion"]:
            self._unchanged_since = now
        self.lease = lease

    def find_holder(self) -> str:
        """Return who held the Lease when it was last seen; empty when nobody did."""
        return (self.lease or {}).get("spec", {}).get("holderIdentity") or ""

    def find_wait_seconds(self, now: float) -> float:
        """Return how long the Lease must still be left to its holder: by the duration that the holder itself has set; 0 when it is free."""
        if self.lease is None or not self.find_holder():
            return 0.0
        duration_seconds = self.lease["spec"].get("leaseDurationSeconds") or 0
        return max(self._unchanged_since + float(duration_seconds) - now, 0.0)


class Election:
    """One candidate: waits for the Lease, does the leader's work while it holds it, and waits again when it has lost it."""

    def __init__(
        self,
        leases: LeaseStore,
        settings: Settings,
        work: Callable[[], Coroutine[Any, Any, None]],
        clock: Clock = read_steady_seconds,
    ) -> None:
        """Take the coroutine function that does the leader's work until it is cancelled."""
        self.identity = f"{socket.gethostname()}_{uuid.uuid4().hex[:8]}"
        self.term = Term(settings.lease_renew_deadline_seconds, clock)
        self._leases = leases
        self._settings = settings
        self._work = work
        self._clock = clock
        self._sighting = Sighting()
        self._attempted_at = clock()
        self._troubled = False

    async def run(self) -> None:
        """Take part until cancelled; raises what the leader's work raises."""
        logger.info("Candidate %s for Lease %s/%s", self.identity, self._settings.namespace, self._settings.lease_name)
        while True:
            await self._wait_for_lease()
            await self._lead()

    async def release(self) -> None:
        """Give the Lease back, so that another need not wait until it expires; to be called when `run` has been cancelled.

        Whoever holds it meanwhile is left alone, and without an API server it expires.
        """
        lease = self._sighting.lease
        if lease is None or self._sighting.find_holder() != self.identity:
            return
        spec = {**lease["spec"], "holderIdentity": "", "leaseDurationSeconds": RELEASED_DURATION_SECONDS}
        try:
            async with asyncio.timeout(self._find_limit_seconds()):
                await self._leases.update(LEASE, {**lease, "spec": {**spec, "renewTime": format_now()}})
        except (ClusterError, TimeoutError) as error:
            logger.warning("Lease not released, so it must expire: %s", error)
        else:
            logger.info("Lease released")

    def is_stuck(self) -> bool:
        """Tell whether nothing has been tried for far too long. An API server that does not answer is no reason: it is asked again and again."""
        return self._clock() - self._attempted_at > 2 * self._settings.lease_duration_seconds

    async def _wait_for_lease(self) -> None:
        while not await self._attempt(self._acquire, self._find_limit_seconds()):
            pause_seconds = self._settings.lease_retry_seconds * random.uniform(*RETRY_SPREAD)  # noqa: S311 (no secret)
            wait_seconds = self._sighting.find_wait_seconds(self._clock())
            await asyncio.sleep(min(pause_seconds, wait_seconds or pause_seconds))

    async def _lead(self) -> None:
        logger.info("Leading as %s", self.identity)
        work = asyncio.create_task(self._work(), name="leader's work")
        try:
            await self._hold(work)
        finally:
            # From here on nothing is written; what is on its way is broken off, long before another may lead.
            self.term.end()
            work.cancel()
            await asyncio.wait([work])
            logger.warning("No longer leading as %s", self.identity)

    async def _hold(self, work: asyncio.Task[None]) -> None:
        """Renew the Lease until that has failed for too long or another has it; raises RuntimeError when the work ends."""
        pause_seconds = self._settings.lease_renew_seconds
        while (left_seconds := self.term.find_left_seconds()) > 0:
            await asyncio.wait([work], timeout=min(pause_seconds, left_seconds))
            if work.done():
                raise RuntimeError("the leader's work has ended") from (None if work.cancelled() else work.exception())
            left_seconds = self.term.find_left_seconds()
            renewed = left_seconds > 0 and await self._attempt(
                self._renew, min(left_seconds, self._find_limit_seconds())
            )
            period_seconds = self._settings.lease_renew_seconds if renewed else self._settings.lease_retry_seconds
            pause_seconds = max(self._attempted_at + period_seconds - self._clock(), 0.0)

    async def _attempt(self, step: Callable[[], Awaitable[bool]], limit_seconds: float) -> bool:
        """Return what a step returns; False when the API server refuses it or does not answer in time."""
        self._attempted_at = self._clock()
        try:
            async with asyncio.timeout(limit_seconds):
                result = await step()
        except Conflict:
            return False  # Another was faster; what it has made of the Lease is seen at the next attempt.
        except (ClusterError, TimeoutError) as error:
            # One line for an outage, not one for every attempt in it.
            logger.log(
                logging.DEBUG if self._troubled else logging.WARNING,
                "The Lease cannot be read or written: %s",
                str(error) or "no answer in time",
            )
            self._troubled = True
            return False
        self._troubled = False
        return result

    async def _acquire(self) -> bool:
        """Take the Lease if it is free."""
        asked_at = self._clock()
        found = await self._leases.get(LEASE, self._settings.namespace, self._settings.lease_name)
        before = self._sighting.find_holder()
        self._sighting.note(found, self._clock())
        if self._sighting.find_wait_seconds(asked_at) > 0:
            if self._sighting.find_holder() != before:
                logger.info("Following: the Lease is held by %s", self._sighting.find_holder())
            return False
        await self._write(found, started_at=self._clock())
        return True

    async def _renew(self) -> bool:
        """Write the Lease anew; when that is not the newest version, look at it first, and end the term if another holds it."""
        started_at = self._clock()
        try:
            await self._write(self._sighting.lease, started_at)
        except (Conflict, NotFound):
            found = await self._leases.get(LEASE, self._settings.namespace, self._settings.lease_name)
            self._sighting.note(found, self._clock())
            if self._sighting.find_holder() != self.identity:
                logger.warning("The Lease has been taken by %s", self._sighting.find_holder() or "nobody")
                self.term.end()
                return False
            await self._write(found, started_at)
        return True

    async def _write(self, found: Manifest | None, started_at: float) -> None:
        """Write the Lease with us as its holder, based on `found`, and count the term from `started_at`."""
        spec = build_spec(
            (found or self._sighting.lease or {}).get("spec"), self.identity, self._settings.lease_duration_seconds
        )
        if found is None:
            metadata = {"name": self._settings.lease_name, "namespace": self._settings.namespace}
            body = {"apiVersion": LEASE.api_version, "kind": LEASE.name, "metadata": metadata, "spec": spec}
            lease = await self._leases.create(LEASE, body)
        else:
            lease = await self._leases.update(LEASE, {**found, "spec": spec})
        self._sighting.note(lease, self._clock())
        self.term.extend(started_at)

    def _find_limit_seconds(self) -> float:
        """Return how long one attempt may take: between the time of a renewal and the deadline there is room for two."""
        return (self._settings.lease_renew_deadline_seconds - self._settings.lease_renew_seconds) / 2


def build_spec(before: Manifest | None, identity: str, duration_seconds: int) -> Manifest:
    """Return a Lease's spec with `identity` as the holder: renewed if it was that before, else taken over, which counts as a transition."""
    now = format_now()
    spec = {**(before or {}), "holderIdentity": identity, "leaseDurationSeconds": duration_seconds, "renewTime": now}
    if before is None:
        return {**spec, "acquireTime": now, "leaseTransitions": 0}
    if before.get("holderIdentity") == identity:
        return spec
    return {**spec, "acquireTime": now, "leaseTransitions": (before.get("leaseTransitions") or 0) + 1}


def format_now() -> str:
    """Return the wall clock's time as a Lease has it: for people to read; nothing follows from it."""
    return datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
