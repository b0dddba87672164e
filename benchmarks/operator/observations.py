"""What the benchmark sees of the cluster's objects, and when. Above `api_server`."""

import asyncio
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Self

from benchmarks.operator.api_server import AUTOSCALERS, DEPLOYMENTS, SERVICES, ApiServer, Manifest, find_path
from benchmarks.serving.errors import BenchmarkError

CHILDREN = (DEPLOYMENTS, SERVICES, AUTOSCALERS)


@dataclass
class Seen:
    """Moments (time.perf_counter) at which an object was seen: with its present uid, and ready since when (None: it is not)."""

    uid: str
    first: float
    ready: float | None = None
    body: Manifest = field(default_factory=dict)


class Observer:
    """Watches the children, and the models where there are any. All are known by the models' names."""

    def __init__(self, api: ApiServer, namespace: str, models: str = "", suffix: str = "") -> None:
        """Take the kind of the models, and what the names of their children have after the model's."""
        self._api = api
        self._namespace = namespace
        self._suffix = suffix
        self._kinds = (*CHILDREN, models) if models else CHILDREN
        self._tasks: list[asyncio.Task[None]] = []
        self._changed = asyncio.Event()
        self.seen: dict[str, dict[str, Seen]] = {kind: {} for kind in self._kinds}

    async def __aenter__(self) -> Self:
        self._tasks = [asyncio.create_task(self._watch(kind)) for kind in self._kinds]
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def wait_for(self, look: Callable[[], bool], what: str, timeout_seconds: float = 1800.0) -> float:
        """Wait until `look` is true, asked after each event; return the moment. Raises BenchmarkError when that takes too long."""
        deadline = time.perf_counter() + timeout_seconds
        while not look():
            left = deadline - time.perf_counter()
            for task in self._tasks:
                if task.done():
                    task.result()
            if left <= 0:
                raise BenchmarkError(f"Waited in vain for {what}.")
            self._changed.clear()
            try:
                await asyncio.wait_for(self._changed.wait(), min(left, 5.0))
            except TimeoutError:
                continue
        return time.perf_counter()

    def count_ready(self, kind: str) -> int:
        """Return how many objects of a kind are ready."""
        return sum(one.ready is not None for one in self.seen[kind].values())

    def find_last(self, kinds: Iterable[str], names: Iterable[str]) -> float:
        """Return the moment at which the last of these objects was first seen."""
        wished = list(names)
        return max(self.seen[kind][name].first for kind in kinds for name in wished)

    async def _watch(self, kind: str) -> None:
        while True:
            async for event in self._api.watch(find_path(kind, self._namespace)):
                if event["type"] != "ERROR":
                    self._note(kind, event["type"], event["object"])
                    self._changed.set()

    def _note(self, kind: str, event: str, body: Manifest) -> None:
        now, uid = time.perf_counter(), body["metadata"]["uid"]
        name = body["metadata"]["name"].removesuffix(self._suffix if kind in CHILDREN else "")
        known = self.seen[kind].get(name)
        if event == "DELETED":
            if known and known.uid == uid:
                del self.seen[kind][name]
            return
        if known is None or known.uid != uid:
            known = self.seen[kind][name] = Seen(uid, now)
        known.body = body
        if not is_ready(kind, body):
            known.ready = None
        elif known.ready is None:
            known.ready = now


def is_ready(kind: str, body: Manifest) -> bool:
    """Tell whether a Deployment has a ready replica, or a model's condition Ready is True; other children are ready once they exist."""
    status = body.get("status", {})
    if kind == DEPLOYMENTS:
        return bool(status.get("readyReplicas"))
    if kind in CHILDREN:
        return True
    ready = [one for one in status.get("conditions", []) if one["type"] == "Ready"]
    return bool(ready) and ready[0]["status"] == "True"
