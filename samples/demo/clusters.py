"""The cluster that the demo and the end-to-end tests run on: kubectl, helm and images, wherever they come from.

`local` is the project's own (see docs/local-cluster.md), `kind` one in a container engine, `current` whatever kubectl points to now.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from local_cluster.commands import run

ROOT = Path(__file__).parents[2]
CLUSTER_NAME = "scoring"


class DemoError(Exception):
    """The demo cannot go on; the text says why and what to do."""


class Choice(StrEnum):
    """Which cluster to use."""

    LOCAL = "local"
    KIND = "kind"
    CURRENT = "current"


@dataclass(frozen=True)
class Cluster:
    """A running cluster and the two programs that speak to it."""

    choice: Choice
    kubectl_program: str
    helm_program: str
    kubeconfig: Path | None

    @property
    def shell_setup(self) -> str | None:
        """What a user types once so that `kubectl` speaks to this cluster; None when it does already."""
        if self.kubeconfig is None:
            return None
        return f"export KUBECONFIG={self.kubeconfig} PATH={Path(self.kubectl_program).parent}:$PATH"

    def build_command(self, program: str, arguments: Sequence[str]) -> list[str]:
        """Return a command line of kubectl or helm for this cluster."""
        return [program, *([] if self.kubeconfig is None else ["--kubeconfig", str(self.kubeconfig)]), *arguments]

    def kubectl(self, *arguments: str, text_input: str | None = None) -> str:
        """Return what kubectl prints; raises CommandFailed."""
        return run(self.build_command(self.kubectl_program, arguments), text_input=text_input)

    def helm(self, *arguments: str) -> str:
        """Return what helm prints; raises CommandFailed."""
        return run(self.build_command(self.helm_program, arguments))

    def load_images(self, names: Sequence[str]) -> dict[str, str]:
        """Build images and put them on the cluster's nodes; return their references by name.

        A cluster that is not ours has to pull them: their references are read from IMAGES, as JSON.
        """
        if self.choice is Choice.CURRENT:
            return find_published_images(names)
        provider = ["--provider", self.choice.value, "--name", CLUSTER_NAME]
        references: dict[str, str] = json.loads(run_local_cluster("load-image", *names, *provider, "--output", "json"))
        return references


def open_cluster(choice: Choice, addons: Sequence[str] = ()) -> Cluster:
    """Return the chosen cluster, brought up if it is one of ours; the project's own with these add-ons."""
    if choice is Choice.CURRENT:
        return Cluster(choice, find_program("kubectl"), find_program("helm"), None)
    provider = ["--provider", choice.value, "--name", CLUSTER_NAME]
    run_local_cluster("up", *provider, *(word for addon in addons for word in ("--with", addon)))
    kubeconfig = Path(run_local_cluster("kubeconfig", *provider).strip())
    kubectl, helm = (run_local_cluster("program", name).strip() for name in ("kubectl", "helm"))
    return Cluster(choice, kubectl, helm, kubeconfig)


def find_prometheus() -> str:
    """Return the address of the Prometheus of the project's own cluster."""
    parts = json.loads(run_local_cluster("status", "--name", CLUSTER_NAME, "--output", "json"))["parts"]
    return next(f"http://{part['address']}" for part in parts if part["name"] == "prometheus")


def run_local_cluster(*arguments: str) -> str:
    """Return what `python -m local_cluster` prints; its progress goes to the terminal."""
    done = subprocess.run(
        [sys.executable, "-m", "local_cluster", *arguments], cwd=ROOT, stdout=subprocess.PIPE, text=True, check=False
    )
    if done.returncode != 0:
        raise DemoError(f"`python -m local_cluster {' '.join(arguments)}` did not work; it says why above.")
    return done.stdout


def find_program(name: str) -> str:
    """Return the path of a program that the user has to have."""
    path = shutil.which(name)
    if path is None:
        raise DemoError(
            f"{name} is needed for CLUSTER=current and is not on the PATH; install it, or leave CLUSTER out."
        )
    return path


def find_published_images(names: Sequence[str]) -> dict[str, str]:
    """Return the references of images that a registry has, from the environment variable IMAGES."""
    example = json.dumps({name: f"registry.example.com/{name}:0.1.0" for name in names})
    try:
        images: dict[str, str] = json.loads(os.environ["IMAGES"])
        return {name: images[name] for name in names}
    except (KeyError, ValueError) as error:
        message = f"with CLUSTER=current the cluster has to pull the images: push them, and set IMAGES to JSON such as {example}."
        raise DemoError(message) from error
