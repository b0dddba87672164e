"""Two operators and a Lease, against a real API server: who writes when one dies, stops, is paused or robbed of its Lease."""

import re
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from candidates import DURATION_SECONDS, LEASE, RENEW_SECONDS, RETRY_SECONDS, SLACK_SECONDS, Candidates
from kubectl import Kubectl, Manifest
from operator_processes import OPERATOR_WRITES, OperatorProcess, count_requests, wait_until_quiet
from prometheus_servers import read_metrics
from scoring_models import ScoringModels
from scoring_operator.advice import PAUSE_SECONDS
from waiting import wait_for

MODELS = 20
FAR_FUTURE, FAR_PAST = "2099-01-01T00:00:00.000000Z", "1999-01-01T00:00:00.000000Z"


@pytest.fixture
def pair(models: ScoringModels, operator: OperatorProcess, tmp_path: Path) -> Iterator[Candidates]:
    """Yield two operators with a Lease in the models' namespace, in place of the one that the other tests use."""
    kubectl = models.kubectl
    operator.stop()
    operators = [OperatorProcess(kubectl, tmp_path / f"{name}.log", kubectl.namespace) for name in ("first", "second")]
    try:
        for process in operators:
            process.launch()
        pair = Candidates(kubectl, operators)
        # A candidate that has never seen the Lease takes it at once when it is deleted.
        pair.wait_for_roles()
        yield pair
    finally:
        for process in operators:
            if process.is_running():
                process.kill()
        operator.start()


def apply_many(models: ScoringModels, **spec: object) -> None:
    """Apply twenty models, every other one with an autoscaler."""
    scaled = {"autoscaling": {"minReplicas": 1, "maxReplicas": 3}}
    models.kubectl.apply(
        *(models.build(f"faq-{number}", **spec, **(scaled if number % 2 else {})) for number in range(MODELS))
    )
    for number in range(MODELS):
        models.wait_until_ready(f"faq-{number}", timeout_seconds=120)


def count_told(models: ScoringModels) -> int:
    """Return how many models say that their autoscaler has no metrics: KWOK's pods have none, and a minute later that is told."""
    bodies = models.kubectl.list("scoringmodel")
    conditions = [one["type"] for body in bodies for one in body.get("status", {}).get("conditions", [])]
    return conditions.count("ScalingInactive")


def wait_for_last_write(models: ScoringModels) -> Counter[tuple[str, str, str]]:
    """Wait until the operators write no more; return the number of writes of each kind, without those that tell of missing metrics."""
    while True:
        told = count_told(models)
        # Longer than the pause after which a change is seen in the advice about capacity.
        wait_until_quiet(models.kubectl, quiet_seconds=PAUSE_SECONDS + 2.0)
        counts = count_requests(models.kubectl)
        if count_told(models) == told:
            counts["scoringmodels", "status", "PATCH"] -= told
            return Counter({request: counts[request] for request in OPERATOR_WRITES})


def count_rounds(operator: OperatorProcess) -> int:
    """Return how many rounds an operator has done without an error."""
    found = re.search(r'reconcile_seconds_count\{outcome="success"\} (\d+)', read_metrics(operator.metrics_port))
    return int(found[1]) if found else 0


def edit(models: ScoringModels) -> None:
    """Change what the operator owns."""
    models.kubectl("set", "env", "deployment/faq", "SCORING_MODEL_NAME=edited")


def wait_for_repair(models: ScoringModels) -> None:
    """Wait until the edit is put back."""
    wait_for(lambda: not is_edited(models), "the edit to be put back")


def is_edited(models: ScoringModels) -> bool:
    """Tell whether the edit is still there."""
    return "edited" in models.kubectl("get", "deployment", "faq", "-o", "yaml")


def test_follower_is_healthy_and_leaves_everything_to_the_leader(models: ScoringModels, pair: Candidates) -> None:
    leader, follower = pair.tell_apart()
    models.apply()
    models.wait_until_ready()
    follower.pause()
    edit(models)
    wait_for_repair(models)
    follower.resume()
    assert leader.is_healthy()
    assert follower.is_healthy()
    assert pair.read_lease()["leaseTransitions"] == 0
    assert "Leading as" not in follower.read_log()


@pytest.mark.usefixtures("alone")
def test_two_operators_write_no_more_than_one_and_taking_over_writes_nothing(
    kubectl: Kubectl, models: ScoringModels, pair: Candidates
) -> None:
    leader, follower = pair.tell_apart()
    before = count_requests(kubectl)
    apply_many(models)
    quiet = wait_for_last_write(models)
    new = count_requests(kubectl)
    new.subtract(before)
    applied = {kind: new[kind, "", "APPLY"] for kind in ("deployments", "services", "horizontalpodautoscalers")}
    assert applied == {"deployments": MODELS, "services": MODELS, "horizontalpodautoscalers": MODELS // 2}
    # How often the status changes depends on how fast the pods come.
    assert MODELS <= new["scoringmodels", "status", "PATCH"] <= 3 * MODELS
    leader.kill()
    pair.wait_until_leading(follower)
    wait_for(lambda: count_rounds(follower) >= MODELS, "the new leader to reconcile every model")
    assert wait_for_last_write(models) == quiet


def test_other_operator_takes_over_from_a_killed_one_and_repairs(models: ScoringModels, pair: Candidates) -> None:
    leader, follower = pair.tell_apart()
    models.apply()
    models.wait_until_ready()
    leader.kill()
    edit(models)
    assert pair.wait_until_leading(follower) < DURATION_SECONDS + RETRY_SECONDS + SLACK_SECONDS
    wait_for_repair(models)
    assert pair.read_lease()["leaseTransitions"] == 1


def test_other_operator_takes_over_at_once_from_one_that_is_stopped(models: ScoringModels, pair: Candidates) -> None:
    leader, follower = pair.tell_apart()
    models.apply()
    models.wait_until_ready()
    start = time.monotonic()
    assert leader.stop() == 0
    pair.wait_until_leading(follower)
    assert time.monotonic() - start < RETRY_SECONDS + 0.5 + SLACK_SECONDS
    assert "Lease released" in leader.read_log()
    edit(models)
    wait_for_repair(models)


@pytest.fixture
def hardware_class(kubectl: Kubectl) -> Iterator[str]:
    """Yield the name of a HardwareClass of the test's own."""
    name = "leadership"
    kubectl.apply(build_class(name, "250m"))
    yield name
    kubectl("delete", "hardwareclass", name)


def build_class(name: str, cpu: str) -> Manifest:
    """Return a HardwareClass."""
    metadata = {"name": name}
    spec = {"resources": {"requests": {"cpu": cpu}, "limits": {"cpu": "1", "memory": "1Gi"}}}
    return {"apiVersion": "scoring.dev/v1beta1", "kind": "HardwareClass", "metadata": metadata, "spec": spec}


@pytest.mark.usefixtures("alone")
def test_leader_that_is_paused_amid_its_work_does_not_write_when_it_comes_back(
    kubectl: Kubectl, models: ScoringModels, pair: Candidates, hardware_class: str
) -> None:
    leader, follower = pair.tell_apart()
    apply_many(models, hardwareClass=hardware_class)
    before = count_requests(kubectl)["deployments", "", "APPLY"]
    # One change, and each of the models has to be written.
    kubectl.apply(build_class(hardware_class, "500m"))
    leader.pause()
    pair.wait_until_leading(follower)
    for number in range(MODELS):
        models.wait_until_ready(f"faq-{number}", timeout_seconds=120)
    quiet = wait_for_last_write(models)
    assert count_requests(kubectl)["deployments", "", "APPLY"] - before >= MODELS
    leader.resume()
    wait_for(lambda: "Following: the Lease is held by" in leader.read_log(), "the old leader to follow")
    assert wait_for_last_write(models) == quiet
    assert pair.is_leading(follower)
    assert leader.is_healthy()


def test_leader_whose_lease_is_taken_stops_and_waits_until_it_expires(models: ScoringModels, pair: Candidates) -> None:
    leader, _ = pair.tell_apart()
    models.apply()
    models.wait_until_ready()
    pair.patch_lease(holderIdentity="somebody")
    taken_at = time.monotonic()
    wait_for(lambda: "The Lease has been taken by somebody" in leader.read_log(), "the leader to see that it is robbed")
    assert time.monotonic() - taken_at < RENEW_SECONDS + SLACK_SECONDS
    edit(models)
    wait_for(lambda: pair.read_lease()["holderIdentity"] != "somebody" or not is_edited(models), "a leader")
    assert DURATION_SECONDS - 0.5 < time.monotonic() - taken_at < DURATION_SECONDS + RETRY_SECONDS + SLACK_SECONDS
    assert pair.read_lease()["holderIdentity"] in {operator.read_identity() for operator in pair.operators}
    wait_for_repair(models)


def test_deleted_lease_is_made_again_by_the_leader(models: ScoringModels, pair: Candidates) -> None:
    leader, follower = pair.tell_apart()
    models.kubectl("delete", "lease", LEASE)
    assert pair.wait_until_leading(leader) < RENEW_SECONDS + SLACK_SECONDS
    models.apply()
    models.wait_until_ready()
    assert "No longer leading" not in leader.read_log()
    assert "Leading as" not in follower.read_log()


def test_times_in_the_lease_do_not_matter(pair: Candidates) -> None:
    leader, follower = pair.tell_apart()
    for renewed in (FAR_FUTURE, FAR_PAST):
        pair.patch_lease(renewTime=renewed, acquireTime=renewed)
        wait_for(lambda: pair.read_lease()["renewTime"] not in {FAR_FUTURE, FAR_PAST}, "the next renewal")
    assert pair.is_leading(leader)
    assert pair.read_lease()["leaseTransitions"] == 0
    leader.kill()
    pair.patch_lease(renewTime=FAR_FUTURE, acquireTime=FAR_PAST)
    seconds = pair.wait_until_leading(follower)
    assert DURATION_SECONDS - SLACK_SECONDS < seconds < DURATION_SECONDS + RETRY_SECONDS + SLACK_SECONDS
