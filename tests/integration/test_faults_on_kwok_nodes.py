"""What networks and overloaded API servers do to the operator, by a proxy between them; nothing may be lost, and nothing may run hot."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from api_proxy import ApiProxy, expire_watches, refuse_many
from kubectl import Kubectl
from operator_clusters import open_proxy
from operator_processes import OperatorProcess
from scoring_models import ScoringModels
from waiting import wait_for

MODELS = 10


@pytest.fixture
def proxy(kubectl: Kubectl, operator: OperatorProcess, tmp_path: Path) -> Iterator[ApiProxy]:
    """Yield the proxy that the one running operator talks through."""
    operator.stop()
    try:
        with open_proxy(kubectl, tmp_path) as (proxy, proxied):
            proxied.start()
            yield proxy
            proxy.mend()
            assert proxied.is_healthy()
            assert "Traceback" not in proxied.read_log()
    finally:
        operator.start()


def apply_many(models: ScoringModels) -> list[str]:
    """Apply several models at once and return their names."""
    names = [f"faq-{number}" for number in range(MODELS)]
    models.kubectl.apply(*(models.build(name) for name in names))
    return names


@pytest.mark.parametrize(
    ("status", "reason", "methods"),
    [
        (429, "TooManyRequests", ["GET", "POST", "PATCH"]),
        (409, "Conflict", ["PATCH"]),
        (500, "InternalError", ["PATCH"]),
    ],
)
def test_storm_of_errors_is_weathered(
    models: ScoringModels, proxy: ApiProxy, status: int, reason: str, methods: list[str]
) -> None:
    proxy.fault = refuse_many(status, reason, *methods)
    for name in apply_many(models):
        models.wait_until_ready(name, timeout_seconds=180)


def test_what_changes_while_the_network_is_cut_is_made_good_afterwards(models: ScoringModels, proxy: ApiProxy) -> None:
    names = apply_many(models)
    for name in names:
        models.wait_until_ready(name, timeout_seconds=120)
    proxy.cut()
    models.kubectl("delete", "deployment", *names[:3])
    models.kubectl("delete", "scoringmodel", names[3])
    models.kubectl("scale", "scoringmodel", names[4], "--replicas=2")
    models.apply("new")
    proxy.mend()
    models.wait_until_ready("new", timeout_seconds=120)
    for name in names[:3]:
        wait_for(partial(models.kubectl.find, "deployment", name), f"Deployment {name} again")
    wait_for(lambda: models.find_ready(names[4]).get("message") == "2 of 2 replicas ready.", "two replicas")
    wait_for(lambda: models.kubectl.find("deployment", names[3]) is None, "the children of the deleted model to go")


def test_deletions_that_no_watch_tells_of_are_found_when_the_watches_start_over(
    models: ScoringModels, proxy: ApiProxy
) -> None:
    """A watch that starts over after 410 Gone gives no event for what was deleted in between."""
    names = apply_many(models)
    for name in names:
        models.wait_until_ready(name, timeout_seconds=120)
    proxy.fault = expire_watches
    proxy.break_connections()
    models.kubectl("delete", "service,deployment", *names[:3])
    models.kubectl("delete", "scoringmodel", names[3])
    models.apply(names[3], replicas=2)
    proxy.mend()
    for name in names[:3]:
        wait_for(partial(models.kubectl.find, "service", name), f"Service {name} again")
        models.wait_until_ready(name)
    wait_for(lambda: models.find_ready(names[3]).get("message") == "2 of 2 replicas ready.", "the new model's replicas")
