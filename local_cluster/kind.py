"""The short way for people with a container engine: kind makes the cluster, Docker builds the images.

Small on purpose: what kind does itself is not done again here. It cannot run on a machine without such an engine.
"""

import os
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from local_cluster.base_image import OFFICIAL
from local_cluster.builder import Build
from local_cluster.commands import run, try_run
from local_cluster.errors import ImageNotBuilt, MachineNotReady
from local_cluster.processes import log_tail
from local_cluster.releases import METRICS_SERVER
from local_cluster.state import Cluster, remove_folder

NODE_IMAGE = "docker.io/kindest/node:v1.36.4@sha256:099e049362a1526b2db71494e1947aae99bd16290d7c895f2b7ea312e3cbfaed"
"""Kubernetes 1.36 of kind v0.33.0, from its release notes: each kind has node images of its own, so SCORING_KIND_IMAGE
overrides it for another one."""

METRICS_MANIFEST = (
    f"https://github.com/kubernetes-sigs/metrics-server/releases/download/{METRICS_SERVER.version}/components.yaml"
)
METRICS_PATCH = '[{"op": "add", "path": "/spec/template/spec/containers/0/args/-", "value": "--kubelet-insecure-tls"}]'


def find_kind_problems() -> list[str]:
    """What the machine lacks for kind, in sentences; empty when nothing is missing."""
    remedies = {
        "docker": "install Docker, https://docs.docker.com/engine/install",
        "kind": "install kind, https://kind.sigs.k8s.io/docs/user/quick-start",
        "kubectl": "install kubectl, https://kubernetes.io/docs/tasks/tools",
    }
    problems = [f"{name} is not on the path: {remedy}" for name, remedy in remedies.items() if not shutil.which(name)]
    if shutil.which("docker") and try_run(["docker", "info"], timeout_seconds=10) is None:
        problems.append("docker is installed, but its engine does not answer: start it (`docker info` must work)")
    return problems


def check_kind() -> None:
    """MachineNotReady with everything that is missing."""
    if problems := find_kind_problems():
        raise MachineNotReady(problems)


def create_commands(cluster: Cluster) -> list[list[str]]:
    """The commands that make the cluster and give it metrics."""
    kubectl = ["kubectl", "--kubeconfig", str(cluster.kubeconfig)]
    patch = ["deployment/metrics-server", "--namespace", "kube-system", "--type", "json", "--patch", METRICS_PATCH]
    image = os.environ.get("SCORING_KIND_IMAGE", NODE_IMAGE)
    place = ["--name", cluster.name, "--kubeconfig", str(cluster.kubeconfig)]
    return [
        ["kind", "create", "cluster", *place, "--image", image, "--wait", "180s"],
        [*kubectl, "apply", "--filename", METRICS_MANIFEST],
        [*kubectl, "patch", *patch],
    ]


def delete_command(cluster: Cluster) -> list[str]:
    """The command that removes the cluster."""
    return ["kind", "delete", "cluster", "--name", cluster.name, "--kubeconfig", str(cluster.kubeconfig)]


def is_up(cluster: Cluster) -> bool:
    """Whether kind knows the cluster."""
    return cluster.name in (try_run(["kind", "get", "clusters"]) or "").split()


def bring_up_kind(cluster: Cluster) -> None:
    """Make the cluster unless it is there; MachineNotReady when kind cannot run here."""
    check_kind()
    if is_up(cluster):
        return
    cluster.folder.mkdir(parents=True, exist_ok=True)
    for command in create_commands(cluster):
        run(command, timeout_seconds=900)


def bring_down_kind(cluster: Cluster) -> None:
    """Remove the cluster; nothing happens when it is not there."""
    check_kind()
    run(delete_command(cluster), timeout_seconds=300)
    remove_folder(cluster.folder)


@dataclass(frozen=True)
class KindNode:
    """A kind cluster as a place for images that Docker builds."""

    cluster: Cluster

    def base(self, report: Callable[[str], None]) -> str:
        """The official image; Docker pulls it when it builds."""
        report("")
        return OFFICIAL

    def is_built(self, reference: str) -> bool:
        """Whether Docker has the image."""
        return try_run(["docker", "image", "inspect", reference]) is not None

    def build(self, build: Build, log: Path) -> None:
        """Build an image with Docker; ImageNotBuilt with the end of the log when that fails."""
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("wb") as output:
            result = subprocess.run(build_command(build), stdout=output, stderr=output, check=False)
        if result.returncode != 0:
            raise ImageNotBuilt(f"{build.reference}: docker failed; the end of {log}:\n{log_tail(log, 25)}")

    def has(self, reference: str) -> bool:
        """Whether kind's node has the image."""
        listed = try_run(["docker", "exec", f"{self.cluster.name}-control-plane", "crictl", "inspecti", reference])
        return listed is not None

    def load(self, reference: str) -> None:
        """Copy an image into kind's node."""
        run(load_command(self.cluster, reference), timeout_seconds=1800)

    def remove_others(self, repository: str, kept: str) -> None:
        """Keep an image and the newest of the repository's others; Docker lists the newest first."""
        listed = try_run(["docker", "image", "ls", "--format", "{{.Repository}}:{{.Tag}}", repository]) or ""
        others = [reference for reference in listed.split() if reference != kept]
        for reference in others[1:]:
            try_run(["docker", "image", "rm", reference])


def build_command(build: Build) -> list[str]:
    """Docker's command line for a build."""
    arguments = [word for key, value in sorted(build.arguments.items()) for word in ("--build-arg", f"{key}={value}")]
    return [
        *("docker", "build", "--file", str(build.dockerfile), "--tag", build.reference),
        *arguments,
        str(build.context),
    ]


def load_command(cluster: Cluster, reference: str) -> list[str]:
    """The command that copies an image into kind's node."""
    return ["kind", "load", "docker-image", reference, "--name", cluster.name]
