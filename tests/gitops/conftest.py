"""A real API server with KWOK's fake nodes, Flux's kustomize-controller, and the operator as a process of this machine.

The cluster is named `gitops`; SCORING_TEST_KUBECONFIG names another one instead, a local one with the add-on flux.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from flux_kustomizations import Flux
from git_repositories import GitSource
from kubectl import Kubectl
from local_clusters import ROOT
from operator_clusters import prepare_cluster
from operator_processes import OperatorProcess
from scoring_models import ScoringModels, open_namespace


@pytest.fixture(scope="session")
def kubectl() -> Kubectl:
    """Return kubectl for the cluster, with our CRDs, two hardware classes and a fake node in it."""
    return prepare_cluster("gitops", ROOT / "tests" / "integration" / "cluster.yaml", "flux")


@pytest.fixture(scope="session")
def operator(kubectl: Kubectl, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OperatorProcess]:
    """Yield a running operator; a test that stops it starts it again."""
    process = OperatorProcess(kubectl, tmp_path_factory.mktemp("operator") / "operator.log")
    process.start()
    yield process
    process.stop()


@pytest.fixture
def models(kubectl: Kubectl, operator: OperatorProcess) -> Iterator[ScoringModels]:
    """Yield the ScoringModels of a namespace of the test's own, with the operator running."""
    del operator
    with open_namespace(kubectl, "gitops") as models:
        yield models


@pytest.fixture
def flux(models: ScoringModels, tmp_path: Path) -> Iterator[Flux]:
    """Yield Flux's part of that namespace: a repository, of which nothing is applied yet."""
    flux = Flux(models.kubectl)
    flux.make_repository()
    flux.source = GitSource(models.kubectl, flux.repository, tmp_path)
    yield flux
    flux.source.close()
