"""Images with a model inside, made on the image of this checkout's runtime, and an operator to serve them."""

import json

from local_clusters import ROOT, run_local_cluster
from samples.demo.clusters import Cluster
from samples.demo.install import install_operator

PATIENT = "scaling/patient"
"""Answers what it is sent, as slowly as it is told."""

TALKATIVE = "security/talkative"
"""Says what it should not."""

TALKATIVE_MODEL = {"uri": "file:///models/talkative", "format": "python"}


def load_model_image(cluster: Cluster, model: str) -> str:
    """Install the operator of this checkout, and put a model's image (a folder of `tests`) on the node; return its reference."""
    runtime = install_operator(cluster, ["sklearn"])["runtime-sklearn"]
    tag = f"localhost/scoring-{model.replace('/', '-')}"
    dockerfile = ROOT / "tests" / model / "Dockerfile"
    words = ("--dockerfile", str(dockerfile), "--tag", tag, "--build-arg", f"BASE_IMAGE={runtime}")
    references: dict[str, str] = json.loads(run_local_cluster("load-image", *words, "--output", "json"))
    return references[tag]
