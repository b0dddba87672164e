"""The operator under measurement: a fresh cluster, the operator on it, and what is watched and counted. Between `load` and the benchmarks."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.operator.api_server import AUTOSCALERS, DEPLOYMENTS, MODELS, Manifest, find_path
from benchmarks.operator.clusters import NAMESPACE, FreshCluster, open_cluster
from benchmarks.operator.counting import Counters
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

    cluster: FreshCluster
    operator: Operator
    observer: Observer

    async def count(self) -> Counters:
        """Read all counters now."""
        return await Counters.read(self.cluster.api, {**self.cluster.pids, OPERATOR: self.operator.pid})

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
        """Wait until each model says that its autoscaler finds no metrics, which KWOK's pods have none of: the last that there is to say."""
        seen = self.observer.seen[MODELS]
        await self.observer.wait_for(lambda: all(is_scaling_inactive(seen[name].body) for name in names), "metrics")
        await self.wait_until_quiet()

    async def wait_until_calm(self, name: str) -> None:
        """Wait until nothing is under way any more for a model, so that the next measurement meets nothing of the last."""
        await self.observer.wait_for(lambda: self._is_rolled_out(name), f"{name} to be rolled out")
        await self.observer.wait_for(lambda: self._is_ready(MODELS, name), f"{name} to be ready")
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
        await create_models(self.cluster.api, [name])
        returned = time.perf_counter()
        await self.observer.wait_for(lambda: self._is_ready(MODELS, name), name)
        seen = self.observer.seen
        return {
            "deployment": to_milliseconds(seen[DEPLOYMENTS][name].first - returned),
            "autoscaler": to_milliseconds(seen[AUTOSCALERS][name].first - returned),
            "ready": to_milliseconds((seen[MODELS][name].ready or 0) - returned),
        }

    async def delete_deployment(self, name: str) -> Milliseconds:
        """Delete a model's Deployment; return the milliseconds until it is there again, and the model Ready again."""
        old = self.observer.seen[DEPLOYMENTS][name].uid
        await self.cluster.api.delete(find_path(DEPLOYMENTS, NAMESPACE, name))
        returned = time.perf_counter()
        again = await self.observer.wait_for(lambda: self._has_other(name, old), f"{name} again")
        await self.observer.wait_for(lambda: self._is_ready(DEPLOYMENTS, name), f"{name}'s replica again")
        ready = await self.observer.wait_for(lambda: self._is_ready(MODELS, name), f"{name} ready again")
        return {"again": to_milliseconds(again - returned), "ready": to_milliseconds(ready - returned)}

    async def edit(self, name: str, value: str) -> Milliseconds:
        """Give a model another environment variable; return the milliseconds until its Deployment has it."""
        await self.patch_model(name, value)
        returned = time.perf_counter()
        reached = await self.observer.wait_for(lambda: self.has_value(name, value), f"the edit of {name}")
        return {"deployment": to_milliseconds(reached - returned)}

    async def patch_model(self, name: str, value: str) -> None:
        """Give a model another environment variable."""
        spec = {"runtime": {"env": [{"name": "EDITED", "value": value}]}}
        await self.cluster.api.patch(find_path(MODELS, NAMESPACE, name), {"spec": spec})

    def has_value(self, name: str, value: str) -> bool:
        """Tell whether a model's Deployment has what `patch_model` wished."""
        return {"name": "EDITED", "value": value} in self.read_environment(name)

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
async def open_subject(cluster_name: str, pods: int, log: Path) -> AsyncIterator[Subject]:
    """Yield a fresh cluster with the operator running; both are gone afterwards."""
    async with (
        open_cluster(cluster_name, pods) as cluster,
        Observer(cluster.api, NAMESPACE, with_models=True) as observer,
    ):
        operator = Operator(cluster.kubeconfig, log)
        try:
            await asyncio.to_thread(operator.start)
            yield Subject(cluster, operator, observer)
        finally:
            operator.stop()


def to_milliseconds(seconds: float) -> float:
    """Return milliseconds with one digit after the point."""
    return round(seconds * 1000, 1)


def is_scaling_inactive(model: Manifest) -> bool:
    """Tell whether a ScoringModel says that its autoscaler does not work."""
    return any(one["type"] == "ScalingInactive" for one in model.get("status", {}).get("conditions", []))
