"""What keeps endpoints safe, against the real parts. Not part of `make test`: programs are built once, and it takes minutes."""

import pytest

from local_clusters import run_local_cluster
from samples.demo.clusters import CLUSTER_NAME, Choice, Cluster, open_cluster


@pytest.fixture(scope="session")
def cluster() -> Cluster:
    """Return the cluster with the real node (root)."""
    run_local_cluster("up", "--name", CLUSTER_NAME)
    return open_cluster(Choice.LOCAL)
