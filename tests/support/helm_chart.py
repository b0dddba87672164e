"""Helm and the chart, as an administrator uses them."""

import subprocess
from collections.abc import Callable
from functools import cache
from typing import Any

import yaml

from local_clusters import ROOT, run_local_cluster

CHART = ROOT / "charts" / "scoring-operator"
KUBERNETES_VERSION = "1.36.0"
RELEASE = "scoring-operator"
NAMESPACE = "scoring-system"
REQUIRED_VALUES = (
    "--set=image.repository=registry.example.com/scoring-operator",
    "--set=runtimeImages.sklearn=registry.example.com/scoring-runtime-sklearn:0.1.0",
    "--set=runtimeImages.torch=registry.example.com/scoring-runtime-torch:0.1.0",
)

Manifest = dict[str, Any]
Helm = Callable[..., subprocess.CompletedProcess[str]]
Render = Callable[..., list[Manifest]]


@cache
def _find_helm() -> str:
    return run_local_cluster("program", "helm")


def run_helm(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run helm to its end, whatever that is."""
    return subprocess.run([_find_helm(), *arguments], capture_output=True, text=True, check=False, timeout=60)


def template_chart(*arguments: str, release: str = RELEASE) -> subprocess.CompletedProcess[str]:
    """Run `helm template` on the chart with the given values alone."""
    words = ("template", release, str(CHART), "--namespace", NAMESPACE, "--kube-version", KUBERNETES_VERSION)
    return run_helm(*words, *arguments)


def render_chart(*arguments: str, release: str = RELEASE) -> list[Manifest]:
    """Return all that the chart installs with the required values and the given ones; its hooks are no part of that."""
    return [body for body in render_everything(*arguments, release=release) if not find_hook(body)]


def render_everything(*arguments: str, release: str = RELEASE) -> list[Manifest]:
    """Return what the chart installs, and its hooks."""
    done = template_chart(*REQUIRED_VALUES, *arguments, release=release)
    if done.returncode != 0:
        raise ValueError(done.stderr)
    return [body for body in yaml.safe_load_all(done.stdout) if body]


def find_hook(body: Manifest) -> str | None:
    """Return the name of the hook that an object of the chart belongs to, such as pre-upgrade; None for what is installed."""
    hook: str | None = body["metadata"].get("annotations", {}).get("helm.sh/hook")
    return hook
