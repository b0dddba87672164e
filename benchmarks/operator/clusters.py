"""A fresh cluster for each measurement: a real control plane by `local_cluster`, and nodes that KWOK plays. Above `api_server`."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.operator.api_server import ApiServer, Manifest
from benchmarks.serving.errors import BenchmarkError
from local_cluster.state import Cluster, load_record

ROOT = Path(__file__).resolve().parents[2]
NAMESPACE = "benchmark"
PODS_PER_NODE = 200
SPARE_NODES = 2
SETTLING_SECONDS = 40.0
"""A cluster is left alone for so long before it is measured: the API server prepares the schemas of new kinds, and the garbage
collector looks for such kinds every 30 s. Both belong to a new cluster, and to those alone who bring kinds."""


@dataclass(frozen=True)
class FreshCluster:
    """A cluster with nothing in it but what every measurement needs."""

    api: ApiServer
    local: Cluster
    pids: Mapping[str, int]
    """Of the programs of the control plane."""


@asynccontextmanager
async def open_cluster(name: str, pods: int) -> AsyncIterator[FreshCluster]:
    """Yield a fresh cluster of that name with nodes for so many pods; it is taken down afterwards."""
    cluster = Cluster(name)
    _run_local_cluster("down", "--name", name)
    _run_local_cluster("up", "--name", name, "--node", "none")
    record = load_record(cluster)
    if record is None:
        raise BenchmarkError(f"There is no cluster {name} after it was brought up.")
    url = f"https://127.0.0.1:{record.ports['kube-apiserver']}"
    try:
        async with ApiServer(url, cluster.folder / "pki") as api:
            await _fill(api, pods // PODS_PER_NODE + SPARE_NODES)
            pids = {file.stem: int(file.read_text()) for file in (cluster.folder / "pids").glob("*.pid")}
            yield FreshCluster(api, cluster, pids)
    finally:
        _run_local_cluster("down", "--name", name)


async def let_settle() -> None:
    """Wait until a cluster has got used to what was installed into it."""
    await asyncio.sleep(SETTLING_SECONDS)


async def _fill(api: ApiServer, nodes: int) -> None:
    for number in range(nodes):
        await api.create("/api/v1/nodes", render_node(number))
    await api.create("/api/v1/namespaces", {"metadata": {"name": NAMESPACE}})


def render_node(number: int) -> Manifest:
    """Return a node that KWOK plays, with room for PODS_PER_NODE pods and an address for each."""
    name = f"fake-{number}"
    room = {"cpu": "64", "memory": "256Gi", "pods": str(PODS_PER_NODE)}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": name,
            "annotations": {"kwok.x-k8s.io/node": "fake"},
            "labels": {"kubernetes.io/hostname": name},
        },
        "spec": {"podCIDR": f"10.100.{number}.0/24", "podCIDRs": [f"10.100.{number}.0/24"]},
        "status": {"allocatable": room, "capacity": room},
    }


def _run_local_cluster(*words: str) -> None:
    command = [sys.executable, "-m", "local_cluster", *words]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BenchmarkError(f"{' '.join(command[1:])} failed: {done.stderr[-2000:]}")
