"""Helm and the chart, as fixtures."""

from pathlib import Path

import pytest

from helm_chart import CHART, Helm, Manifest, Render, render_chart, run_helm, template_chart


@pytest.fixture(scope="session")
def helm() -> Helm:
    """Return a function that runs helm to its end, whatever that is."""
    return run_helm


@pytest.fixture(scope="session")
def template() -> Helm:
    """Return a function that runs `helm template` on the chart with the given values alone."""
    return template_chart


@pytest.fixture(scope="session")
def render() -> Render:
    """Return a function that gives all that the chart makes of the required values and the given ones."""
    return render_chart


@pytest.fixture(scope="session")
def manifests(render: Render) -> list[Manifest]:
    """Return all that the chart makes of the required values alone."""
    return render()


@pytest.fixture
def chart() -> Path:
    """Return the chart's folder."""
    return CHART
