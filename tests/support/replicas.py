"""A model's replicas in real pods: how many, which, with what variables, and whether the model was ready all the while."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from kubectl import Manifest
from scoring_models import ScoringModels
from waiting import wait_for


def wait_for_replicas(models: ScoringModels, name: str, count: int, timeout_seconds: float = 120) -> None:
    """Wait until a model is ready with that many replicas, and all of them are of its Deployment's newest generation."""
    message = f"{count} of {count} replicas ready."

    def has_them() -> bool:
        is_new = is_rolled_out(models.kubectl.get("deployment", name))
        return is_new and models.find_ready(name).get("message") == message

    wait_for(has_them, message, timeout_seconds)


def is_rolled_out(deployment: Manifest) -> bool:
    """Tell whether all of a Deployment's pods are of its newest generation, and ready.

    Asked before the model's status: that lags behind an edit of the Deployment by a moment, in which it still tells of the generation before.
    """
    status = deployment["status"]
    is_observed = status.get("observedGeneration") == deployment["metadata"]["generation"]
    counts = {status.get(name, 0) for name in ("replicas", "updatedReplicas", "readyReplicas")}
    return is_observed and counts == {deployment["spec"]["replicas"]}


@contextmanager
def watch_readiness(models: ScoringModels, name: str) -> Iterator[dict[str, str]]:
    """Yield what fills with the statuses of Ready while the context lasts, each with the message that it first had."""
    seen: dict[str, str] = {}
    stop = threading.Event()

    def look() -> None:
        while not stop.is_set():
            ready = models.find_ready(name)
            seen.setdefault(str(ready.get("status")), f"{ready.get('reason')}: {ready.get('message')}")

    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        yield seen
    finally:
        stop.set()
        watcher.join()


def list_pods(models: ScoringModels, name: str) -> set[str]:
    """Return the names of a model's pods that are not on their way out."""
    pods = models.kubectl.list("pods", "-l", f"scoring.dev/model={name}")
    return {pod["metadata"]["name"] for pod in pods if "deletionTimestamp" not in pod["metadata"]}


def read_variable(models: ScoringModels, name: str, variable: str) -> str | None:
    """Return the value of a variable in a model's Deployment."""
    container = models.kubectl.get("deployment", name)["spec"]["template"]["spec"]["containers"][0]
    return {item["name"]: item.get("value") for item in container["env"]}.get(variable)
