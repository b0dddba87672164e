"""What keeps endpoints safe, against the real parts. Not part of `make test`: programs are built once, and it takes minutes."""

import json
from pathlib import Path

import pytest

from certificate_authorities import CertificateAuthority
from local_clusters import run_local_cluster
from samples.demo.clusters import CLUSTER_NAME, Choice, Cluster, open_cluster
from visitors import Visitor


@pytest.fixture(scope="session")
def cluster() -> Cluster:
    """Return the cluster with the real node (root), with Traefik as its ingress and Gateway controller."""
    run_local_cluster("up", "--name", CLUSTER_NAME, "--with", "traefik")
    return open_cluster(Choice.LOCAL)


@pytest.fixture(scope="session")
def authority() -> CertificateAuthority:
    """Return the authority that the visitor trusts."""
    return CertificateAuthority()


@pytest.fixture(scope="session")
def visitor(cluster: Cluster, authority: CertificateAuthority, tmp_path_factory: pytest.TempPathFactory) -> Visitor:
    """Return somebody outside the cluster, whose way in is Traefik."""
    del cluster
    file: Path = tmp_path_factory.mktemp("authority") / "ca.crt"
    file.write_text(authority.certificate)
    ports = json.loads(run_local_cluster("status", "--name", CLUSTER_NAME, "--output", "json"))["ports"]
    return Visitor(ports["traefik"], ports["traefik/https"], file)
