"""The floor: the same children made by a script, with no operator. Between `load` and the benchmarks."""

import time
from typing import Any

from benchmarks.operator.api_server import DEPLOYMENTS
from benchmarks.operator.clusters import NAMESPACE, let_settle, open_cluster
from benchmarks.operator.counting import Counters, count_by_verb, count_cpu_by_model
from benchmarks.operator.load import create_children, name_models
from benchmarks.operator.observations import CHILDREN, Observer


async def measure_floor(cluster_name: str, count: int) -> dict[str, Any]:
    """Return what `count` models' children take without an operator: seconds, and the API server's processor time and requests."""
    async with (
        open_cluster(cluster_name, pods=2 * count) as cluster,
        Observer(cluster.api, NAMESPACE) as observer,
    ):
        names = name_models(count)
        await let_settle()
        before = await Counters.read(cluster.api, cluster.pids)
        started = time.perf_counter()
        await create_children(cluster.api, names)
        ready = await observer.wait_for(lambda: observer.count_ready(DEPLOYMENTS) == count, "all Deployments")
        await observer.wait_for(lambda: all(len(observer.seen[kind]) == count for kind in CHILDREN), "all children")
        after = await Counters.read(cluster.api, cluster.pids)
        return {
            "children_seconds": round(observer.find_last(CHILDREN, names) - started, 3),
            "ready_seconds": round(ready - started, 3),
            "cpu_ms_per_model": count_cpu_by_model(before, after, count),
            "requests": count_by_verb(after.requests - before.requests),
        }
