"""KEDA scales by a number that is measured outside the pods: to zero, up, and to zero again."""

from kubectl import Kubectl, Manifest
from measured_values import MeasuredValue
from scaled_objects import ask_http, build_scaled_object, wait_for_pods
from scoring_models import ScoringModels
from scoring_operator.render.scaled_object import find_autoscaler_name

LABELS = {"app": "worker"}
LONGEST = "m" * 63
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


def follow(kubectl: Kubectl, waiting: MeasuredValue) -> None:
    """Wait for nothing, for three replicas, and for nothing again."""
    wait_for_pods(kubectl, 0)
    waiting.value = 3
    wait_for_pods(kubectl, 3)
    waiting.value = 0
    wait_for_pods(kubectl, 0)


def test_deployment_follows_a_number_asked_over_http(namespace: Kubectl, waiting: MeasuredValue) -> None:
    namespace.apply(DEPLOYMENT)
    wait_for_pods(namespace, 1)
    namespace.apply(build_scaled_object(DEPLOYMENT, ask_http(waiting)))
    follow(namespace, waiting)


def test_deployment_follows_a_number_that_prometheus_scrapes(
    namespace: Kubectl, waiting: MeasuredValue, prometheus: str, scraped: str
) -> None:
    namespace.apply(DEPLOYMENT)
    wait_for_pods(namespace, 1)
    metadata = {"serverAddress": prometheus, "query": scraped, "threshold": "1"}
    namespace.apply(build_scaled_object(DEPLOYMENT, {"type": "prometheus", "metadata": metadata}))
    follow(namespace, waiting)


def test_model_follows_a_number_by_its_scale_and_says_so(models: ScoringModels, waiting: MeasuredValue) -> None:
    models.apply()
    models.wait_until_ready()
    models.kubectl.apply(build_scaled_object(models.build(), ask_http(waiting)))
    follow(models.kubectl, waiting)
    models.wait_for_reason("ScaledToZero")
    waiting.value = 2
    wait_for_pods(models.kubectl, 2)
    assert models.wait_until_ready()["message"] == "2 of 2 replicas ready."


def test_model_of_the_longest_name_is_scaled_by_a_metric_of_its_own(
    models: ScoringModels, waiting: MeasuredValue
) -> None:
    """KEDA puts nine characters before it to name its autoscaler, and that name into a label."""
    metric = {"type": "keda", "trigger": ask_http(waiting)}
    keda = {"pollingInterval": 1, "cooldownPeriod": 2}
    models.apply(LONGEST, autoscaling={"minReplicas": 1, "maxReplicas": 3, "metrics": [metric], "keda": keda})
    models.wait_until_ready(LONGEST)
    waiting.value = 3
    wait_for_pods(models.kubectl, 3)
    assert models.find_condition("ScalingInactive", LONGEST) is None
    (autoscaler,) = models.kubectl.list("horizontalpodautoscalers")
    assert autoscaler["metadata"]["name"] == find_autoscaler_name(LONGEST)
