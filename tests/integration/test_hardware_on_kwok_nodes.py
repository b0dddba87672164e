"""Scarce hardware: GPUs that KWOK's nodes pretend to have are queued for, told of, and followed when their class changes.

The nodes and their GPUs are fake (nothing else can have GPUs here); the scheduler that hands them out is the real one.
"""

from collections.abc import Callable, Iterator
from functools import partial

import pytest

from kubectl import Kubectl, Manifest
from scoring_models import ScoringModels
from waiting import wait_for

GPU = "nvidia.com/gpu"
SERVED = {"uri": "file:///models/resnet152.tar", "format": "torch"}


def build_node(name: str, pool: str, gpus: int) -> Manifest:
    """Return a node of KWOK's with that many GPUs, kept for pods that tolerate its taint."""
    allocatable = {"cpu": "16", "memory": "64Gi", "pods": "100", GPU: str(gpus)}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "annotations": {"kwok.x-k8s.io/node": "fake"}, "labels": {"pool": pool}},
        "spec": {"taints": [{"key": GPU, "value": "present", "effect": "NoSchedule"}]},
        "status": {"allocatable": allocatable, "capacity": allocatable},
    }


def build_class(name: str, pool: str) -> Manifest:
    """Return a class with one GPU for each replica on the nodes of a pool."""
    spec = {
        "accelerator": {"resource": GPU, "count": 1},
        "resources": {"requests": {"cpu": "1", "memory": "1Gi"}},
        "nodeSelector": {"pool": pool},
        "tolerations": [{"key": GPU, "operator": "Exists", "effect": "NoSchedule"}],
    }
    return {"apiVersion": "scoring.dev/v1beta1", "kind": "HardwareClass", "metadata": {"name": name}, "spec": spec}


@pytest.fixture
def pool(models: ScoringModels, kubectl: Kubectl) -> Iterator[str]:
    """Yield the name of a class and of its pool, which has one node with two GPUs."""
    name = f"gpus-{models.kubectl.namespace[-8:]}"
    kubectl.apply(build_node(name, name, gpus=2), build_class(name, name))
    yield name
    models.kubectl("delete", "scoringmodels", "--all")
    kubectl("delete", "node,hardwareclass", name)


def give_gpus(kubectl: Kubectl, node: str, gpus: int) -> None:
    """Have a fake node pretend to that many GPUs."""
    amounts = {GPU: str(gpus)}
    kubectl.patch("node", node, {"status": {"allocatable": amounts, "capacity": amounts}}, "--subresource=status")


def read_status(kubectl: Kubectl, name: str) -> Manifest:
    """Return the status of a class."""
    status: Manifest = kubectl.get("hardwareclass", name).get("status", {})
    return status


def is_told(kubectl: Kubectl, name: str, **numbers: int) -> Callable[[], bool]:
    """Return the question whether a class's status tells these numbers."""

    def look() -> bool:
        status = read_status(kubectl, name)
        return {word: status.get(word) for word in numbers} == numbers

    return look


def test_more_models_than_fake_gpus_wait_and_say_so_until_one_is_freed(models: ScoringModels, pool: str) -> None:
    for number in range(2):
        models.apply(f"served-{number}", hardwareClass=pool, model=SERVED)
        models.wait_until_ready(f"served-{number}")
    models.apply("queued", hardwareClass=pool, model=SERVED)
    ready = models.wait_for_reason("Unschedulable", "queued")
    assert f"Insufficient {GPU}" in ready["message"]
    assert "A replica asks for cpu 1, memory 1Gi, nvidia.com/gpu 1" in ready["message"]
    models.kubectl("delete", "scoringmodel", "served-0")
    models.wait_until_ready("queued", timeout_seconds=120)


def test_class_tells_how_many_more_replicas_the_fake_nodes_take(
    models: ScoringModels, pool: str, kubectl: Kubectl
) -> None:
    wait_for(is_told(kubectl, pool, capacity=2, nodes=1, models=0, replicas=0), "room for two")
    models.apply("first", hardwareClass=pool, model=SERVED)
    wait_for(is_told(kubectl, pool, capacity=1, models=1, replicas=1, pending=0), "room for one")
    models.apply("second", hardwareClass=pool, model=SERVED, replicas=2)
    wait_for(is_told(kubectl, pool, capacity=0, models=2, replicas=2, pending=1), "one that waits")
    kubectl.patch("node", pool, {"spec": {"unschedulable": True}})
    wait_for(is_told(kubectl, pool, capacity=0, nodes=0), "a cordoned node to count no more")
    columns = kubectl("get", "hwc", pool, "-o", "wide").splitlines()
    assert columns[0].split() == [
        *("NAME", "DEFAULT", "CPU", "MEMORY", "ACCELERATOR", "COUNT", "FIT", "AGE"),
        *("MODELS", "REPLICAS", "PENDING", "NODES", "WAITING"),
    ]


def test_changed_class_is_followed_by_a_share_of_its_models_at_a_time(
    models: ScoringModels, pool: str, kubectl: Kubectl
) -> None:
    """Of three models one may roll out at a time; it cannot come up, so the other two stay as they are, until the class is put right."""
    give_gpus(kubectl, pool, 8)
    names = [f"model-{number}" for number in range(3)]
    for name in names:
        models.apply(name, hardwareClass=pool, model=SERVED)
        models.wait_until_ready(name)
    kubectl.patch("hardwareclass", pool, {"spec": {"nodeSelector": {"pool": "nowhere"}}})
    wait_for(is_told(kubectl, pool, rolling=1, waiting=2), "one that rolls out and two that wait")
    reasons = sorted(models.find_ready(name)["reason"] for name in names)
    assert reasons[0] in {"RollingOut", "Serving", "Unschedulable"}
    assert reasons.count("Serving") >= 2
    kubectl.patch("hardwareclass", pool, {"spec": {"nodeSelector": {"pool": pool}, "threads": 3}})
    for name in names:
        wait_for(partial(has_threads, models, name, "3"), f"{name} to follow", timeout_seconds=120)
        models.wait_until_ready(name)
    wait_for(is_told(kubectl, pool, rolling=0, waiting=0), "all to have followed")


def has_threads(models: ScoringModels, name: str, threads: str) -> bool:
    """Tell whether a model's pods are to have that number of threads."""
    container = models.kubectl.get("deployment", name)["spec"]["template"]["spec"]["containers"][0]
    return {"name": "SCORING_THREADS", "value": threads} in container["env"]


def test_change_of_a_model_itself_does_not_wait(models: ScoringModels, pool: str, kubectl: Kubectl) -> None:
    give_gpus(kubectl, pool, 8)
    for name in ("first", "second"):
        models.apply(name, hardwareClass=pool, model=SERVED)
        models.wait_until_ready(name)
    kubectl.patch("hardwareclass", pool, {"spec": {"nodeSelector": {"pool": "nowhere"}}})
    wait_for(is_told(kubectl, pool, rolling=1, waiting=1), "one that waits")
    kubectl.patch("hardwareclass", pool, {"spec": {"nodeSelector": {"pool": pool}}})
    for name in ("first", "second"):
        models.apply(name, hardwareClass=pool, model=SERVED, runtime={"env": [{"name": "A", "value": "b"}]})
        models.wait_until_ready(name, timeout_seconds=120)
