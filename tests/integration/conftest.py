"""A real API server with KWOK's fake nodes, and the operator as a process of this machine.

`local_cluster` gives the cluster, named `integration`; SCORING_TEST_KUBECONFIG names another one instead.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from kubectl import Kubectl
from local_clusters import ROOT, open_cluster
from operator_processes import OperatorProcess
from scoring_models import ScoringModels, open_namespace


@pytest.fixture(scope="session")
def kubectl() -> Kubectl:
    """Return kubectl for the cluster, with our CRDs, two hardware classes and a fake node in it."""
    kubectl = open_cluster("integration", node="none")
    kubectl("apply", "--server-side", "--force-conflicts", "-f", str(ROOT / "crds"))
    kubectl("wait", "--for=condition=Established", "-f", str(ROOT / "crds"))
    kubectl("apply", "-f", str(Path(__file__).with_name("cluster.yaml")))
    return kubectl


@pytest.fixture(scope="session")
def operator(kubectl: Kubectl, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OperatorProcess]:
    """Yield a running operator; a test that ends it starts it again."""
    process = OperatorProcess(kubectl, tmp_path_factory.mktemp("operator") / "operator.log")
    process.start()
    yield process
    process.stop()


@pytest.fixture
def models(kubectl: Kubectl, operator: OperatorProcess) -> Iterator[ScoringModels]:
    """Yield the ScoringModels of a namespace of the test's own, with the operator running."""
    del operator
    with open_namespace(kubectl, "integration") as models:
        yield models
