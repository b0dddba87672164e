"""Each way in which pods fail, as the kubelet and the scheduler report it, and the reason and message that follow."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from scoring_operator.api import Manifest
from scoring_operator.diagnosis import MESSAGE_CHARACTERS, PERMANENT_CODES, find_problem, parse_termination_message
from scoring_operator.errors import ModelProblem

Build = Callable[..., Manifest]


def refuse_to_place(message: str) -> Manifest:
    return {"conditions": [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message}]}


def wait(reason: str, message: str = "") -> Manifest:
    waiting = {"reason": reason, "message": message} if message else {"reason": reason}
    return {"containerStatuses": [{"name": "runtime", "image": "runtime:1", "state": {"waiting": waiting}}]}


def end(message: str = "", exit_code: int = 1, reason: str = "Error") -> Manifest:
    """Return the status of a container that ended and waits to be started again."""
    ended = {"exitCode": exit_code, "reason": reason, **({"message": message} if message else {})}
    state = {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 10s restarting failed container"}}
    return {
        "containerStatuses": [
            {"name": "runtime", "image": "runtime:1", "state": state, "lastState": {"terminated": ended}}
        ]
    }


def say(code: str, message: str = "what is wrong") -> str:
    return json.dumps({"code": code, "message": message})


def fetch(state: Manifest, last: Manifest | None = None) -> Manifest:
    """Return the status of a pod whose first container fetches, or tries to."""
    fetching = {"name": "fetch", "image": "fetch:1", "state": state, "lastState": last or {}}
    waiting = {"name": "runtime", "image": "runtime:1", "state": {"waiting": {"reason": "PodInitializing"}}}
    return {"initContainerStatuses": [fetching], "containerStatuses": [waiting]}


READY = {"conditions": [{"type": "Ready", "status": "True"}]}

CASES: dict[str, tuple[Manifest, ModelProblem]] = {
    "fetching was refused": (
        fetch(
            {"waiting": {"reason": "CrashLoopBackOff"}}, {"terminated": {"exitCode": 1, "message": say("AccessDenied")}}
        ),
        ModelProblem("AccessDenied", "what is wrong", stalled=True),
    ),
    "fetching failed and goes on": (
        fetch({"running": {}}, {"terminated": {"exitCode": 1, "message": say("FetchFailed")}}),
        ModelProblem("FetchFailed", "what is wrong", stalled=False),
    ),
    "fetching crashed": (
        fetch({"terminated": {"exitCode": 139, "message": ""}}),
        ModelProblem(
            "RuntimeFailed",
            "Fetching ended with exit code 139: it left no message. See `kubectl logs --previous faq-1 --container fetch`.",
            stalled=False,
        ),
    ),
    "image that fetches has no valid name": (
        fetch({"waiting": {"reason": "InvalidImageName"}}),
        ModelProblem(
            "InvalidImageName",
            "fetch:1 is not the name of an image: correct runtimeImages.fetch of the operator's chart.",
        ),
    ),
    "no node has a GPU": (
        refuse_to_place("0/3 nodes are available: 3 Insufficient nvidia.com/gpu."),
        ModelProblem(
            "Unschedulable",
            "No node takes a replica: 0/3 nodes are available: 3 Insufficient nvidia.com/gpu. "
            "A replica asks for cpu 1, nvidia.com/gpu 1; add such a node, or choose another hardware class.",
            stalled=False,
        ),
    ),
    "claim does not exist": (
        refuse_to_place('0/1 nodes are available: persistentvolumeclaim "models" not found.'),
        ModelProblem(
            "VolumeUnavailable",
            'The volume of spec.model.uri cannot be used: 0/1 nodes are available: persistentvolumeclaim "models" not found. '
            "Create the PersistentVolumeClaim, or correct the URI.",
            stalled=False,
        ),
    ),
    "claim is not bound": (
        refuse_to_place("pod has unbound immediate PersistentVolumeClaims"),
        ModelProblem(
            "VolumeUnavailable",
            "The volume of spec.model.uri cannot be used: pod has unbound immediate PersistentVolumeClaims. "
            "Create the PersistentVolumeClaim, or correct the URI.",
            stalled=False,
        ),
    ),
    "image name is invalid": (
        wait("InvalidImageName", "couldn't parse image reference"),
        ModelProblem("InvalidImageName", "runtime:1 is not the name of an image: correct spec.runtime.image."),
    ),
    **{
        f"image cannot be pulled: {reason}": (
            wait(reason, "it broke"),
            ModelProblem(
                "ImagePullFailed",
                "Image runtime:1 cannot be pulled: check its name, and that the nodes reach docker.io. (the node says: it broke)",
                stalled=False,
            ),
        )
        for reason in ("ErrImagePull", "ImagePullBackOff", "RegistryUnavailable")
    },
    "image is not on the node and never pulled": (
        wait("ErrImageNeverPull", "Container image is not present with pull policy of Never"),
        ModelProblem(
            "ImagePullFailed",
            "Image runtime:1 cannot be used: this node does not have it, and spec.runtime.imagePullPolicy is Never. "
            "Put it on the nodes, or let them pull it.",
            stalled=False,
        ),
    ),
    **{
        f"container cannot be started: {reason}": (
            wait(reason, "container has runAsNonRoot and image will run as root"),
            ModelProblem(
                "ContainerNotStarted",
                "The container cannot be started: container has runAsNonRoot and image will run as root",
                stalled=False,
            ),
        )
        for reason in ("CreateContainerConfigError", "CreateContainerError", "RunContainerError", "PreStartHookError")
    },
    "killed for memory": (
        end(exit_code=137, reason="OOMKilled"),
        ModelProblem(
            "OutOfMemory",
            "A replica used more memory than its limit (2Gi) and was killed. Raise limits.memory in the hardware class or in spec.runtime.resources.",
            stalled=False,
        ),
    ),
    "crash with a log": (
        end("Traceback\nImportError: no module\n", exit_code=2),
        ModelProblem(
            "RuntimeFailed",
            "The runtime ended with exit code 2: Traceback\nImportError: no module. See `kubectl logs --previous faq-1`.",
            stalled=False,
        ),
    ),
    "crash without a word": (
        end(exit_code=139),
        ModelProblem(
            "RuntimeFailed",
            "The runtime ended with exit code 139: it left no message. See `kubectl logs --previous faq-1`.",
            stalled=False,
        ),
    ),
    "evicted": (
        {"phase": "Failed", "reason": "Evicted", "message": "The node was low on resource: memory."},
        ModelProblem("Evicted", "A replica was stopped: The node was low on resource: memory.", stalled=False),
    ),
    "failed without a reason": (
        {"phase": "Failed"},
        ModelProblem("RuntimeFailed", "A replica was stopped: no reason given", stalled=False),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_pod_that_does_not_work_gives_its_reason_and_message(build_pod: Build, name: str) -> None:
    status, problem = CASES[name]
    assert find_problem(None, [build_pod(**status)]) == problem


@pytest.mark.parametrize("code", sorted(PERMANENT_CODES))
def test_runtimes_own_words_stall_when_time_alone_does_not_mend_them(build_pod: Build, code: str) -> None:
    assert find_problem(None, [build_pod(**end(say(code)))]) == ModelProblem(code, "what is wrong", stalled=True)


@pytest.mark.parametrize("code", ["FetchFailed", "OutOfMemory", "ScorerFailed", "SomethingOfAPlugIn"])
def test_runtimes_own_words_do_not_stall_when_another_try_may_work(build_pod: Build, code: str) -> None:
    assert find_problem(None, [build_pod(**end(say(code)))]) == ModelProblem(code, "what is wrong", stalled=False)


def test_runtimes_words_are_read_while_its_container_has_just_ended_or_runs_again(build_pod: Build) -> None:
    ended = {"exitCode": 1, "message": say("DigestMismatch")}
    for state in ({"state": {"terminated": ended}}, {"state": {"running": {}}, "lastState": {"terminated": ended}}):
        problem = find_problem(None, [build_pod(containerStatuses=[{"name": "runtime", "image": "r", **state}])])
        assert problem is not None
        assert problem.reason == "DigestMismatch"


@pytest.mark.parametrize(
    "status",
    [
        {},
        wait("ContainerCreating"),
        wait("PodInitializing"),
        {"containerStatuses": [{"name": "runtime", "image": "r", "state": {"running": {}}, "lastState": {}}]},
        {"containerStatuses": None, "initContainerStatuses": None, "conditions": None},
        {"conditions": [{"type": "PodScheduled", "status": "True"}]},
        {**end(say("DigestMismatch")), **READY},
    ],
)
def test_pod_on_its_way_or_ready_is_no_problem(build_pod: Build, status: dict[str, Any]) -> None:
    assert find_problem(None, [build_pod(**status)]) is None


def test_message_is_cut_when_the_runtime_or_the_log_says_too_much(build_pod: Build) -> None:
    for said in (say("ModelInvalid", "x" * 5000), "x" * 5000):
        problem = find_problem(None, [build_pod(**end(said))])
        assert problem is not None
        assert "x…" in problem.message
        assert len(problem.message) < MESSAGE_CHARACTERS + 150


def test_memory_limit_is_shown_as_none_when_there_is_none(build_pod: Build) -> None:
    pod = build_pod(**end(reason="OOMKilled"))
    pod["spec"]["containers"][0]["resources"] = {}
    problem = find_problem(None, [pod])
    assert problem is not None
    assert "its limit (none)" in problem.message


def test_init_container_is_looked_at_first(build_pod: Build) -> None:
    status = {**wait("ErrImagePull"), "initContainerStatuses": end("it broke")["containerStatuses"]}
    status["initContainerStatuses"][0]["state"] = {"waiting": {"reason": "InvalidImageName"}}
    problem = find_problem(None, [build_pod(**status)])
    assert problem is not None
    assert problem.reason == "InvalidImageName"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Traceback (most recent call last)",
        "null",
        "7",
        "[]",
        '"DigestMismatch"',
        "{}",
        '{"code": "DigestMismatch"}',
        '{"code": 1, "message": "x"}',
        '{"code": "DigestMismatch", "message": null}',
        '{"code": "Digest mismatch", "message": "x"}',
        '{"code": "", "message": "x"}',
        '{"code": "Größe", "message": "x"}',
        '{"code": "A", "message": "x"}\n{"code": "B", "message": "y"}',
        '{"code": "DigestMismatch", "mess',
    ],
)
def test_termination_message_that_is_not_the_runtimes_is_ignored(text: str) -> None:
    assert parse_termination_message(text) is None


@pytest.mark.parametrize("text", [say("DigestMismatch"), say("DigestMismatch") + "\n"])
def test_termination_message_of_the_runtime_is_read(text: str) -> None:
    assert parse_termination_message(text) == ("DigestMismatch", "what is wrong")


def test_newest_template_is_what_counts_when_old_pods_fail_otherwise(build_pod: Build) -> None:
    old = build_pod("faq-0", "2026-11-01T00:00:00Z", "old", **wait("ErrImagePull"))
    new = build_pod("faq-9", "2026-11-02T00:00:00Z", "new", **end(say("DigestMismatch")))
    for pods in ([old, new], [new, old]):
        problem = find_problem(None, pods)
        assert problem is not None
        assert problem.reason == "DigestMismatch"


def test_old_pods_that_fail_are_no_problem_when_the_new_ones_work(build_pod: Build) -> None:
    old = build_pod("faq-0", "2026-11-01T00:00:00Z", "old", **end())
    assert find_problem(None, [old, build_pod("faq-1", "2026-11-02T00:00:00Z", "new", **READY)]) is None


def test_pods_that_are_being_deleted_do_not_count(build_pod: Build) -> None:
    pod = build_pod(**end())
    pod["metadata"]["deletionTimestamp"] = "2026-11-02T00:00:00Z"
    assert find_problem(None, [pod]) is None


def test_message_stays_the_same_when_pods_come_in_another_order(build_pod: Build) -> None:
    """Otherwise each reconcile would write the status anew."""
    pods = [build_pod("faq-b", **end("b")), build_pod("faq-a", **end("a"))]
    assert find_problem(None, pods) == find_problem(None, pods[::-1])


def test_deployment_that_may_not_create_pods_says_so(build_deployment: Build, build_pod: Build) -> None:
    failure = {"type": "ReplicaFailure", "status": "True", "message": "exceeded quota: team"}
    deployment = build_deployment(conditions=[failure])
    assert find_problem(deployment, []) == ModelProblem(
        "ReplicasRefused", "The cluster refuses to create replicas: exceeded quota: team", stalled=False
    )
    assert find_problem(deployment, [build_pod(**end(say("DigestMismatch")))]) == ModelProblem(
        "DigestMismatch", "what is wrong"
    )


def test_replica_failure_that_is_over_is_no_problem(build_deployment: Build) -> None:
    failure = {"type": "ReplicaFailure", "status": "False", "message": "exceeded quota: team"}
    assert find_problem(build_deployment(conditions=[failure]), []) is None


def test_passed_progress_deadline_stalls_whatever_holds_the_deployment_up(
    build_deployment: Build, build_pod: Build
) -> None:
    late = build_deployment(reason="ProgressDeadlineExceeded")
    problem = find_problem(late, [build_pod(**refuse_to_place("no GPU"))])
    assert problem is not None
    assert (problem.reason, problem.stalled) == ("Unschedulable", True)


def test_passed_progress_deadline_is_the_reason_when_there_is_no_other(build_deployment: Build) -> None:
    assert find_problem(build_deployment(reason="ProgressDeadlineExceeded"), []) == ModelProblem(
        "ProgressDeadlineExceeded", "The replicas did not become ready in time; see the pods' logs and events."
    )


def test_nothing_is_no_problem_when_there_is_nothing_yet() -> None:
    assert find_problem(None, []) is None


def test_artifact_that_takes_long_to_fetch_is_told_and_not_stalled(build_deployment: Build, build_pod: Build) -> None:
    late = build_deployment(reason="ProgressDeadlineExceeded")
    problem = find_problem(late, [build_pod(**fetch({"running": {}}))])
    assert problem is not None
    assert (problem.reason, problem.stalled) == ("ProgressDeadlineExceeded", False)
    assert "still being fetched" in problem.message
