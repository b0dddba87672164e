"""What keeps endpoints safe, against the real parts. Not part of `make test`: programs are built once, and it takes minutes."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from certificate_authorities import CertificateAuthority
from kubectl import Kubectl
from local_clusters import ROOT, run_local_cluster
from samples.demo.clusters import CLUSTER_NAME, Choice, Cluster, open_cluster
from samples.demo.install import install_operator
from scoring_models import ScoringModels, open_namespace
from visitors import Visitor

FOLDER = ROOT / "tests" / "scaling" / "patient"
"""A model that answers what it is sent, in an image of its own."""


@pytest.fixture(scope="session")
def cluster() -> Cluster:
    """Return the cluster with the real node (root)."""
    run_local_cluster("up", "--name", CLUSTER_NAME)
    return open_cluster(Choice.LOCAL)


@pytest.fixture(scope="module")
def authority() -> CertificateAuthority:
    """Return the authority that the visitor trusts."""
    return CertificateAuthority()


@pytest.fixture(scope="module")
def visitor(cluster: Cluster, authority: CertificateAuthority, tmp_path_factory: pytest.TempPathFactory) -> Visitor:
    """Return somebody outside the cluster, whose way in is Traefik."""
    del cluster
    run_local_cluster("up", "--name", CLUSTER_NAME, "--with", "traefik")
    file: Path = tmp_path_factory.mktemp("authority") / "ca.crt"
    file.write_text(authority.certificate)
    ports = json.loads(run_local_cluster("status", "--name", CLUSTER_NAME, "--output", "json"))["ports"]
    return Visitor(ports["traefik"], ports["traefik/https"], file)


@pytest.fixture(scope="module")
def image(cluster: Cluster) -> str:
    """Install the operator of this checkout; return the image with the model inside."""
    runtime = install_operator(cluster, ["sklearn"])["runtime-sklearn"]
    tag = "localhost/scoring-security-patient"
    words = ("--dockerfile", str(FOLDER / "Dockerfile"), "--tag", tag, "--build-arg", f"BASE_IMAGE={runtime}")
    references: dict[str, str] = json.loads(run_local_cluster("load-image", *words, "--output", "json"))
    return references[tag]


@pytest.fixture(scope="module")
def models(cluster: Cluster, image: str) -> Iterator[ScoringModels]:
    """Yield the ScoringModels of a namespace under the restricted standard, with the operator in the cluster."""
    del image
    if cluster.kubeconfig is None:
        raise RuntimeError("the local cluster has a kubeconfig")
    with open_namespace(Kubectl(cluster.kubectl_program, cluster.kubeconfig), "routes") as models:
        own = models.kubectl
        own("label", "namespace", own.namespace, "pod-security.kubernetes.io/enforce=restricted")
        yield models


@pytest.fixture(scope="module")
def domain(models: ScoringModels) -> str:
    """Return the domain of the test's hosts."""
    return f"{models.kubectl.namespace}.example.com"
