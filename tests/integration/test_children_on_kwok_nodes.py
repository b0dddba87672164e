"""The children that only some models have, against a real API server; pods run on nodes that KWOK plays, so they are ready at once."""

import pytest

from kubectl import Kubectl, Manifest
from scoring_models import ScoringModels
from waiting import wait_for


def find_spec(models: ScoringModels, kind: str) -> Manifest | None:
    """Return the spec of the model's child of a kind, or None."""
    found = models.kubectl.find(kind, "faq")
    return None if found is None else found["spec"]


def read_account(models: ScoringModels) -> str:
    """Return the account of the model's pod, which must not hold its token."""
    (pod,) = [
        body
        for body in models.kubectl.list("pods", "-l", "scoring.dev/model=faq")
        if "deletionTimestamp" not in body["metadata"]
    ]
    assert pod["spec"]["automountServiceAccountToken"] is False
    assert not [volume for volume in pod["spec"]["volumes"] if "projected" in volume]
    return str(pod["spec"]["serviceAccountName"])


def test_pods_run_as_the_default_account_unless_the_model_asks_for_its_own(models: ScoringModels) -> None:
    models.apply()
    models.wait_until_ready()
    assert read_account(models) == "default"
    assert models.kubectl.find("serviceaccount", "faq") is None
    models.apply(runtime={"serviceAccount": {"annotations": {"example.com/role": "reader"}}})
    wait_for(lambda: models.kubectl.find("serviceaccount", "faq"), "the model's own account")
    models.wait_until_ready()
    account = models.kubectl.get("serviceaccount", "faq")
    assert account["automountServiceAccountToken"] is False
    assert account["metadata"]["annotations"]["example.com/role"] == "reader"
    wait_for(lambda: read_account(models) == "faq", "the pod to run as it")


def test_init_container_comes_with_an_artifact_that_is_fetched_and_goes_with_it(models: ScoringModels) -> None:
    source = {"uri": "s3://models/faq/", "format": "sklearn", "credentials": {"secretName": "s3"}, "sizeLimit": "1Gi"}
    models.apply(model=source)
    models.wait_until_ready()
    pod = (find_spec(models, "deployment") or {})["template"]["spec"]
    assert [container["name"] for container in pod["initContainers"]] == ["fetch"]
    assert {volume["name"] for volume in pod["volumes"]} == {"work", "tmp", "credentials"}
    models.apply(model={"uri": "file:///models/faq", "format": "sklearn"})
    models.wait_until_ready()
    pod = (find_spec(models, "deployment") or {})["template"]["spec"]
    assert "initContainers" not in pod
    assert {volume["name"] for volume in pod["volumes"]} == {"work", "tmp"}


def test_account_that_the_model_names_takes_the_place_of_its_own(models: ScoringModels) -> None:
    models.apply(runtime={"serviceAccount": {}})
    models.wait_until_ready()
    models.kubectl("create", "serviceaccount", "known-to-the-cloud")
    models.apply(runtime={"serviceAccountName": "known-to-the-cloud"})
    wait_for(lambda: models.kubectl.find("serviceaccount", "faq") is None, "the model's own account to go")
    models.wait_until_ready()
    assert models.kubectl.find("serviceaccount", "known-to-the-cloud")


def test_disruption_budget_comes_with_the_second_replica_and_goes_with_it(models: ScoringModels) -> None:
    models.apply()
    models.wait_until_ready()
    assert find_spec(models, "poddisruptionbudget") is None
    models.kubectl("scale", "scoringmodel", "faq", "--replicas=5")
    wait_for(
        lambda: (
            (models.kubectl.find("poddisruptionbudget", "faq") or {}).get("status", {}).get("disruptionsAllowed") == 2
        ),
        "a budget that lets two of five go",
    )
    models.kubectl("scale", "scoringmodel", "faq", "--replicas=1")
    wait_for(lambda: find_spec(models, "poddisruptionbudget") is None, "the budget to go")


def test_scaling_starts_no_pod_anew(models: ScoringModels) -> None:
    models.apply()
    models.wait_until_ready()
    (first,) = models.kubectl.list("pods", "-l", "scoring.dev/model=faq")
    models.kubectl("scale", "scoringmodel", "faq", "--replicas=3")
    wait_for(lambda: models.find_ready().get("message") == "3 of 3 replicas ready.", "three replicas")
    names = {pod["metadata"]["name"] for pod in models.kubectl.list("pods", "-l", "scoring.dev/model=faq")}
    assert first["metadata"]["name"] in names


def test_network_policy_follows_the_model(models: ScoringModels) -> None:
    models.apply(network={"ingress": [{"namespace": "shop"}], "egress": [{"cidr": "192.0.2.0/24", "ports": [5432]}]})
    spec = wait_for(lambda: find_spec(models, "networkpolicy"), "the policy")
    shop = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "shop"}}}
    assert spec["ingress"] == [{"from": [shop]}]
    assert spec["egress"][-1] == {
        "to": [{"ipBlock": {"cidr": "192.0.2.0/24"}}],
        "ports": [{"protocol": "TCP", "port": 5432}],
    }
    models.apply()
    wait_for(lambda: find_spec(models, "networkpolicy") is None, "the policy to go")


@pytest.mark.parametrize("endpoint_type", ["ClusterIP", "NodePort"])
def test_service_of_each_type_is_reached_by_its_name(models: ScoringModels, endpoint_type: str) -> None:
    models.apply(endpoint={"type": endpoint_type})
    models.wait_until_ready()
    assert models.kubectl.get("service", "faq")["spec"]["type"] == endpoint_type
    assert models.kubectl.get("scoringmodel", "faq")["status"]["url"] == f"http://faq.{models.kubectl.namespace}.svc"


def test_settings_of_the_load_balancer_reach_the_service_and_go_again(models: ScoringModels) -> None:
    outside = {
        "type": "LoadBalancer",
        "annotations": {"example.com/scheme": "internal"},
        "loadBalancerClass": "example.com/internal",
        "loadBalancerSourceRanges": ["10.0.0.0/8"],
        "externalTrafficPolicy": "Local",
    }
    models.apply(endpoint=outside)
    models.wait_for_reason("LoadBalancerPending")
    service = models.kubectl.get("service", "faq")
    assert service["metadata"]["annotations"]["example.com/scheme"] == "internal"
    assert {name: service["spec"][name] for name in outside if name != "annotations"} == {
        name: value for name, value in outside.items() if name != "annotations"
    }
    models.apply()
    models.wait_until_ready()
    service = models.kubectl.get("service", "faq")
    assert service["spec"]["type"] == "ClusterIP"
    assert "example.com/scheme" not in service["metadata"]["annotations"]


def test_autoscaler_takes_metrics_of_every_api_and_behavior(models: ScoringModels) -> None:
    models.apply(
        autoscaling={
            "maxReplicas": 5,
            "metrics": [
                {"type": "cpu", "target": 60},
                {"type": "memory", "target": 80},
                {"type": "pods", "name": "scoring_requests_in_flight", "target": 4},
                {"type": "external", "name": "queue_depth", "selector": {"queue": "faq"}, "target": "1500m"},
            ],
            "behavior": {"scaleDown": {"stabilizationWindowSeconds": 60, "selectPolicy": "Min"}},
        }
    )
    spec = wait_for(lambda: find_spec(models, "hpa"), "the autoscaler")
    assert [metric["type"] for metric in spec["metrics"]] == ["Resource", "Resource", "Pods", "External"]
    assert spec["metrics"][3]["external"]["target"] == {"type": "AverageValue", "averageValue": "1500m"}
    assert spec["behavior"]["scaleDown"]["stabilizationWindowSeconds"] == 60
    models.apply(autoscaling={"maxReplicas": 5})
    wait_for(lambda: len((find_spec(models, "hpa") or {}).get("metrics", [])) == 1, "the other metrics to go")


def test_autoscaler_without_its_metrics_api_is_told_after_a_minute_and_the_model_stays_ready(
    models: ScoringModels,
) -> None:
    models.apply(autoscaling={"maxReplicas": 5, "metrics": [{"type": "external", "name": "queue_depth", "target": 30}]})
    models.wait_until_ready()
    inactive = wait_for(lambda: models.find_condition("ScalingInactive"), "the condition", timeout_seconds=150)
    assert inactive["reason"] == "MetricsUnavailable"
    assert inactive["message"].endswith("an adapter that serves the API external.metrics.k8s.io.")
    assert models.find_ready()["status"] == "True"
    models.apply()
    wait_for(lambda: models.find_condition("ScalingInactive") is None, "the condition to go")


def test_claims_of_devices_reach_the_pods_and_a_changed_claim_starts_them_anew(
    models: ScoringModels, kubectl: Kubectl
) -> None:
    name = f"dra-{models.kubectl.namespace[-8:]}"
    claim = {"deviceClassName": "gpu.example.com", "count": 1}
    spec = {"resources": {"requests": {"cpu": "100m"}}, "resourceClaim": claim}
    kubectl.apply(
        {"apiVersion": "scoring.dev/v1beta1", "kind": "HardwareClass", "metadata": {"name": name}, "spec": spec}
    )
    try:
        models.apply(hardwareClass=name)
        ready = models.wait_for_reason("Unschedulable")
        assert "claim" in ready["message"]
        (pod,) = models.kubectl.list("pods", "-l", "scoring.dev/model=faq")
        assert pod["spec"]["resourceClaims"] == [{"name": "accelerator", "resourceClaimTemplateName": "faq"}]
        before = models.kubectl.get("resourceclaimtemplate", "faq")
        kubectl.patch("hardwareclass", name, {"spec": {"resourceClaim": {"count": 2}}})
        wait_for(
            lambda: (
                (models.kubectl.find("resourceclaimtemplate", "faq") or before)["metadata"]["uid"]
                != before["metadata"]["uid"]
            ),
            "a new template",
        )
        request = models.kubectl.get("resourceclaimtemplate", "faq")["spec"]["spec"]["devices"]["requests"][0]
        assert request["exactly"]["count"] == 2
        wait_for(
            lambda: (
                pod["metadata"]["name"]
                not in {one["metadata"]["name"] for one in models.kubectl.list("pods", "-l", "scoring.dev/model=faq")}
            ),
            "the pod to be replaced",
        )
    finally:
        models.kubectl("delete", "scoringmodel", "faq")
        kubectl("delete", "hardwareclass", name)
