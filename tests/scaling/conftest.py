"""A real API server with KWOK's fake nodes, and what scales on it: KEDA, Karpenter and Prometheus, as add-ons of `local_cluster`.

The cluster is named `scaling`; SCORING_TEST_KUBECONFIG names another one instead, a local one with the same add-ons.
test_real_load.py has a real node, and a cluster of its own.
"""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from kubectl import Kubectl
from local_clusters import find_prometheus
from measured_values import MeasuredValue
from operator_clusters import prepare_cluster
from operator_processes import OperatorProcess
from scoring_models import ScoringModels, open_namespace


@pytest.fixture(scope="session")
def kubectl() -> Kubectl:
    """Return kubectl for the cluster, with our CRDs, hardware classes, a fake node and a pool of GPU nodes in it."""
    return prepare_cluster("scaling", Path(__file__).with_name("cluster.yaml"), "keda", "karpenter", "prometheus")


@pytest.fixture(scope="session")
def operator(kubectl: Kubectl, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OperatorProcess]:
    """Yield a running operator."""
    process = OperatorProcess(kubectl, tmp_path_factory.mktemp("operator") / "operator.log")
    process.start()
    yield process
    process.stop()


@pytest.fixture
def namespace(kubectl: Kubectl) -> Iterator[Kubectl]:
    """Yield kubectl for a namespace of the test's own."""
    with open_namespace(kubectl, "scaling") as models:
        yield models.kubectl


@pytest.fixture
def models(namespace: Kubectl, operator: OperatorProcess) -> ScoringModels:
    """Return the ScoringModels of the test's namespace, with the operator running."""
    del operator
    return ScoringModels(namespace)


@pytest.fixture
def waiting() -> Iterator[MeasuredValue]:
    """Yield how many requests wait, as a process of this machine tells everybody who measures."""
    with MeasuredValue("requests_waiting") as value:
        yield value


@pytest.fixture(scope="session")
def prometheus(kubectl: Kubectl) -> str:
    """Return the address of the cluster's Prometheus."""
    return f"http://{find_prometheus(kubectl.kubeconfig.parent.name)}"


@pytest.fixture
def scraped(kubectl: Kubectl, prometheus: str, waiting: MeasuredValue, namespace: Kubectl) -> Iterator[str]:
    """Have Prometheus scrape the number of waiting requests; yield the query for it."""
    del prometheus
    name = namespace.namespace
    file = kubectl.kubeconfig.parent / "addons" / "prometheus" / "targets" / f"{name}.json"
    file.write_text(json.dumps([{"targets": [waiting.address], "labels": {"test": name}}]))
    yield f'sum(requests_waiting{{test="{name}"}})'
    file.unlink()
