"""Which pods a model's problem is read from: those that the newest generation depends on."""

from collections.abc import Callable

from scoring_operator.api import Manifest
from scoring_operator.diagnosis import find_problem
from scoring_operator.kinds import HASH_ANNOTATION

Build = Callable[..., Manifest]

READY = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}
EVICTED = {"phase": "Failed", "reason": "Evicted", "message": "low memory"}
FAILED = {
    "containerStatuses": [
        {"state": {"terminated": {"exitCode": 1, "message": '{"code": "ModelInvalid", "message": "m"}'}}}
    ]
}


def mark(body: Manifest, digest: str) -> Manifest:
    """Return a pod or template with the hash that it was rendered with."""
    return {**body, "metadata": {**body.get("metadata", {}), "annotations": {HASH_ANNOTATION: digest}}}


def test_evicted_pod_does_not_count_once_another_has_replaced_it(build_pod: Build) -> None:
    evicted, ready = build_pod("faq-0", **EVICTED), build_pod("faq-1", **READY)
    assert find_problem(None, [evicted, ready]) is None


def test_evicted_pod_counts_while_nothing_has_replaced_it(build_pod: Build) -> None:
    problem = find_problem(None, [build_pod("faq-0", **EVICTED)])
    assert problem is not None
    assert (problem.reason, problem.message) == ("Evicted", "A replica was stopped: low memory")


def test_pod_of_the_old_template_made_again_does_not_hide_the_new_ones_problem(
    build_pod: Build, build_deployment: Build
) -> None:
    deployment = build_deployment()
    deployment["spec"]["template"] = mark({}, "new")
    new = mark(build_pod("faq-1", "2026-11-01T00:00:00Z", "b", **FAILED), "new")
    old = mark(build_pod("faq-0", "2026-11-02T00:00:00Z", "a", **READY), "old")
    problem = find_problem(deployment, [new, old])
    assert problem is not None
    assert problem.reason == "ModelInvalid"


def test_container_that_ends_without_an_error_again_and_again_is_told(build_pod: Build) -> None:
    looping = {"waiting": {"reason": "CrashLoopBackOff"}}
    status = {"state": looping, "lastState": {"terminated": {"exitCode": 0, "reason": "Completed"}}}
    problem = find_problem(None, [build_pod(containerStatuses=[status])])
    assert problem is not None
    assert problem.message.startswith("The runtime ended with exit code 0: it left no message.")


def test_conditions_of_the_generation_before_are_not_held_against_the_new_one(build_deployment: Build) -> None:
    deployment = build_deployment(reason="ProgressDeadlineExceeded", observedGeneration=3)
    assert find_problem(deployment, []) is None


def test_signed_uri_in_a_containers_last_words_is_cut(build_pod: Build) -> None:
    words = "cannot fetch https://host/m.tar?signature=secret now"
    problem = find_problem(
        None, [build_pod(containerStatuses=[{"state": {"terminated": {"exitCode": 1, "message": words}}}])]
    )
    assert problem is not None
    assert "https://host/m.tar now" in problem.message
