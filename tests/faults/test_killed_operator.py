"""An operator that is killed, at any of its requests, while a hundred models are made: nothing is lost, doubled or left over."""

import threading
from functools import partial
from pathlib import Path
from random import Random

from aiohttp import web

from api_proxy import ApiProxy
from kubectl import Kubectl, Manifest
from operator_clusters import open_proxy
from operator_processes import OperatorProcess, count_writes, wait_until_quiet
from scoring_models import ScoringModels
from waiting import wait_for

MODELS = 100
KILLS = 15
SEED = 20261126
READY_SECONDS = 300.0
CHILDREN = ("deployment", "service")
OURS = "app.kubernetes.io/managed-by=scoring-operator"


class KillAtWrite:
    """Fault of the proxy: the operator is killed at one of its writes, which is done all the same or never arrives."""

    def __init__(self, operator: OperatorProcess, writes: int, is_done: bool) -> None:
        self._operator = operator
        self._left = writes
        self._is_done = is_done

    def __call__(self, request: web.Request) -> web.Response | None:
        """Answer in the API server's place, or return None to have the request passed on."""
        if request.method == "GET":
            return None
        self._left -= 1
        if self._left == 0:
            self._operator.kill()
        return None if self._left > 0 or self._is_done else web.Response(status=503)


def kill_again_and_again(proxy: ApiProxy, operator: OperatorProcess, random: Random) -> None:
    """Start the operator, kill it at a write by lot, and so on."""
    for _ in range(KILLS):
        proxy.fault = KillAtWrite(operator, random.randint(1, 50), random.random() < 0.5)
        operator.launch()
        wait_for(lambda: not operator.is_running(), "the operator to be killed", READY_SECONDS)
    proxy.mend()


def read_names(bodies: list[Manifest]) -> list[str]:
    """Return the names of objects in order."""
    return sorted(body["metadata"]["name"] for body in bodies)


def check_children(models: ScoringModels, names: list[str]) -> None:
    """Check that each model has one of each child, owned by it, and that there are no others."""
    uids = {body["metadata"]["name"]: body["metadata"]["uid"] for body in models.kubectl.list("scoringmodel")}
    for kind in CHILDREN:
        children = models.kubectl.list(kind, "-l", OURS)
        assert read_names(children) == names, kind
        for child in children:
            (owner,) = child["metadata"]["ownerReferences"]
            assert owner["uid"] == uids[child["metadata"]["name"]]
    replica_sets = models.kubectl.list("replicaset")
    owners = [body["metadata"]["ownerReferences"][0]["name"] for body in replica_sets]
    assert sorted(owners) == names, "one rollout for each model"


def test_operator_killed_at_any_write_of_a_hundred_creations(
    kubectl: Kubectl, models: ScoringModels, tmp_path: Path
) -> None:
    names = sorted(f"faq-{number}" for number in range(MODELS))
    with open_proxy(kubectl, tmp_path) as (proxy, operator):
        creation = threading.Thread(target=partial(models.kubectl.apply, *(models.build(name) for name in names)))
        creation.start()
        kill_again_and_again(proxy, operator, Random(SEED))
        creation.join()
        operator.start()
        for name in names:
            models.wait_until_ready(name, READY_SECONDS)
        check_children(models, names)
        writes = wait_until_quiet(kubectl)
        operator.kill()
        operator.start()
        assert wait_until_quiet(kubectl) == writes == count_writes(kubectl), "nothing was left to be done"
        assert "Traceback" not in operator.read_log()


def test_operator_killed_while_models_are_deleted_leaves_nothing_behind(
    kubectl: Kubectl, models: ScoringModels, operator: OperatorProcess
) -> None:
    names = [f"faq-{number}" for number in range(20)]
    models.kubectl.apply(*(models.build(name) for name in names))
    for name in names:
        models.wait_until_ready(name, READY_SECONDS)
    operator.kill()
    models.kubectl("delete", "scoringmodel", *names[:10], "--wait=false")
    operator.start()
    models.kubectl("delete", "scoringmodel", *names[10:15], "--wait=false")
    operator.kill()
    operator.start()
    left = sorted(names[15:])
    for kind in (*CHILDREN, "replicaset"):
        wait_for(partial(has_only, models, kind, len(left)), f"each {kind} of the deleted models to go")
    check_children(models, left)


def has_only(models: ScoringModels, kind: str, number: int) -> bool:
    """Tell whether there are so many children of a kind."""
    return len(models.kubectl.list(kind, "-l", OURS)) == number
