"""A control plane that dies, stalls and comes back: the operator lives on, asks no more than it should, and makes good what has changed."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest

from control_planes import ControlPlane
from kubectl import Kubectl, KubectlError
from operator_clusters import open_proxy
from operator_processes import OperatorProcess
from scoring_models import ScoringModels
from waiting import wait_for

MODELS = 20
READY_SECONDS = 300.0
OUTAGE_SECONDS = 30.0
REQUESTS_WHILE_STALLED = 60
"""Of an operator with a dozen watches, a resync every 5 s and children to write: what it asks in the time of the outage, at most. A hot loop asks thousands."""


def make_models(models: ScoringModels) -> list[str]:
    """Make some models, wait until they are ready and return their names."""
    names = [f"faq-{number}" for number in range(MODELS)]
    models.kubectl.apply(*(models.build(name) for name in names))
    for name in names:
        models.wait_until_ready(name, READY_SECONDS)
    return names


@contextmanager
def changed(models: ScoringModels, names: list[str]) -> Iterator[None]:
    """Change models and their children before and after what happens in between, and wait until all is made good."""
    for name in names[:5]:
        models.kubectl("scale", "scoringmodel", name, "--replicas=2")
    models.kubectl("delete", "deployment", *names[5:7], "--wait=false")
    yield
    models.kubectl("delete", "service", *names[7:9])
    models.kubectl("delete", "scoringmodel", *names[9:11], "--wait=false")
    models.apply("new")
    for name in ("new", *names[:9]):
        models.wait_until_ready(name, READY_SECONDS)
        wait_for(partial(models.kubectl.find, "service", name), f"Service {name}", READY_SECONDS)
    for name in names[:5]:
        wait_for(partial(has_two_replicas, models, name), f"two replicas of {name}", READY_SECONDS)
    for name in names[9:11]:
        wait_for(partial(is_gone, models, name), f"the children of {name} to go", READY_SECONDS)


def has_two_replicas(models: ScoringModels, name: str) -> bool:
    """Tell whether a model says that it has two replicas, both ready."""
    return bool(models.find_ready(name).get("message") == "2 of 2 replicas ready.")


def is_gone(models: ScoringModels, name: str) -> bool:
    """Tell whether a model's Deployment is gone."""
    return models.kubectl.find("deployment", name) is None


def is_answering(kubectl: Kubectl) -> bool:
    """Tell whether the API server answers."""
    try:
        return bool(kubectl("get", "--raw", "/readyz", "--request-timeout=5s"))
    except KubectlError:
        return False


@pytest.mark.parametrize("program", ["kube-apiserver", "etcd"])
def test_program_of_the_control_plane_is_killed_and_comes_back(
    models: ScoringModels, operator: OperatorProcess, control_plane: ControlPlane, program: str
) -> None:
    with changed(models, make_models(models)):
        control_plane.kill(program)
        wait_for(lambda: not is_answering(models.kubectl), "the API server to be gone")
        assert operator.is_healthy()
        control_plane.mend()
        assert operator.is_healthy()
    assert operator.is_alive()


def test_storage_that_stalls_for_half_a_minute_makes_nobody_hot(
    kubectl: Kubectl, models: ScoringModels, control_plane: ControlPlane, tmp_path: Path
) -> None:
    with open_proxy(kubectl, tmp_path) as (proxy, operator):
        operator.start(resync_seconds=5.0)
        with changed(models, make_models(models)):
            with control_plane.paused("etcd"):
                stalled, requests = time.monotonic(), proxy.requests
                wait_for(lambda: time.monotonic() - stalled > OUTAGE_SECONDS, "the time of the outage", 60.0)
                requests = proxy.requests - requests
                assert operator.is_healthy()
            control_plane.mend()
        assert operator.is_healthy()
        assert requests <= REQUESTS_WHILE_STALLED
        assert "Traceback" not in operator.read_log()
