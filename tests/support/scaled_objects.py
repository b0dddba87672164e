"""KEDA's ScaledObjects, as scaling tests use them."""

from kubectl import Kubectl, Manifest
from measured_values import MeasuredValue
from waiting import wait_for

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
