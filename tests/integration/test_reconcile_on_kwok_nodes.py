"""What the operator makes of a ScoringModel, against a real API server; pods run on nodes that KWOK plays, so they are ready at once."""

from collections.abc import Callable, Iterator
from functools import partial

import pytest

from kubectl import Kubectl, Manifest
from operator_processes import OperatorProcess, wait_until_quiet
from scoring_models import ScoringModels, open_namespace
from waiting import wait_for

CHILDREN = "deployments,services,horizontalpodautoscalers,replicasets,pods,endpointslices"


def read_container(models: ScoringModels, name: str = "faq") -> Manifest:
    """Return the container of a model's Deployment."""
    container: Manifest = models.kubectl.get("deployment", name)["spec"]["template"]["spec"]["containers"][0]
    return container


def read_replicas(models: ScoringModels, name: str = "faq") -> int:
    """Return the replicas that a model's Deployment asks for."""
    replicas: int = models.kubectl.get("deployment", name)["spec"]["replicas"]
    return replicas


MakeClass = Callable[[str, Manifest], None]


@pytest.fixture
def make_class(kubectl: Kubectl) -> Iterator[MakeClass]:
    """Yield a function that applies a HardwareClass with some resources; the classes go with the test."""
    names: list[str] = []

    def make(name: str, resources: Manifest) -> None:
        names.append(name)
        metadata = {"name": name}
        kubectl.apply(
            {
                "apiVersion": "scoring.dev/v1beta1",
                "kind": "HardwareClass",
                "metadata": metadata,
                "spec": {"resources": resources},
            }
        )

    yield make
    kubectl("delete", "hardwareclass", "--ignore-not-found", *names, "none")


def test_model_gets_owned_children_and_becomes_ready(models: ScoringModels) -> None:
    models.apply(replicas=2)
    ready = models.wait_until_ready()
    body = models.kubectl.get("scoringmodel", "faq")
    assert ready["message"] == "2 of 2 replicas ready."
    assert [condition["type"] for condition in body["status"]["conditions"]] == ["Ready"]
    assert "finalizers" not in body["metadata"]
    for kind in ("deployment", "service"):
        (owner,) = models.kubectl.get(kind, "faq")["metadata"]["ownerReferences"]
        assert (owner["uid"], owner["controller"]) == (body["metadata"]["uid"], True)
    assert models.kubectl("wait", "--for=condition=Ready", "scoringmodel/faq", "--timeout=5s")
    assert models.kubectl("get", "pods", "-l", body["status"]["selector"], "-o", "name").count("pod/") == 2


def test_status_tells_numbers_address_and_class(models: ScoringModels) -> None:
    models.apply(hardwareClass=None)
    models.wait_until_ready()
    status = models.kubectl.get("scoringmodel", "faq")["status"]
    del status["conditions"]
    assert status == {
        "observedGeneration": 1,
        "appliedGeneration": 1,
        "url": f"http://faq.{models.kubectl.namespace}.svc",
        "replicas": 1,
        "readyReplicas": 1,
        "selector": "scoring.dev/model=faq",
        "hardwareClass": "cpu",
    }


def test_scaling_the_model_scales_its_deployment(models: ScoringModels) -> None:
    models.apply()
    models.wait_until_ready()
    models.kubectl("scale", "scoringmodel", "faq", "--replicas=3")
    wait_for(lambda: models.find_ready().get("message") == "3 of 3 replicas ready.", "three replicas")
    models.kubectl("scale", "scoringmodel", "faq", "--replicas=0")
    assert models.wait_for_reason("ScaledToZero")["status"] == "True"


def test_edit_of_an_owned_field_is_put_back(models: ScoringModels) -> None:
    models.apply()
    models.wait_until_ready()
    models.kubectl("set", "image", "deployment/faq", "runtime=localhost/other:1")
    wait_for(lambda: read_container(models)["image"] == "localhost/runtime-sklearn:test", "the image to be put back")
    models.wait_until_ready()


def test_lost_label_is_put_back_and_the_child_still_seen(models: ScoringModels, kubectl: Kubectl) -> None:
    models.apply(replicas=2)
    models.wait_until_ready()
    for kind in ("service", "deployment"):
        models.kubectl("label", kind, "faq", "app.kubernetes.io/managed-by-", "scoring.dev/model-")
        wait_for(partial(has_label, models, kind), f"the label of the {kind} to be put back")
    wait_until_quiet(kubectl)
    status = models.kubectl.get("scoringmodel", "faq")["status"]
    assert (status["url"], status["readyReplicas"]) == (f"http://faq.{models.kubectl.namespace}.svc", 2)
    assert models.find_ready()["reason"] == "Serving"


def has_label(models: ScoringModels, kind: str) -> bool:
    """Tell whether the model's child of a kind carries the model's label."""
    return bool(models.kubectl.get(kind, "faq")["metadata"].get("labels", {}).get("scoring.dev/model") == "faq")


def test_deleted_child_is_made_again(models: ScoringModels) -> None:
    models.apply()
    models.wait_until_ready()
    before = models.kubectl.get("service", "faq")["metadata"]["uid"]
    models.kubectl("delete", "service", "faq")
    wait_for(
        lambda: (models.kubectl.find("service", "faq") or {}).get("metadata", {}).get("uid", before) != before,
        "a new Service",
    )


def test_field_of_somebody_else_is_left_alone(models: ScoringModels) -> None:
    models.apply()
    models.wait_until_ready()
    patch = {"spec": {"template": {"metadata": {"annotations": {"example.com/injected": "yes"}}}}}
    models.kubectl.patch("deployment", "faq", patch)
    models.kubectl("scale", "scoringmodel", "faq", "--replicas=2")
    wait_for(lambda: models.find_ready().get("message") == "2 of 2 replicas ready.", "two replicas")
    template = models.kubectl.get("deployment", "faq")["spec"]["template"]
    assert template["metadata"]["annotations"]["example.com/injected"] == "yes"


def test_field_no_longer_asked_for_goes(models: ScoringModels) -> None:
    models.apply(runtime={"env": [{"name": "SCORING_LOG_LEVEL", "value": "debug"}]})
    models.wait_until_ready()
    assert {"name": "SCORING_LOG_LEVEL", "value": "debug"} in read_container(models)["env"]
    models.apply()
    wait_for(
        lambda: {"name": "SCORING_LOG_LEVEL", "value": "debug"} not in read_container(models)["env"],
        "the variable to go",
    )


def test_replicas_of_an_autoscaler_are_left_alone(models: ScoringModels) -> None:
    models.apply(autoscaling={"minReplicas": 2, "maxReplicas": 9})
    wait_for(lambda: models.find_ready().get("message") == "2 of 2 replicas ready.", "the autoscaler's least replicas")
    models.kubectl("scale", "deployment", "faq", "--replicas=5")
    models.apply(autoscaling={"minReplicas": 2, "maxReplicas": 9}, runtime={"env": [{"name": "A", "value": "b"}]})
    wait_for(
        lambda: models.find_ready().get("message") == "5 of 5 replicas ready.", "five replicas of the new generation"
    )
    assert read_replicas(models) == 5


def test_replicas_stay_when_autoscaling_is_switched_on_and_follow_the_spec_when_off(models: ScoringModels) -> None:
    models.apply(replicas=3)
    wait_for(lambda: models.find_ready().get("message") == "3 of 3 replicas ready.", "three replicas")
    models.apply(replicas=3, autoscaling={"minReplicas": 1, "maxReplicas": 9})
    wait_for(lambda: models.kubectl.find("hpa", "faq"), "the autoscaler")
    models.wait_until_ready()
    assert read_replicas(models) == 3
    models.apply(replicas=2)
    wait_for(lambda: models.kubectl.find("hpa", "faq") is None, "the autoscaler to go")
    wait_for(lambda: models.find_ready().get("message") == "2 of 2 replicas ready.", "two replicas")


def test_autoscaling_wakes_a_model_that_was_scaled_to_zero(models: ScoringModels) -> None:
    models.apply(replicas=0)
    models.wait_for_reason("ScaledToZero")
    models.apply(replicas=0, autoscaling={"minReplicas": 2, "maxReplicas": 9})
    wait_for(lambda: models.find_ready().get("message") == "2 of 2 replicas ready.", "the least replicas")
    models.kubectl("scale", "deployment", "faq", "--replicas=0")
    wait_for(lambda: read_replicas(models) == 2, "the least replicas again")


def test_autoscaler_of_somebody_else_is_no_obstacle_and_stays(models: ScoringModels) -> None:
    models.apply()
    models.kubectl("autoscale", "deployment", "faq", "--max=3")
    models.wait_until_ready()
    models.kubectl("scale", "scoringmodel", "faq", "--replicas=2")
    models.wait_until_ready()
    assert models.kubectl.find("hpa", "faq")


def test_changed_class_rolls_its_models(models: ScoringModels, kubectl: Kubectl, make_class: MakeClass) -> None:
    name = f"rolled-{models.kubectl.namespace[-8:]}"
    make_class(name, {"requests": {"cpu": "1"}, "limits": {"cpu": "1"}})
    models.apply(hardwareClass=name)
    models.wait_until_ready()
    kubectl.patch("hardwareclass", name, {"spec": {"resources": {"limits": {"cpu": "3"}}}})
    wait_for(lambda: read_container(models)["resources"]["limits"]["cpu"] == "3", "the new limit")
    assert {"name": "SCORING_THREADS", "value": "3"} in read_container(models)["env"]
    models.wait_until_ready()
    kubectl("delete", "hardwareclass", name)
    assert models.wait_for_reason("HardwareClassNotFound")["status"] == "False"
    assert models.kubectl.get("scoringmodel", "faq")["status"]["readyReplicas"] == 1


def test_unknown_class_is_named_and_mended_by_creating_it(models: ScoringModels, make_class: MakeClass) -> None:
    name = f"late-{models.kubectl.namespace[-8:]}"
    models.apply(hardwareClass=name)
    message = f"HardwareClass {name} does not exist; there are: cpu, gpu. Create it, or change spec.hardwareClass."
    assert models.wait_for_reason("HardwareClassNotFound")["message"] == message
    conditions = models.kubectl.get("scoringmodel", "faq")["status"]["conditions"]
    assert [condition["type"] for condition in conditions] == ["Ready", "Stalled"]
    make_class(name, {"limits": {"cpu": "1"}})
    models.wait_until_ready()


def test_two_default_classes_are_named(models: ScoringModels, kubectl: Kubectl) -> None:
    kubectl.patch("hardwareclass", "gpu", {"spec": {"default": True}})
    try:
        models.apply(hardwareClass=None)
        ready = models.wait_for_reason("HardwareClassAmbiguous")
    finally:
        kubectl.patch("hardwareclass", "gpu", {"spec": {"default": None}})
    assert (
        ready["message"]
        == "More than one HardwareClass is marked as default (cpu, gpu): name one in spec.hardwareClass."
    )
    models.wait_until_ready()


def test_no_node_with_a_gpu_says_unschedulable_and_why(models: ScoringModels) -> None:
    models.apply(hardwareClass="gpu", model={"uri": "file:///models/resnet152.tar", "format": "torch"})
    ready = models.wait_for_reason("Unschedulable")
    assert ready["message"].startswith("No node takes a replica: 0/")
    assert "Insufficient nvidia.com/gpu" in ready["message"]
    assert ready["message"].endswith(
        "A replica asks for cpu 1, memory 1Gi, nvidia.com/gpu 1; add such a node, or choose another hardware class."
    )
    limits = read_container(models)["resources"]["limits"]
    assert limits["nvidia.com/gpu"] == "1"


def test_missing_claim_is_named(models: ScoringModels) -> None:
    models.apply(model={"uri": "pvc://models/faq.tar"})
    message = models.wait_for_reason("VolumeUnavailable")["message"]
    assert 'persistentvolumeclaim "models" not found' in message
    assert message.endswith("Create the PersistentVolumeClaim, or correct the URI.")


def test_name_taken_by_somebody_else_is_refused_and_left_alone(models: ScoringModels) -> None:
    models.kubectl("create", "service", "clusterip", "faq", "--tcp=80:80")
    models.apply()
    ready = models.wait_for_reason("NameTaken")
    assert ready["message"] == (
        "Service faq exists already and does not belong to this ScoringModel: delete it, or give the ScoringModel another name."
    )
    assert "ownerReferences" not in models.kubectl.get("service", "faq")["metadata"]
    models.kubectl("delete", "service", "faq")
    models.wait_until_ready()


def test_limit_range_that_refuses_replicas_is_told_and_mended(models: ScoringModels) -> None:
    limits = [{"type": "Container", "max": {"cpu": "100m"}}]
    models.kubectl.apply(
        {"apiVersion": "v1", "kind": "LimitRange", "metadata": {"name": "small"}, "spec": {"limits": limits}}
    )
    models.apply()
    assert "maximum cpu usage per Container is 100m" in models.wait_for_reason("ReplicasRefused")["message"]
    models.kubectl("delete", "limitrange", "small")
    models.wait_until_ready(timeout_seconds=120)


def test_quota_that_refuses_replicas_is_told_and_mended(models: ScoringModels) -> None:
    models.kubectl("create", "quota", "none", "--hard=pods=0")
    wait_for(lambda: models.kubectl.get("quota", "none").get("status", {}).get("hard"), "the quota to be in force")
    models.apply()
    assert "exceeded quota: none" in models.wait_for_reason("ReplicasRefused")["message"]
    models.kubectl("delete", "quota", "none")
    models.wait_until_ready(timeout_seconds=120)


def test_quota_that_refuses_the_deployment_is_told_and_mended(models: ScoringModels) -> None:
    models.kubectl("create", "quota", "none", "--hard=count/deployments.apps=0")
    wait_for(lambda: models.kubectl.get("quota", "none").get("status", {}).get("hard"), "the quota to be in force")
    models.apply()
    ready = models.wait_for_reason("Rejected")
    assert ready["message"].startswith("The API server refuses what this model needs: ")
    assert "exceeded quota: none" in ready["message"]
    models.kubectl("delete", "quota", "none")
    models.wait_until_ready()


def test_load_balancer_is_waited_for_and_its_address_shown(models: ScoringModels) -> None:
    models.apply(endpoint={"type": "LoadBalancer"})
    assert models.wait_for_reason("LoadBalancerPending")["status"] == "False"
    address = {"status": {"loadBalancer": {"ingress": [{"ip": "192.0.2.7"}]}}}
    models.kubectl.patch("service", "faq", address, "--subresource=status")
    models.wait_until_ready()
    assert models.kubectl.get("scoringmodel", "faq")["status"]["url"] == "http://192.0.2.7"


def test_autoscaling_without_a_cpu_request_is_refused(models: ScoringModels, make_class: MakeClass) -> None:
    name = f"memory-{models.kubectl.namespace[-8:]}"
    make_class(name, {"limits": {"memory": "1Gi"}})
    models.apply(hardwareClass=name, autoscaling={"maxReplicas": 3})
    assert models.wait_for_reason("InvalidSpec")["message"] == (
        f"autoscaling on cpu needs a CPU request: set spec.resources.requests.cpu in HardwareClass {name}, "
        "or spec.runtime.resources.requests.cpu here."
    )


def test_transitions_are_events_and_hold_the_reason(models: ScoringModels) -> None:
    def read_events() -> set[tuple[str, str, str]]:
        events = models.kubectl.list("events", "--field-selector=involvedObject.kind=ScoringModel")
        return {(event["type"], event["reason"], event["source"]["component"]) for event in events}

    models.apply(hardwareClass="nowhere")
    models.wait_for_reason("HardwareClassNotFound")
    models.apply()
    models.wait_until_ready()
    expected = {("Warning", "HardwareClassNotFound", "scoring-operator"), ("Normal", "Serving", "scoring-operator")}
    wait_for(lambda: read_events() >= expected, "the events")
    assert "HardwareClassNotFound" in models.kubectl("describe", "scoringmodel", "faq")


def test_deletion_leaves_nothing(models: ScoringModels) -> None:
    models.apply(autoscaling={"maxReplicas": 3})
    models.wait_until_ready()
    models.kubectl("delete", "scoringmodel", "faq", "--timeout=10s")
    wait_for(lambda: models.kubectl("get", CHILDREN, "-o", "name") == "", "the children to go")


def test_deletion_needs_no_operator(kubectl: Kubectl, operator: OperatorProcess) -> None:
    with open_namespace(kubectl, "alone") as models:
        models.apply()
        models.wait_until_ready()
        operator.kill()
        try:
            models.kubectl("delete", "scoringmodel", "faq", "--timeout=10s")
            wait_for(lambda: models.kubectl("get", CHILDREN, "-o", "name") == "", "the children to go")
        finally:
            operator.start()


def test_what_happened_while_the_operator_was_dead_is_made_good(
    models: ScoringModels, operator: OperatorProcess
) -> None:
    models.apply("kept")
    models.wait_until_ready("kept")
    operator.kill()
    try:
        before = models.kubectl.get("scoringmodel", "kept")["status"]
        models.kubectl("delete", "service", "kept")
        models.kubectl("set", "image", "deployment/kept", "runtime=localhost/other:1")
        models.apply("late")
        assert models.kubectl.get("scoringmodel", "kept")["status"] == before
    finally:
        operator.start()
    models.wait_until_ready("late")
    wait_for(lambda: models.kubectl.find("service", "kept"), "the Service")
    wait_for(
        lambda: read_container(models, "kept")["image"] == "localhost/runtime-sklearn:test", "the image to be put back"
    )


def test_model_replaced_by_another_of_its_name_gets_children_of_its_own(models: ScoringModels) -> None:
    models.apply()
    models.wait_until_ready()
    models.kubectl("delete", "scoringmodel", "faq")
    models.apply(replicas=2)
    models.wait_until_ready(timeout_seconds=120)
    uid = models.kubectl.get("scoringmodel", "faq")["metadata"]["uid"]
    assert models.kubectl.get("deployment", "faq")["metadata"]["ownerReferences"][0]["uid"] == uid


def test_values_of_variables_are_never_logged(
    kubectl: Kubectl, models: ScoringModels, operator: OperatorProcess
) -> None:
    models.apply(runtime={"env": [{"name": "SOME_VALUE", "value": "not-for-logs"}]})
    models.wait_until_ready()
    models.kubectl("set", "env", "deployment/faq", "SOME_VALUE=not-for-logs-either")
    wait_for(
        lambda: {"name": "SOME_VALUE", "value": "not-for-logs"} in read_container(models)["env"],
        "the value to be put back",
    )
    wait_until_quiet(kubectl)
    assert "not-for-logs" not in operator.read_log()
