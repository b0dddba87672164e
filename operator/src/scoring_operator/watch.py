"""One watch: a kind in one namespace, or in all. It lists, follows every change, and lists again when the thread is lost. Below `watches`."""

import asyncio
import logging
import random
import time
from collections.abc import Callable
from dataclasses import dataclass

from scoring_operator.api import Manifest
from scoring_operator.cluster import Cluster
from scoring_operator.errors import ClusterError, Expired
from scoring_operator.kinds import Kind
from scoring_operator.store import Address, Store, find_address

RETRY_SECONDS = 1.0
LAST_RETRY_SECONDS = 30.0

Observe = Callable[[Kind, Manifest, bool, int], None]
"""Takes an object that has changed, whether it was deleted, and the version of the list that it comes from; -1 for news of a watch."""

logger = logging.getLogger(__name__)


@dataclass
class History:
    """What all watches share: how often etcd was put back to an earlier state, and how all of them hear of it."""

    start_over: Callable[[], None]
    """Have all watches list anew, but for the one that is listing now."""

    restores: int = 0


class Watch:
    """Tells of the objects of a kind, in a task of its own once started."""

    def __init__(
        self, place: tuple[Kind, str | None], cluster: Cluster, store: Store, observe: Observe, history: History
    ) -> None:
        """Take a kind and a namespace, None for all, and what is told of each change and puts it into the store."""
        self.kind, self.namespace = place
        self._cluster = cluster
        self._store = store
        self._observe = observe
        self._history = history
        self._seen_restores = history.restores
        self._task: asyncio.Task[None] | None = None
        self._listed = -float("inf")
        self._version = 0
        self._is_broken = False
        self._listing = asyncio.Lock()

    @property
    def is_started(self) -> bool:
        """Tell whether it follows changes, or should."""
        return self._task is not None

    def has_ended(self) -> bool:
        """Tell whether it has ended by itself, which none should."""
        return self._task is not None and self._task.done()

    async def start(self) -> None:
        """List, and follow in the background; raises ClusterError when the kind cannot be listed."""
        self._follow_from(await self.relist())

    def start_over(self) -> None:
        """Stop following, and begin anew with a list, in the background; not when it is this watch itself that asks, which has a list."""
        if self._task is not None and self._task is not asyncio.current_task():
            self._task.cancel()
            self._follow_from("")

    async def stop(self) -> None:
        """Stop following."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def refresh(self, fresh_seconds: float) -> None:
        """List, unless that was done so recently."""
        if read_seconds() - self._listed >= fresh_seconds:
            await self.relist()

    async def relist(self) -> str:
        """Tell of all objects, and of those that are gone without having been seen to go; return the version of the list."""
        # One at a time, so that each is as new as those before it.
        async with self._listing:
            began, before = read_seconds(), self._version
            listed: set[Address] = set()
            version = ""
            async for bodies, version in self._cluster.list(self.kind, self.namespace):
                self._check_history(before, int(version))
                for body in bodies:
                    listed.add(find_address(body))
                    self._observe(self.kind, body, False, int(version))
            for body in self._store.find_unlisted(self.kind, self.namespace, listed, version):
                self._observe(self.kind, body, True, int(version))
            self._listed, self._version = began, int(version)
            return version

    def _check_history(self, before: int, version: int) -> None:
        """Start over when a list is older than what was known before it was asked for: etcd has been put back to an earlier state.

        So does every other watch, even one whose versions have been reached again since: it would go on as if nothing were.
        """
        if version < before and self._seen_restores == self._history.restores:
            logger.warning("etcd was put back: %s are of version %d, after %d", self.kind.plural, version, before)
            self._history.restores += 1
            self._history.start_over()
        if self._seen_restores < self._history.restores:
            self._seen_restores = self._history.restores
            self._forget()

    def _forget(self) -> None:
        """Tell of all objects as gone: what there is now need not be newer than they are."""
        for body in self._store.select(self.kind):
            if self.namespace in {None, body["metadata"].get("namespace")}:
                self._observe(self.kind, body, True, -1)
        self._store.forget_deletions()

    def _follow_from(self, version: str) -> None:
        self._task = asyncio.create_task(self._follow(version), name=f"watch {self.kind.plural}")

    async def _follow(self, version: str) -> None:
        failures = 0
        while True:
            began, before = time.monotonic(), version
            version = await self._follow_once(version)
            if (version and version != before) or time.monotonic() - began > LAST_RETRY_SECONDS:
                failures = 0
                continue
            # A watch that ended soon and told nothing is not asked for again at once; one that only has to start over is, for the first time.
            failures += 1
            if version or failures > 1:
                await asyncio.sleep(find_wait_seconds(failures))

    async def _follow_once(self, version: str) -> str:
        """Follow from a version on, listing first where there is none; return from which version to go on, or none."""
        try:
            if version and await self._is_history(int(version)):
                version = ""
            version = version or await self.relist()
            async for event, body in self._cluster.watch(self.kind, self.namespace, version):
                version = body["metadata"]["resourceVersion"]
                self._version = int(version)
                if event != "BOOKMARK":
                    self._observe(self.kind, body, event == "DELETED", -1)
        except Expired:
            return ""
        except ClusterError as error:
            self._is_broken = True
            logger.warning("Watching %s failed: %s", self.kind.plural, error)
        return version

    async def _is_history(self, version: int) -> bool:
        """Tell whether etcd was put back to before a version while the watch was broken: one from there would be silent until it is reached again."""
        if not self._is_broken:
            return False
        is_history = await self._cluster.find_version(self.kind, self.namespace) < version
        self._is_broken = False
        return is_history


def read_seconds() -> float:
    """Return the time of the running event loop, which only grows."""
    return asyncio.get_running_loop().time()


def find_wait_seconds(failures: int) -> float:
    """Return the wait before a watch is tried again: doubling, and spread, so that operators do not come back in step."""
    return min(RETRY_SECONDS * 2.0 ** min(failures - 1, 10), LAST_RETRY_SECONDS) * random.uniform(0.5, 1.0)  # noqa: S311 (no secret)
