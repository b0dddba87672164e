"""An operator under measurement: a fresh cluster, the operator on it, and what is watched and counted. Between `load` and the benchmarks."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.operator.api_server import AUTOSCALERS, DEPLOYMENTS, Manifest, find_path
from benchmarks.operator.clusters import NAMESPACE, FreshCluster, let_settle, open_cluster
from benchmarks.operator.contenders import EDITED, Contender
from benchmarks.operator.counting import Counters, count_own
from benchmarks.operator.load import create_models
from benchmarks.operator.observations import Observer, Seen
from benchmarks.operator.processes import Operator, count_cpu_seconds

OPERATOR = "operator"

_POLL_SECONDS = 0.25
_QUIET_SECONDS = 1.5
_CALM_SECONDS = 1.0
_QUIET_SHARE = 0.06
"""Of a core: below this an operator has nothing to do but hear of other things' changes."""

Milliseconds = dict[str, float]


@dataclass(frozen=True)
class Subject:
    """A running operator and the cluster it works on."""

    contender: Contender
    cluster: FreshCluster
    operator: Operator
    observer: Observer

    async def count(self) -> Counters:
        """Read all counters now."""
        return await self._read_counters({**self.cluster.pids, OPERATOR: self.operator.pid})

    async def count_without_operator(self) -> Counters:
        """Read all counters now, while the operator does not run."""
        return await self._read_counters(self.cluster.pids)

    async def _read_counters(self, pids: Mapping[str, int]) -> Counters:
        return await Counters.read(self.cluster.api, pids, self.contender.own.event_source)

    def count_own(self, before: Counters, after: Counters) -> dict[str, Any]:
        """Return the operator's own requests between two moments."""
        return count_own(self.contender.own, before, after)

    async def wait_until_quiet(self) -> float:
        """Wait until the operator has used next to no processor time for a while; return the moment since when."""
        quiet_since, used = time.perf_counter(), count_cpu_seconds(self.operator.pid)
        while time.perf_counter() - quiet_since < _QUIET_SECONDS:
            await asyncio.sleep(_POLL_SECONDS)
            now = count_cpu_seconds(self.operator.pid)
            if now - used > _QUIET_SHARE * _POLL_SECONDS:
                quiet_since = time.perf_counter()
            used = now
        return quiet_since

    async def wait_until_told(self, names: Sequence[str]) -> None:
        """Wait until each model has said the last that there is to say."""
        seen = self.observer.seen[self.contender.models]
        await self.observer.wait_for(
            lambda: all(self.contender.has_told(seen[name].body) for name in names), "the last"
        )
        await self.wait_until_quiet()

    async def wait_until_calm(self, name: str) -> None:
        """Wait until nothing is under way any more for a model, so that the next measurement meets nothing of the last."""
        await self.observer.wait_for(lambda: self._is_rolled_out(name), f"{name} to be rolled out")
        await self.observer.wait_for(lambda: self._is_ready(self.contender.models, name), f"{name} to be ready")
        await asyncio.sleep(_CALM_SECONDS)

    def _is_rolled_out(self, name: str) -> bool:
        seen = self._find(DEPLOYMENTS, name)
        if seen is None:
            return False
        metadata, status = seen.body["metadata"], seen.body.get("status", {})
        numbers = [status.get(field) for field in ("replicas", "updatedReplicas", "readyReplicas")]
        return status.get("observedGeneration") == metadata["generation"] and len({*numbers, 1}) == 1

    async def make_one(self, name: str) -> Milliseconds:
        """Create one model; return the milliseconds after the create has returned until each thing was seen."""
        await create_models(self.cluster.api, self.contender, [name])
        returned = time.perf_counter()
        await self.observer.wait_for(lambda: self._is_ready(self.contender.models, name), name)
        seen = self.observer.seen
        return {
            "deployment": to_milliseconds(seen[DEPLOYMENTS][name].first - returned),
            "autoscaler": to_milliseconds(seen[AUTOSCALERS][name].first - returned),
            "ready": to_milliseconds((seen[self.contender.models][name].ready or 0) - returned),
        }

    async def delete_deployment(self, name: str) -> Milliseconds:
        """Delete a model's Deployment; return the milliseconds until it is there again, and the model Ready again."""
        old = self.observer.seen[DEPLOYMENTS][name].uid
        await self.remove_deployment(name)
        returned = time.perf_counter()
        again = await self.observer.wait_for(lambda: self._has_other(name, old), f"{name} again")
        await self.observer.wait_for(lambda: self._is_ready(DEPLOYMENTS, name), f"{name}'s replica again")
        ready = await self.observer.wait_for(lambda: self._is_ready(self.contender.models, name), f"{name} ready again")
        return {"again": to_milliseconds(again - returned), "ready": to_milliseconds(ready - returned)}

    async def remove_deployment(self, name: str) -> None:
        """Delete a model's Deployment."""
        await self.cluster.api.delete(find_path(DEPLOYMENTS, NAMESPACE, name + self.contender.suffix))

    async def edit(self, name: str, value: str) -> Milliseconds:
        """Give a model another environment variable; return the milliseconds until its Deployment has it."""
        await self.patch_model(name, value)
        returned = time.perf_counter()
        reached = await self.observer.wait_for(lambda: self.has_value(name, value), f"the edit of {name}")
        return {"deployment": to_milliseconds(reached - returned)}

    async def patch_model(self, name: str, value: str) -> None:
        """Give a model another environment variable."""
        path = find_path(self.contender.models, NAMESPACE, name)
        await self.cluster.api.patch(path, self.contender.build_edit(value))

    def has_value(self, name: str, value: str) -> bool:
        """Tell whether a model's Deployment has what `patch_model` wished."""
        return {"name": EDITED, "value": value} in self.read_environment(name)

    def read_environment(self, name: str) -> list[Manifest]:
        """Return the environment of a model's Deployment, empty when there is none."""
        seen = self.observer.seen[DEPLOYMENTS].get(name)
        found: list[Manifest] = seen.body["spec"]["template"]["spec"]["containers"][0]["env"] if seen else []
        return found

    async def count_during(self, work: Callable[[], Any]) -> tuple[Counters, Counters]:
        """Await `work()`; return the counters before and after it."""
        before = await self.count()
        await work()
        return before, await self.count()

    def _find(self, kind: str, name: str) -> Seen | None:
        return self.observer.seen[kind].get(name)

    def _is_ready(self, kind: str, name: str) -> bool:
        seen = self._find(kind, name)
        return seen is not None and seen.ready is not None

    def _has_other(self, name: str, uid: str) -> bool:
        seen = self._find(DEPLOYMENTS, name)
        return seen is not None and seen.uid != uid


@asynccontextmanager
async def open_subject(contender: Contender, cluster_name: str, pods: int, log: Path) -> AsyncIterator[Subject]:
    """Yield a fresh cluster with the operator running; both are gone afterwards."""
    async with open_cluster(cluster_name, pods) as cluster:
        await contender.install(cluster)
        await let_settle()
        operator = contender.build_operator(cluster, log)
        async with Observer(cluster.api, NAMESPACE, contender.models, contender.suffix) as observer:
            try:
                await asyncio.to_thread(operator.start)
                yield Subject(contender, cluster, operator, observer)
            finally:
                operator.stop()


def to_milliseconds(seconds: float) -> float:
    """Return milliseconds with one digit after the point."""
    return round(seconds * 1000, 1)
