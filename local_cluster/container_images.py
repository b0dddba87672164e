"""Moves images from the build store into the containerd of a real node, without a registry or a file in between."""

import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from local_cluster.base_image import ensure_base
from local_cluster.builder import (
    Build,
    build_environment,
    build_image,
    buildah,
    has_image,
    list_images,
    lock_path,
    remove_image,
)
from local_cluster.commands import run, try_run
from local_cluster.errors import ImageNotBuilt
from local_cluster.locks import lock
from local_cluster.machine import BUSYBOX
from local_cluster.node_configuration import PAUSE_IMAGE
from local_cluster.state import REPOSITORY, Cluster, cache_folder


def ctr(cluster: Cluster, *arguments: str) -> list[str | Path]:
    """A command line of containerd's own client, for the images and containers of Kubernetes."""
    return ["ctr", "--address", cluster.containerd_socket, "--namespace", "k8s.io", *arguments]


def node_images(cluster: Cluster, repository: str = "") -> list[str]:
    """References of the node's images, those of one repository or all."""
    references = run(ctr(cluster, "images", "list", "--quiet")).split()
    return [reference for reference in references if reference.startswith(f"{repository}:" if repository else "")]


def import_image(cluster: Cluster, reference: str) -> None:
    """Stream an image of the build store into containerd; ImageNotBuilt when either side fails."""
    sending = [str(word) for word in buildah("push", reference, f"docker-archive:/dev/stdout:{reference}")]
    receiving = [str(word) for word in ctr(cluster, "images", "import", "--base-name", "localhost", "-")]
    log = cache_folder() / "images" / "push.log"
    with log.open("wb") as errors:
        sender = subprocess.Popen(
            sending, env=build_environment(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors
        )
        with sender:
            receiver = subprocess.run(receiving, stdin=sender.stdout, capture_output=True, text=True, check=False)
    if sender.returncode != 0 or receiver.returncode != 0:
        raise ImageNotBuilt(f"{reference} did not reach the node: {log.read_text()[-800:]} {receiver.stderr[-800:]}")


@dataclass(frozen=True)
class RealNode:
    """The containerd of a cluster's real node, as a place for images."""

    cluster: Cluster

    def base(self, report: Callable[[str], None]) -> str:
        """Make or pull the base image; its reference."""
        return ensure_base(report)

    def is_built(self, reference: str) -> bool:
        """Whether buildah's store has the image."""
        return has_image(reference)

    def build(self, build: Build, log: Path) -> None:
        """Build an image with buildah."""
        build_image(build, log)

    def has(self, reference: str) -> bool:
        """Whether the node has the image."""
        return reference in node_images(self.cluster)

    def load(self, reference: str) -> None:
        """Stream an image of the store to the node."""
        import_image(self.cluster, reference)

    def remove_others(self, repository: str, kept: str) -> None:
        """Keep an image and the newest of the repository's others, in the store and on the node."""
        others = [reference for reference in list_images(repository) if reference != kept]
        for reference in others[1:]:
            remove_image(reference)
        for reference in node_images(self.cluster, repository):
            if reference not in (kept, *others[:1]):
                try_run(ctr(self.cluster, "images", "remove", reference))


def ensure_pause_image(cluster: Cluster, report: Callable[[str], None]) -> None:
    """Put the image that every pod's sandbox runs on the node."""
    if PAUSE_IMAGE not in node_images(cluster):
        with lock(lock_path(), report):
            _load_pause_image(cluster)


def _load_pause_image(cluster: Cluster) -> None:
    if not has_image(PAUSE_IMAGE):
        folder = REPOSITORY / "local_cluster" / "pause"
        build_image(Build(folder / "Dockerfile", BUSYBOX.parent, PAUSE_IMAGE), cache_folder() / "images" / "pause.log")
    import_image(cluster, PAUSE_IMAGE)
