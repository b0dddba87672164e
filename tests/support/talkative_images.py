"""The image with the talkative model inside (tests/security/talkative), and an operator to serve it."""

import json

from kubectl import Kubectl
from local_clusters import ROOT, run_local_cluster
from samples.demo.clusters import Cluster
from samples.demo.install import install_operator

FOLDER = ROOT / "tests" / "security" / "talkative"
MODEL = {"uri": "file:///models/talkative", "format": "python"}


def load_talkative_image(cluster: Cluster) -> str:
    """Install the operator of this checkout, and put the image on the node; return its reference."""
    runtime = install_operator(cluster, ["sklearn"])["runtime-sklearn"]
    tag = "localhost/scoring-security-talkative"
    words = ("--dockerfile", str(FOLDER / "Dockerfile"), "--tag", tag, "--build-arg", f"BASE_IMAGE={runtime}")
    references: dict[str, str] = json.loads(run_local_cluster("load-image", *words, "--output", "json"))
    return references[tag]


def open_kubectl(cluster: Cluster) -> Kubectl:
    """Return kubectl for the cluster."""
    if cluster.kubeconfig is None:
        raise RuntimeError("the local cluster has a kubeconfig")
    return Kubectl(cluster.kubectl_program, cluster.kubeconfig)
