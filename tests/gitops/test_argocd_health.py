"""Argo CD's health of real objects in every state, by the Lua of the sample in a Lua 5.1 interpreter."""

from collections.abc import Iterator

import pytest

from argocd_health import tell_health
from kubectl import Kubectl, Manifest
from operator_processes import OperatorProcess
from scoring_models import ScoringModels
from waiting import wait_for

CLASS = "told-to-argocd"
FINALIZER = {"metadata": {"finalizers": ["example.com/wait"]}}


def read(models: ScoringModels, name: str = "faq") -> Manifest:
    return models.kubectl.get("scoringmodel", name)


@pytest.fixture
def resting(operator: OperatorProcess) -> Iterator[None]:
    """Have the operator rest during a test."""
    operator.stop()
    yield
    operator.start()


def build_class() -> Manifest:
    spec = {"resources": {"requests": {"cpu": "1"}, "limits": {"cpu": "1", "memory": "1Gi"}}}
    return {"apiVersion": "scoring.dev/v1beta1", "kind": "HardwareClass", "metadata": {"name": CLASS}, "spec": spec}


@pytest.fixture
def hardware(kubectl: Kubectl, operator: OperatorProcess) -> Iterator[str]:
    """Yield the name of a HardwareClass that the operator has told of."""
    del operator
    kubectl.apply(build_class())
    wait_for(lambda: "capacity" in kubectl.get("hardwareclass", CLASS).get("status", {}), "the class's status")
    yield CLASS
    kubectl("delete", "hardwareclass", CLASS, "--ignore-not-found")


def test_new_model_that_nobody_has_seen_is_progressing(resting: None, models: ScoringModels) -> None:
    del resting
    models.apply()
    assert tell_health(read(models)) == ("Progressing", "Waiting for the operator")
    assert tell_health({**read(models), "status": {}})[0] == "Progressing"


def test_ready_model_is_healthy_and_says_how_many_replicas(models: ScoringModels) -> None:
    models.apply(replicas=2)
    models.wait_until_ready()
    assert tell_health(read(models)) == ("Healthy", "2 of 2 replicas ready.")


def test_model_on_its_way_is_progressing_with_its_reason(models: ScoringModels) -> None:
    models.apply(hardwareClass="gpu")
    models.wait_for_reason("Unschedulable")
    status, message = tell_health(read(models))
    assert status == "Progressing"
    assert message.startswith("No node takes a replica")


def test_stalled_model_is_degraded_with_its_remedy(models: ScoringModels) -> None:
    models.apply(hardwareClass="nowhere")
    models.wait_for_reason("HardwareClassNotFound")
    status, message = tell_health(read(models))
    assert status == "Degraded"
    assert "change spec.hardwareClass" in message


def test_ready_model_that_is_changed_is_progressing_until_the_operator_has_seen_it(
    models: ScoringModels, operator: OperatorProcess
) -> None:
    models.apply()
    models.wait_until_ready()
    operator.stop()
    try:
        models.kubectl.patch("scoringmodel", "faq", {"spec": {"runtime": {"env": [{"name": "A", "value": "b"}]}}})
        assert tell_health(read(models)) == ("Progressing", "Waiting for the operator")
    finally:
        operator.start()
    models.wait_until_ready()
    assert tell_health(read(models))[0] == "Healthy"


def test_model_scaled_to_zero_is_healthy(models: ScoringModels) -> None:
    models.apply(replicas=0)
    models.wait_for_reason("ScaledToZero")
    assert tell_health(read(models))[0] == "Healthy"


def test_model_that_is_being_deleted_is_progressing(models: ScoringModels) -> None:
    models.apply()
    models.wait_until_ready()
    models.kubectl.patch("scoringmodel", "faq", FINALIZER)
    models.kubectl("delete", "scoringmodel", "faq", "--wait=false")
    assert tell_health(read(models)) == ("Progressing", "Being deleted")
    models.kubectl.patch("scoringmodel", "faq", {"metadata": {"finalizers": None}})


def test_route_and_autoscaler_that_do_not_work_are_remarks(models: ScoringModels) -> None:
    metrics = [{"type": "memory", "target": 80}]
    endpoint = {"host": "faq.example.com", "ingressClassName": "nowhere"}
    models.apply(autoscaling={"maxReplicas": 2, "metrics": metrics}, endpoint=endpoint)
    models.wait_until_ready()
    wait_for(lambda: models.find_condition("RouteReady"), "the condition of the route")
    # KWOK's pods have no metrics, which is told after a minute.
    wait_for(lambda: models.find_condition("ScalingInactive"), "the condition of the autoscaler", 180)
    status, message = tell_health(read(models))
    assert status == "Healthy"
    assert message.startswith("1 of 1 replicas ready. ")
    assert " Route: IngressClass nowhere does not exist" in message
    assert " Scaling: " in message


def test_hardware_class_is_healthy_and_says_what_fits(kubectl: Kubectl, hardware: str) -> None:
    status, message = tell_health(kubectl.get("hardwareclass", hardware))
    assert status == "Healthy"
    assert message.endswith(" more replicas fit")
    assert message.split()[0].isdigit()


def test_hardware_class_without_capacity_advice_is_healthy(kubectl: Kubectl, hardware: str) -> None:
    body = kubectl.get("hardwareclass", hardware)
    del body["status"]
    assert tell_health(body)[0] == "Healthy"


def test_changed_hardware_class_is_progressing_until_its_models_have_followed(
    kubectl: Kubectl, hardware: str, operator: OperatorProcess
) -> None:
    operator.stop()
    try:
        kubectl.patch("hardwareclass", hardware, {"spec": {"nodeSelector": {"disk": "ssd"}}})
        body = kubectl.get("hardwareclass", hardware)
        assert tell_health(body) == ("Progressing", "Waiting for the operator")
    finally:
        operator.start()
    moving = {**body["status"], "observedGeneration": body["metadata"]["generation"], "rolling": 1, "waiting": 2}
    assert tell_health({**body, "status": moving}) == ("Progressing", "3 models have still to follow the change")


def test_hardware_class_that_is_being_deleted_is_progressing(kubectl: Kubectl, hardware: str) -> None:
    kubectl.patch("hardwareclass", hardware, FINALIZER)
    kubectl("delete", "hardwareclass", hardware, "--wait=false")
    assert tell_health(kubectl.get("hardwareclass", hardware)) == ("Progressing", "Being deleted")
    kubectl.patch("hardwareclass", hardware, {"metadata": {"finalizers": None}})
