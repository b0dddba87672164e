"""Watches of the kinds that concern the operator: list, then follow every change, and list again when the thread is lost. Above `cluster` and `store`.

Kopf can watch too, but with a task, a queue and copies for each object: half of the operator's processor time, and memory that stays.
"""

import asyncio
import logging
import random
from collections.abc import Callable, Iterable

from scoring_operator.api import Manifest
from scoring_operator.cluster import Cluster
from scoring_operator.errors import ClusterError, Expired
from scoring_operator.kinds import Kind
from scoring_operator.store import Address, Store, find_address

RETRY_SECONDS = 1.0
LAST_RETRY_SECONDS = 30.0

Observe = Callable[[Kind, Manifest, bool], None]
"""Takes an object that has changed, and whether it was deleted."""

logger = logging.getLogger(__name__)


class Watches:
    """One watch for each kind, each in a task of its own."""

    def __init__(self, cluster: Cluster, store: Store, observe: Observe) -> None:
        """Take what is told of each change, and puts it into the store."""
        self._cluster = cluster
        self._store = store
        self._observe = observe
        self._tasks: dict[Kind, asyncio.Task[None]] = {}

    async def start(self, kinds: Iterable[Kind]) -> None:
        """List the kinds, and follow them in the background from there; raises ClusterError when one cannot be listed."""
        for kind in kinds:
            if kind not in self._tasks:
                version = await self.list(kind)
                self._tasks[kind] = asyncio.create_task(self._follow(kind, version), name=f"watch {kind.plural}")

    async def stop(self) -> None:
        """End all watches."""
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)
        self._tasks.clear()

    def has_ended(self) -> bool:
        """Tell whether a watch has ended, which none should."""
        return any(task.done() for task in self._tasks.values())

    async def list(self, kind: Kind) -> str:
        """Tell of all objects of a kind, and of those that are gone without having been seen to go; return the version of the list."""
        listed: set[Address] = set()
        version = ""
        async for bodies, version in self._cluster.list(kind):  # noqa: B007 (the last one counts)
            for body in bodies:
                listed.add(find_address(body))
                self._observe(kind, body, False)
        for body in self._store.find_unlisted(kind, listed, version):
            self._observe(kind, body, True)
        return version

    async def _follow(self, kind: Kind, version: str) -> None:
        failures = 0
        while True:
            try:
                if not version:
                    version = await self.list(kind)
                async for event, body in self._cluster.watch(kind, version):
                    version = body["metadata"]["resourceVersion"]
                    failures = 0
                    if event != "BOOKMARK":
                        self._observe(kind, body, event == "DELETED")
            except Expired:
                version = ""
            except ClusterError as error:
                failures += 1
                logger.warning("Watching %s failed %d times: %s", kind.plural, failures, error)
                await asyncio.sleep(find_wait_seconds(failures))


def find_wait_seconds(failures: int) -> float:
    """Return the wait before a watch is tried again: doubling, and spread, so that operators do not come back in step."""
    return min(RETRY_SECONDS * 2.0 ** min(failures - 1, 10), LAST_RETRY_SECONDS) * random.uniform(0.5, 1.0)  # noqa: S311 (no secret)
