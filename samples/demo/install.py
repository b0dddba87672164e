"""Installs the operator of this checkout on a cluster: images, CRDs and the Helm chart."""

import json
from collections.abc import Mapping, Sequence

from local_cluster.steps import step
from samples.demo.clusters import ROOT, Cluster

NAMESPACE = "scoring-system"
RELEASE = "scoring-operator"
CHART = ROOT / "charts" / "scoring-operator"
RUNTIME_PREFIX = "runtime-"
FETCH = "fetch"


def install_operator(cluster: Cluster, formats: Sequence[str]) -> dict[str, str]:
    """Build or find the images, and install or upgrade the operator and its CRDs; return the images' references by name.

    formats: the model formats whose runtime images are wanted, such as sklearn and torch.
    """
    names = (*formats, *(() if FETCH in formats else (FETCH,)))
    images = cluster.load_images(["operator", *(f"{RUNTIME_PREFIX}{name}" for name in names)])
    with step("operator installed by the Helm chart"):
        cluster.helm(
            "upgrade", "--install", RELEASE, str(CHART), "--namespace", NAMESPACE, "--create-namespace",
            *build_values(images), "--wait", "--timeout", "5m",
        )  # fmt: skip
    return images


def build_values(images: Mapping[str, str]) -> list[str]:
    """Return helm's arguments that name the images."""
    repository, _, tag = images["operator"].rpartition(":")
    runtimes = {
        name.removeprefix(RUNTIME_PREFIX): image for name, image in images.items() if name.startswith(RUNTIME_PREFIX)
    }
    values = {"image.repository": repository, "image.tag": tag, "runtimeImages": runtimes}
    return [word for name, value in values.items() for word in ("--set-json", f"{name}={json.dumps(value)}")]
