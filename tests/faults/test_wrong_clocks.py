"""Operators whose clocks are an hour ahead and an hour behind: who leads, what is written, and which times people read."""

import datetime
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import pytest

from candidates import DURATION_SECONDS, RETRY_SECONDS, SLACK_SECONDS, Candidates
from kubectl import Kubectl
from operator_processes import OperatorProcess, count_requests, wait_until_quiet
from scoring_models import ScoringModels, open_namespace
from waiting import wait_for
from wrong_clocks import set_clock

HOUR_SECONDS = 3600
CLOCKS = {"ahead": HOUR_SECONDS, "behind": -HOUR_SECONDS, "right": 0}
MODELS = 20
GRACE_SECONDS = 60.0
"""How long metrics may be missing before a model says so."""

SLOW_SECONDS = 30.0
"""How late a busy machine may be."""

READY_SECONDS = 300.0
TEST_SECONDS = 600.0
"""What a time may be away from the present, at most: longer than the test takes, and far from an hour."""

CHILDREN = ("deployments", "services")

StartOperator = Callable[[str, Kubectl], OperatorProcess]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[StartOperator]:
    """Yield what starts an operator with one of the clocks, for kubectl's namespace alone, where it stands for election too."""
    started: list[OperatorProcess] = []

    def start(clock: str, kubectl: Kubectl) -> OperatorProcess:
        log = tmp_path / f"{clock}.log"
        operator = OperatorProcess(kubectl, log, kubectl.namespace, namespaces=[kubectl.namespace])
        operator.variables = set_clock(CLOCKS[clock])
        started.append(operator)
        operator.start()
        return operator

    yield start
    for operator in started:
        if operator.is_running():
            operator.stop()
        assert "Traceback" not in operator.read_log()


def measure_age_seconds(text: str) -> float:
    """Return how long ago a time of the API was, by this machine's clock."""
    return (datetime.datetime.now(datetime.UTC) - datetime.datetime.fromisoformat(text)).total_seconds()


def make_models(models: ScoringModels) -> list[str]:
    """Make some models, and wait until they are ready; return their names."""
    names = [f"faq-{number}" for number in range(MODELS)]
    models.kubectl.apply(*(models.build(name) for name in names))
    for name in names:
        models.wait_until_ready(name, READY_SECONDS)
    return names


def turn(models: ScoringModels, name: str) -> list[str]:
    """Have a model break and become ready again; return the times at which it says it did."""
    models.apply(name, hardwareClass="missing")
    broken = models.wait_for_reason("HardwareClassNotFound", name)
    models.apply(name)
    return [condition["lastTransitionTime"] for condition in (broken, models.wait_until_ready(name))]


def take_over(candidates: Candidates, kubectl: Kubectl) -> None:
    """Kill the leader, and check that the follower leads in the usual time and writes nothing because of that."""
    leader, follower = candidates.tell_apart()
    quiet = wait_until_quiet(kubectl)
    leader.kill()
    assert candidates.wait_until_leading(follower) < DURATION_SECONDS + RETRY_SECONDS + SLACK_SECONDS
    wait_for(lambda: "Leading as" in follower.read_log(), "the follower to know that it leads")
    assert wait_until_quiet(kubectl) == quiet
    candidates.operators.remove(leader)


def test_operators_with_different_clocks_lead_in_turn_write_once_and_tell_the_same_time(
    kubectl: Kubectl, models: ScoringModels, start: StartOperator
) -> None:
    ahead = start("ahead", models.kubectl)
    candidates = Candidates(models.kubectl, [ahead])
    candidates.wait_for_roles()
    before = count_requests(kubectl)
    names = make_models(models)
    wait_until_quiet(kubectl)
    new = count_requests(kubectl) - before
    assert {kind: new[kind, "", "APPLY"] for kind in CHILDREN} == dict.fromkeys(CHILDREN, MODELS)
    times = turn(models, names[0])
    for clock in ("behind", "right"):
        candidates.operators.append(start(clock, models.kubectl))
        candidates.wait_for_roles()
        take_over(candidates, kubectl)
        times += turn(models, names[0])
    assert times == sorted(times)
    assert all(abs(measure_age_seconds(when)) < TEST_SECONDS for when in times)
    events = models.kubectl.list("events", "--field-selector=source=scoring-operator")
    assert len(events) >= len(times)
    assert all(abs(measure_age_seconds(event["lastTimestamp"])) < TEST_SECONDS for event in events)
    assert candidates.read_lease()["leaseTransitions"] == 2
    warnings = re.findall(r"clock of this machine is 36\d\d s ahead of the API server's", ahead.read_log())
    assert len(warnings) == 1
    for kind in CHILDREN:
        assert len(models.kubectl.list(kind)) == MODELS


def test_metrics_that_stay_away_are_told_after_the_usual_grace_whatever_the_clock(
    kubectl: Kubectl, start: StartOperator
) -> None:
    metric = {"type": "pods", "name": "nobody_serves_it", "target": "10"}
    with ExitStack() as stack:
        teams = {clock: stack.enter_context(open_namespace(kubectl, "faults")) for clock in CLOCKS}
        for clock, models in teams.items():
            start(clock, models.kubectl)
            models.apply(autoscaling={"minReplicas": 1, "maxReplicas": 3, "metrics": [metric]})
        delays = {clock: wait_until_told(models) for clock, models in teams.items()}
    assert all(GRACE_SECONDS - 1 <= delay <= GRACE_SECONDS + SLOW_SECONDS for delay in delays.values()), delays


def wait_until_told(models: ScoringModels) -> float:
    """Wait until a model says that its metrics stay away; return how many seconds after its autoscaler that is."""
    told = wait_for(partial(models.find_condition, "ScalingInactive"), "the model to tell of its metrics", 180.0)
    conditions = models.kubectl.get("horizontalpodautoscaler", "faq")["status"]["conditions"]
    failing = next(condition for condition in conditions if condition["type"] == "ScalingActive")
    return measure_age_seconds(failing["lastTransitionTime"]) - measure_age_seconds(told["lastTransitionTime"])
