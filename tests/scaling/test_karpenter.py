"""Karpenter adds a GPU node for what is pending, and removes it when nothing needs it any more."""

from collections.abc import Iterator
from functools import partial

import pytest

from kubectl import Kubectl, Manifest
from measured_values import MeasuredValue
from scaled_objects import ask_http, build_scaled_object, wait_for_pods
from scoring_models import ScoringModels
from waiting import wait_for

GPU = "nvidia.com/gpu"
POD = {
    "containers": [{"name": "worker", "image": "localhost/none", "resources": {"limits": {GPU: 1}}}],
    "tolerations": [{"key": GPU, "operator": "Exists", "effect": "NoSchedule"}],
}
REMOVAL_SECONDS = 120.0


def find_nodes(kubectl: Kubectl) -> list[Manifest]:
    """Return the nodes that Karpenter has made of the pool."""
    return kubectl.list("nodes", "-l", "karpenter.sh/nodepool=gpu")


@pytest.fixture(autouse=True)
def no_node_left(kubectl: Kubectl) -> Iterator[None]:
    """Start each test without a GPU node, and leave none."""
    wait_for(lambda: not find_nodes(kubectl), "no GPU node", REMOVAL_SECONDS)
    yield
    wait_for(lambda: not find_nodes(kubectl), "the idle GPU node to be removed", REMOVAL_SECONDS)


def is_running(kubectl: Kubectl, pod: str) -> bool:
    return bool(kubectl.get("pod", pod)["status"].get("phase") == "Running")


def test_pending_pod_gets_a_node_with_a_gpu_which_goes_when_idle(kubectl: Kubectl, namespace: Kubectl) -> None:
    namespace.apply({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "worker"}, "spec": POD})
    wait_for(partial(is_running, namespace, "worker"), "the pod to run")
    [node] = find_nodes(kubectl)
    assert node["status"]["allocatable"][GPU] == "1"
    assert namespace.get("pod", "worker")["spec"]["nodeName"] == node["metadata"]["name"]
    namespace("delete", "pod", "worker")
    wait_for(lambda: not find_nodes(kubectl), "the idle node to be removed", REMOVAL_SECONDS)


def test_gpu_model_gets_a_node_and_its_deletion_gives_it_back(kubectl: Kubectl, models: ScoringModels) -> None:
    assert find_nodes(kubectl) == []
    models.apply(hardwareClass="gpu")
    models.wait_until_ready()
    [node] = find_nodes(kubectl)
    pods = models.kubectl.list("pods")
    assert [pod["spec"]["nodeName"] for pod in pods] == [node["metadata"]["name"]]
    models.kubectl("delete", "scoringmodel", "faq")
    wait_for(lambda: not find_nodes(kubectl), "the idle node to be removed", REMOVAL_SECONDS)


def test_gpu_model_scaled_from_zero_by_keda_has_nodes_only_while_requests_wait(
    kubectl: Kubectl, models: ScoringModels, waiting: MeasuredValue
) -> None:
    models.apply(hardwareClass="gpu", replicas=0)
    models.kubectl.apply(build_scaled_object(models.build(), ask_http(waiting)))
    models.wait_for_reason("ScaledToZero")
    assert find_nodes(kubectl) == []
    waiting.value = 2
    wait_for_pods(models.kubectl, 2)
    gpus = sum(int(node["status"]["allocatable"][GPU]) for node in find_nodes(kubectl))
    assert gpus >= 2
    waiting.value = 0
    models.wait_for_reason("ScaledToZero")
    wait_for(lambda: not find_nodes(kubectl), "the idle nodes to be removed", REMOVAL_SECONDS)


def test_gpu_model_is_unschedulable_until_its_node_is_there(kubectl: Kubectl, models: ScoringModels) -> None:
    kubectl.patch("nodepool", "gpu", {"spec": {"limits": {GPU: "0"}}})
    try:
        models.apply(hardwareClass="gpu")
        models.wait_for_reason("Unschedulable")
        assert find_nodes(kubectl) == []
    finally:
        kubectl.patch("nodepool", "gpu", {"spec": {"limits": None}})
    models.wait_until_ready(timeout_seconds=120)
    models.kubectl("delete", "scoringmodel", "faq")
