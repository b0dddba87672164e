"""Watches of the kinds that concern the operator: list, then follow every change, and list again when the thread is lost. Above `cluster` and `store`.

Kopf can watch too, but with a task, a queue and copies for each object: half of the operator's processor time, and memory that stays.
"""

import asyncio
import logging
import random
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable

from scoring_operator.api import Manifest
from scoring_operator.cluster import Cluster
from scoring_operator.errors import ClusterError, Expired
from scoring_operator.kinds import Kind, Scope
from scoring_operator.store import Address, Store, find_address

RETRY_SECONDS = 1.0
LAST_RETRY_SECONDS = 30.0

Observe = Callable[[Kind, Manifest, bool, int], None]
"""Takes an object that has changed, whether it was deleted, and the version of the list that it comes from; -1 for news of a watch."""

logger = logging.getLogger(__name__)

Place = tuple[Kind, str | None]
"""A kind and the namespace in which it is watched; None for all."""


class Watches:
    """One watch for each kind, and namespace where these are named, each in a task of its own."""

    def __init__(self, cluster: Cluster, store: Store, scope: Scope, observe: Observe) -> None:
        """Take what is told of each change, and puts it into the store."""
        self._cluster = cluster
        self._store = store
        self._scope = scope
        self._observe = observe
        self._tasks: dict[Place, asyncio.Task[None]] = {}
        self._listed: dict[Place, float] = {}
        self._versions: dict[Place, int] = {}
        self._broken: set[Place] = set()
        # How often etcd was put back, and how much of that each place has seen.
        self._restores = 0
        self._seen_restores: dict[Place, int] = {}
        self._listing: defaultdict[Place, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def start(self, kinds: Iterable[Kind]) -> None:
        """List the kinds that are not watched yet, and follow them in the background; raises ClusterError when one cannot be listed."""
        for kind in kinds:
            for namespace in self._scope.find_namespaces(kind):
                if (kind, namespace) not in self._tasks:
                    self._start_task((kind, namespace), await self._list(kind, namespace))

    def _start_task(self, place: Place, version: str) -> None:
        self._tasks[place] = asyncio.create_task(self._follow(*place, version), name=f"watch {place[0].plural}")

    async def stop(self, kinds: Collection[Kind] | None = None) -> None:
        """End the watches of some kinds, or all."""
        places = [place for place in self._tasks if kinds is None or place[0] in kinds]
        tasks = [self._tasks.pop(place) for place in places]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def has_ended(self) -> bool:
        """Tell whether a watch has ended, which none should."""
        return any(task.done() for task in self._tasks.values())

    async def list(self, kind: Kind, fresh_seconds: float = 0.0) -> None:
        """Tell of all objects of a kind, and of those that are gone without having been seen to go; not where that was done so recently."""
        for namespace in self._scope.find_namespaces(kind):
            age_seconds = read_seconds() - self._listed.get((kind, namespace), -float("inf"))
            if age_seconds >= fresh_seconds:
                await self._list(kind, namespace)

    async def _list(self, kind: Kind, namespace: str | None) -> str:
        """List a kind in one place; return the version of the list."""
        # One at a time, so that each is as new as those before it.
        async with self._listing[kind, namespace]:
            began, before = read_seconds(), self._versions.get((kind, namespace), 0)
            listed: set[Address] = set()
            version = ""
            async for bodies, version in self._cluster.list(kind, namespace):
                self._check_history((kind, namespace), before, int(version))
                for body in bodies:
                    listed.add(find_address(body))
                    self._observe(kind, body, False, int(version))
            for body in self._store.find_unlisted(kind, namespace, listed, version):
                self._observe(kind, body, True, int(version))
            self._listed[kind, namespace] = began
            self._versions[kind, namespace] = int(version)
            return version

    def _check_history(self, place: Place, before: int, version: int) -> None:
        """Start over when a list is older than what was known before it was asked for: etcd has been put back to an earlier state.

        So is every other kind, even one whose versions have been reached again since: its watch would go on as if nothing were.
        """
        seen = self._seen_restores.setdefault(place, self._restores)
        if version < before and seen == self._restores:
            logger.warning("etcd was put back: %s are of version %d, after %d", place[0].plural, version, before)
            self._restores += 1
            self._restart_others()
        if seen < self._restores:
            self._seen_restores[place] = self._restores
            self._forget(*place)

    def _restart_others(self) -> None:
        """Have all watches but this task's own list anew."""
        for place, task in list(self._tasks.items()):
            if task is not asyncio.current_task():
                task.cancel()
                self._start_task(place, "")

    def _forget(self, kind: Kind, namespace: str | None) -> None:
        """Tell of all objects of a kind as gone: what there is now need not be newer than they are."""
        for body in self._store.select(kind):
            if namespace in {None, body["metadata"].get("namespace")}:
                self._observe(kind, body, True, -1)
        self._store.forget_deletions()

    async def _follow(self, kind: Kind, namespace: str | None, version: str) -> None:
        failures = 0
        while True:
            began, before = time.monotonic(), version
            version = await self._follow_once(kind, namespace, version)
            if (version and version != before) or time.monotonic() - began > LAST_RETRY_SECONDS:
                failures = 0
                continue
            # A watch that ended soon and told nothing is not asked for again at once; one that only has to start over is, for the first time.
            failures += 1
            if version or failures > 1:
                await asyncio.sleep(find_wait_seconds(failures))

    async def _follow_once(self, kind: Kind, namespace: str | None, version: str) -> str:
        """Follow a kind from a version on, listing it first where there is none; return from which version to go on, or none."""
        try:
            if version and await self._is_history(kind, namespace, int(version)):
                version = ""
            version = version or await self._list(kind, namespace)
            async for event, body in self._cluster.watch(kind, namespace, version):
                version = body["metadata"]["resourceVersion"]
                self._versions[kind, namespace] = int(version)
                if event != "BOOKMARK":
                    self._observe(kind, body, event == "DELETED", -1)
        except Expired:
            return ""
        except ClusterError as error:
            self._broken.add((kind, namespace))
            logger.warning("Watching %s failed: %s", kind.plural, error)
        return version

    async def _is_history(self, kind: Kind, namespace: str | None, version: int) -> bool:
        """Tell whether etcd was put back to before a version while its watch was broken: one from there would be silent until it is reached again."""
        if (kind, namespace) not in self._broken:
            return False
        is_history = await self._cluster.find_version(kind, namespace) < version
        self._broken.discard((kind, namespace))
        return is_history


def read_seconds() -> float:
    """Return the time of the running event loop, which only grows."""
    return asyncio.get_running_loop().time()


def find_wait_seconds(failures: int) -> float:
    """Return the wait before a watch is tried again: doubling, and spread, so that operators do not come back in step."""
    return min(RETRY_SECONDS * 2.0 ** min(failures - 1, 10), LAST_RETRY_SECONDS) * random.uniform(0.5, 1.0)  # noqa: S311 (no secret)
