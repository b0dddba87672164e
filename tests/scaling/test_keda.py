"""KEDA scales by a number that is measured outside the pods: to zero, up, and to zero again."""

from kubectl import Kubectl, Manifest
from measured_values import MeasuredValue
from scoring_models import ScoringModels
from waiting import wait_for

LABELS = {"app": "worker"}
DEPLOYMENT: Manifest = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "worker"},
    "spec": {
        "replicas": 1,
        "selector": {"matchLabels": LABELS},
        "template": {
            "metadata": {"labels": LABELS},
            "spec": {"containers": [{"name": "worker", "image": "localhost/none"}]},
        },
    },
}
SCALING_SECONDS = 120.0


def build_scaled_object(target: Manifest, trigger: Manifest, minimum: int = 0) -> Manifest:
    """Return a ScaledObject that looks every second, and scales down at once."""
    behavior = {"scaleDown": {"stabilizationWindowSeconds": 0}}
    return {
        "apiVersion": "keda.sh/v1alpha1",
        "kind": "ScaledObject",
        "metadata": {"name": target["metadata"]["name"]},
        "spec": {
            "scaleTargetRef": {
                "apiVersion": target["apiVersion"],
                "kind": target["kind"],
                "name": target["metadata"]["name"],
            },
            "minReplicaCount": minimum,
            "maxReplicaCount": 5,
            "pollingInterval": 1,
            "cooldownPeriod": 2,
            "advanced": {"horizontalPodAutoscalerConfig": {"behavior": behavior}},
            "triggers": [trigger],
        },
    }


def ask_http(waiting: MeasuredValue) -> Manifest:
    """Return the trigger that asks the server itself: one replica for each waiting request."""
    location = {"url": f"http://{waiting.address}/value", "valueLocation": "value"}
    return {"type": "metrics-api", "metadata": {**location, "targetValue": "1"}}


def wait_for_pods(kubectl: Kubectl, number: int) -> None:
    """Wait until so many pods are there, all of them ready."""

    def look() -> bool:
        pods = kubectl.list("pods")
        conditions = [condition for pod in pods for condition in pod["status"].get("conditions", [])]
        ready = [condition for condition in conditions if (condition["type"], condition["status"]) == ("Ready", "True")]
        return len(pods) == len(ready) == number

    wait_for(look, f"{number} pods", SCALING_SECONDS)


def follow(kubectl: Kubectl, waiting: MeasuredValue) -> None:
    """Wait for nothing, for three replicas, and for nothing again."""
    wait_for_pods(kubectl, 0)
    waiting.value = 3
    wait_for_pods(kubectl, 3)
    waiting.value = 0
    wait_for_pods(kubectl, 0)


def test_deployment_follows_a_number_asked_over_http(namespace: Kubectl, waiting: MeasuredValue) -> None:
    namespace.apply(DEPLOYMENT, build_scaled_object(DEPLOYMENT, ask_http(waiting)))
    follow(namespace, waiting)


def test_deployment_follows_a_number_that_prometheus_scrapes(
    namespace: Kubectl, waiting: MeasuredValue, prometheus: str, scraped: str
) -> None:
    metadata = {"serverAddress": prometheus, "query": scraped, "threshold": "1"}
    namespace.apply(DEPLOYMENT, build_scaled_object(DEPLOYMENT, {"type": "prometheus", "metadata": metadata}))
    follow(namespace, waiting)


def test_model_follows_a_number_by_its_scale_and_says_so(models: ScoringModels, waiting: MeasuredValue) -> None:
    models.apply()
    models.wait_until_ready()
    models.kubectl.apply(build_scaled_object(models.build(), ask_http(waiting)))
    follow(models.kubectl, waiting)
    assert models.kubectl.get("scoringmodel", "faq")["spec"]["replicas"] == 0
    wait_for(lambda: "replicas" in models.find_ready().get("message", ""), "a message about the replicas")
    waiting.value = 2
    wait_for_pods(models.kubectl, 2)
    assert models.wait_until_ready()["message"] == "2 of 2 replicas ready."
