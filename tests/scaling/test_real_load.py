"""Real load on real pods, scraped by Prometheus and read by KEDA, with the operator in the cluster: the whole way of a measured request.

On the local cluster's real node, which needs root; all other tests here have fake nodes.
"""

import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import httpx
import pytest

from endpoints import find_address
from local_clusters import find_prometheus, open_kubectl, run_local_cluster
from model_images import PATIENT, load_model_image
from samples.demo.clusters import CLUSTER_NAME, Choice, Cluster, open_cluster
from scoring_models import ScoringModels, open_namespace
from waiting import wait_for

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="a real node needs root")

NAME = "patient"
CLIENTS = 8
SCALING_SECONDS = 120.0


@pytest.fixture(scope="module")
def cluster() -> Cluster:
    """Return the cluster with the real node, KEDA and Prometheus."""
    run_local_cluster("up", "--name", CLUSTER_NAME, "--with", "keda", "--with", "prometheus")
    return open_cluster(Choice.LOCAL)


@pytest.fixture(scope="module")
def image(cluster: Cluster) -> str:
    """Install the operator of this checkout; return the image with the model inside."""
    return load_model_image(cluster, PATIENT)


@pytest.fixture
def served(cluster: Cluster, image: str) -> Iterator[ScoringModels]:
    """Yield the ScoringModels of a namespace in which the model is ready, scaled by its requests in flight."""
    address = f"http://{find_prometheus(CLUSTER_NAME)}"
    with open_namespace(open_kubectl(cluster), "load") as models:
        autoscaling = {
            "minReplicas": 1,
            "maxReplicas": 3,
            "metrics": [{"type": "requestsInFlight", "target": 2, "serverAddress": address}],
            "behavior": {"scaleDown": {"stabilizationWindowSeconds": 0}},
        }
        model = {"uri": "file:///models/patient", "format": "python"}
        models.apply(NAME, model=model, runtime={"image": image}, autoscaling=autoscaling)
        models.wait_until_ready(NAME, timeout_seconds=180)
        yield models


@contextmanager
def keep_asking(address: str) -> Iterator[list[str]]:
    """Let several clients ask, one request each at a time; yield the list of what went wrong."""
    failures: list[str] = []
    stop = threading.Event()

    def ask() -> None:
        while not stop.is_set():
            try:
                response = httpx.post(f"{address}/score", json={"input": "hello"}, timeout=30)
            except httpx.TransportError as error:
                failures.append(repr(error))
                continue
            if response.status_code != httpx.codes.OK:
                failures.append(response.text)

    with ThreadPoolExecutor(max_workers=CLIENTS) as pool:
        for _ in range(CLIENTS):
            pool.submit(ask)
        try:
            yield failures
        finally:
            stop.set()


def wait_for_replicas(models: ScoringModels, count: int) -> None:
    """Wait until the model has so many replicas, all of them ready."""
    message = f"{count} of {count} replicas ready."
    wait_for(lambda: models.find_ready(NAME).get("message") == message, message, SCALING_SECONDS)


def test_requests_in_flight_add_replicas_and_their_end_removes_them(served: ScoringModels) -> None:
    wait_for_replicas(served, 1)
    with keep_asking(find_address(served.kubectl, NAME)) as failures:
        wait_for_replicas(served, 3)
    assert failures == []
    assert served.find_condition("ScalingInactive", NAME) is None
    wait_for_replicas(served, 1)
