"""A real API server with KWOK's fake nodes, and the operator as a process of this machine.

`local_cluster` gives the cluster, named `integration`; SCORING_TEST_KUBECONFIG names another one instead.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from kubectl import Kubectl
from operator_clusters import make_roles, prepare_cluster, run_operator
from operator_processes import OperatorProcess
from scoring_models import ScoringModels, open_namespace
from waiting import wait_for


@pytest.fixture(scope="session")
def kubectl() -> Kubectl:
    """Return kubectl for the cluster, with our CRDs, two hardware classes and a fake node in it."""
    return prepare_cluster("integration", Path(__file__).with_name("cluster.yaml"))


@pytest.fixture(scope="session")
def roles(kubectl: Kubectl) -> None:
    """Make the chart's roles, and the operator's own account bound to its own."""
    make_roles(kubectl)


@pytest.fixture(scope="session")
def operator(kubectl: Kubectl, roles: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OperatorProcess]:
    """Yield a running operator, which may do what the chart lets it and nothing else; a test that ends it starts it again."""
    del roles
    with run_operator(kubectl, tmp_path_factory.mktemp("operator")) as process:
        yield process
    forbidden = [line for line in process.read_log().splitlines() if "cannot" in line and "forbidden" in line.lower()]
    assert forbidden == [], "the chart's role is too small for the operator"


@pytest.fixture
def alone(kubectl: Kubectl) -> None:
    """Wait until the models of earlier tests are gone, since their ends are written too."""
    wait_for(
        lambda: kubectl("get", "scoringmodels,deployments", "-A", "-o", "name") == "", "earlier models to be gone", 120
    )


@pytest.fixture
def models(kubectl: Kubectl, operator: OperatorProcess) -> Iterator[ScoringModels]:
    """Yield the ScoringModels of a namespace of the test's own, with the operator running."""
    del operator
    with open_namespace(kubectl, "integration") as models:
        yield models
