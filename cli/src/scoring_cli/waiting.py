"""Waiting until models serve: looked at each second, told as it changes, ended by success, by a problem that lasts, or by time."""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from scoring_cli.cluster import Cluster
from scoring_cli.errors import ModelNotReady, WaitTimedOut
from scoring_cli.standing import Standing, read_standing
from scoring_operator.kinds import SCORING_MODEL

LOOK_SECONDS = 1.0
Tell = Callable[[Standing, float], None]


@dataclass(frozen=True)
class Model:
    """A model that is waited for."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


def is_serving(standing: Standing) -> bool:
    """Tell whether a model serves: what is mostly waited for."""
    return standing.is_ready


def wait_until_ready(
    cluster: Cluster,
    models: Iterable[Model],
    timeout_seconds: float,
    tell: Tell,
    is_enough: Callable[[Standing], bool] = is_serving,
) -> list[Standing]:
    """Return how the models stand once all of them serve, or are otherwise as `is_enough` wants them.

    tell: gets each look's outcome, and the seconds since the start. Raises ModelNotReady when one is stalled, and WaitTimedOut.
    """
    started = time.monotonic()
    waiting = list(models)
    done: list[Standing] = []
    while True:
        standings = [read_standing(cluster.get(SCORING_MODEL, model.name, model.namespace)) for model in waiting]
        seconds = time.monotonic() - started
        for standing in standings:
            tell(standing, seconds)
        if any(standing.is_stalled for standing in standings):
            raise ModelNotReady(describe(standing for standing in standings if standing.is_stalled))
        done += [standing for standing in standings if is_enough(standing)]
        late = [standing for standing in standings if not is_enough(standing)]
        if not late:
            return done
        if seconds >= timeout_seconds:
            raise WaitTimedOut(f"Not there after {timeout_seconds:.0f} s; the operator goes on.\n{describe(late)}")
        waiting = [Model(standing.namespace, standing.name) for standing in late]
        time.sleep(LOOK_SECONDS)


def describe(standings: Iterable[Standing]) -> str:
    """Return a line for each model: its reason and message."""
    return "\n".join(f"{one.namespace}/{one.name}: {one.reason}: {one.message}" for one in standings)
