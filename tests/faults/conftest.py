"""A control plane that may be broken, with KWOK's fake nodes: its cluster is `faults`, a local one of its own.

SCORING_TEST_KUBECONFIG may name another local cluster instead, which nobody else uses: its processes are killed and its CRDs exchanged.
"""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from control_planes import ControlPlane
from kubectl import Kubectl
from operator_clusters import make_roles, prepare_cluster, run_operator
from operator_processes import OperatorProcess
from raw_api import open_raw_api
from scoring_models import ScoringModels, open_namespace


@pytest.fixture(scope="session")
def kubectl() -> Kubectl:
    """Return kubectl for the cluster, with our CRDs, the chart's roles, a hardware class and a fake node in it."""
    kubectl = prepare_cluster("faults", Path(__file__).with_name("cluster.yaml"))
    make_roles(kubectl)
    return kubectl


@pytest.fixture
def control_plane(kubectl: Kubectl) -> Iterator[ControlPlane]:
    """Yield the programs of the cluster, which are mended afterwards."""
    control_plane = ControlPlane(kubectl.kubeconfig.parent)
    yield control_plane
    control_plane.mend()


@pytest.fixture
def operator(kubectl: Kubectl, tmp_path: Path) -> Iterator[OperatorProcess]:
    """Yield a running operator of the test's own, which must not have met anything that it did not expect."""
    with run_operator(kubectl, tmp_path) as operator:
        yield operator
        assert operator.is_healthy()
        assert "Traceback" not in operator.read_log()


@pytest.fixture
def models(kubectl: Kubectl) -> Iterator[ScoringModels]:
    """Yield the ScoringModels of a namespace of the test's own."""
    with open_namespace(kubectl, "faults") as models:
        yield models


@pytest.fixture
def api(kubectl: Kubectl) -> Iterator[httpx.Client]:
    """Yield the API server by plain HTTP."""
    with open_raw_api(kubectl) as client:
        yield client
