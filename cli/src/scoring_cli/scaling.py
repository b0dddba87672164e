"""A model's number of replicas, changed for a measurement and put back afterwards. Above `cluster` and `waiting`."""

from collections.abc import Iterator
from contextlib import contextmanager

from scoring_cli.cluster import Cluster
from scoring_cli.errors import InputInvalid
from scoring_cli.progress import open_progress
from scoring_cli.standing import Standing
from scoring_cli.waiting import Model, wait_until_ready
from scoring_operator.kinds import SCORING_MODEL


class Scale:
    """The scale of one model."""

    def __init__(self, cluster: Cluster, name: str, timeout_seconds: float) -> None:
        self._cluster = cluster
        self._name = name
        self._timeout_seconds = timeout_seconds

    def set(self, replicas: int) -> None:
        """Scale the model."""
        self._cluster.merge(SCORING_MODEL, self._name, {"spec": {"replicas": replicas}}, "scale")

    def set_and_wait(self, replicas: int) -> None:
        """Scale the model and return once so many replicas answer. Raises ModelNotReady, WaitTimedOut."""
        self.set(replicas)
        with open_progress() as progress:
            wait_until_ready(
                self._cluster,
                [Model(self._cluster.namespace, self._name)],
                self._timeout_seconds,
                progress.tell,
                is_enough=lambda standing: has_replicas(standing, replicas),
            )


def has_replicas(standing: Standing, replicas: int) -> bool:
    """Tell whether a model serves with exactly so many replicas."""
    return standing.is_ready and standing.replicas == f"{replicas}/{replicas}"


@contextmanager
def open_scale(cluster: Cluster, name: str, timeout_seconds: float) -> Iterator[Scale]:
    """Yield the scale of a model, and put its number of replicas back afterwards. Raises InputInvalid when an autoscaler has it."""
    spec = cluster.get(SCORING_MODEL, name)["spec"]
    if spec.get("autoscaling") is not None:
        raise InputInvalid(
            f"--replicas: {name} has spec.autoscaling, which chooses the number: leave --replicas out, or measure a copy without."
        )
    scale = Scale(cluster, name, timeout_seconds)
    try:
        yield scale
    finally:
        scale.set(spec.get("replicas", 1))
