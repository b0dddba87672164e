"""What keeps endpoints safe, against the real parts. Not part of `make test`: programs are built once, and it takes minutes."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from certificate_authorities import CertificateAuthority
from local_clusters import open_kubectl, run_local_cluster
from model_images import PATIENT, load_model_image
from samples.demo.clusters import CLUSTER_NAME, Choice, Cluster, open_cluster
from scoring_models import ScoringModels, open_namespace
from visitors import Visitor


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
    return load_model_image(cluster, PATIENT)


@pytest.fixture(scope="module")
def models(cluster: Cluster, image: str) -> Iterator[ScoringModels]:
    """Yield the ScoringModels of a namespace under the restricted standard, with the operator in the cluster."""
    del image
    with open_namespace(open_kubectl(cluster), "routes") as models:
        own = models.kubectl
        own("label", "namespace", own.namespace, "pod-security.kubernetes.io/enforce=restricted")
        yield models


@pytest.fixture(scope="module")
def domain(models: ScoringModels) -> str:
    """Return the domain of the test's hosts."""
    return f"{models.kubectl.namespace}.example.com"
