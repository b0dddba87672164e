"""Helm and the chart, as an administrator uses them."""

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
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


@pytest.fixture(scope="session")
def helm() -> Helm:
    """Return a function that runs helm to its end, whatever that is."""
    program = run_local_cluster("program", "helm")

    def run_helm(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([program, *arguments], capture_output=True, text=True, check=False, timeout=60)

    return run_helm


@pytest.fixture(scope="session")
def template(helm: Helm) -> Helm:
    """Return a function that runs `helm template` on the chart with the given values alone."""
    words = ("template", RELEASE, str(CHART), "--namespace", NAMESPACE, "--kube-version", KUBERNETES_VERSION)
    return lambda *arguments: helm(*words, *arguments)


@pytest.fixture(scope="session")
def render(template: Helm) -> Render:
    """Return a function that gives all that the chart makes of the required values and the given ones."""

    def render_chart(*arguments: str) -> list[Manifest]:
        done = template(*REQUIRED_VALUES, *arguments)
        assert done.returncode == 0, done.stderr
        return [body for body in yaml.safe_load_all(done.stdout) if body]

    return render_chart


@pytest.fixture(scope="session")
def manifests(render: Render) -> list[Manifest]:
    """Return all that the chart makes of the required values alone."""
    return render()


@pytest.fixture
def chart() -> Path:
    """Return the chart's folder."""
    return CHART
