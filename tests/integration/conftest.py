"""A real API server with KWOK's fake nodes, and the operator as a process of this machine.

`local_cluster` gives the cluster, named `integration`; SCORING_TEST_KUBECONFIG names another one instead.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from helm_chart import NAMESPACE, RELEASE, render_chart
from identities import write_kubeconfig
from kubectl import Kubectl
from local_clusters import ROOT, open_cluster
from operator_processes import OperatorProcess
from scoring_models import ScoringModels, open_namespace

ROLE_KINDS = {"ServiceAccount", "Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding"}


@pytest.fixture(scope="session")
def kubectl() -> Kubectl:
    """Return kubectl for the cluster, with our CRDs, two hardware classes and a fake node in it."""
    kubectl = open_cluster("integration", node="none")
    kubectl("apply", "--server-side", "--force-conflicts", "-f", str(ROOT / "crds"))
    kubectl("wait", "--for=condition=Established", "-f", str(ROOT / "crds"))
    kubectl("apply", "-f", str(Path(__file__).with_name("cluster.yaml")))
    return kubectl


@pytest.fixture(scope="session")
def roles(kubectl: Kubectl) -> None:
    """Make the chart's roles, and the operator's own account bound to its own."""
    kubectl.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})
    kubectl.in_namespace(NAMESPACE).apply(*(body for body in render_chart() if body["kind"] in ROLE_KINDS))


@pytest.fixture(scope="session")
def operator(kubectl: Kubectl, roles: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OperatorProcess]:
    """Yield a running operator, which may do what the chart lets it and nothing else; a test that ends it starts it again."""
    del roles
    folder = tmp_path_factory.mktemp("operator")
    kubeconfig = write_kubeconfig(kubectl.in_namespace(NAMESPACE), RELEASE, folder / "kubeconfig")
    process = OperatorProcess(kubectl, folder / "operator.log", kubeconfig=kubeconfig)
    process.start()
    yield process
    process.stop()
    forbidden = [line for line in process.read_log().splitlines() if "cannot" in line and "forbidden" in line.lower()]
    assert forbidden == [], "the chart's role is too small for the operator"


@pytest.fixture
def models(kubectl: Kubectl, operator: OperatorProcess) -> Iterator[ScoringModels]:
    """Yield the ScoringModels of a namespace of the test's own, with the operator running."""
    del operator
    with open_namespace(kubectl, "integration") as models:
        yield models
