"""A model's replicas in real pods: how many, which, with what variables, and whether the model was ready all the while."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from scoring_models import ScoringModels
from waiting import wait_for


def wait_for_replicas(models: ScoringModels, name: str, count: int, timeout_seconds: float = 120) -> None:
    """Wait until a model is ready with that many replicas."""
    message = f"{count} of {count} replicas ready."
    wait_for(lambda: models.find_ready(name).get("message") == message, message, timeout_seconds)


@contextmanager
def watch_readiness(models: ScoringModels, name: str) -> Iterator[list[str]]:
    """Yield a list that fills with the statuses of Ready, while the context lasts."""
    seen: list[str] = []
    stop = threading.Event()

    def look() -> None:
        while not stop.is_set():
            seen.append(str(models.find_ready(name).get("status")))

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
