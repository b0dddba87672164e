import datetime
from collections.abc import Callable
from typing import Any

import pytest

from scoring_operator.api import Manifest
from scoring_operator.errors import ModelProblem
from scoring_operator.routing import RouteVerdict
from scoring_operator.status import Observation, build_status, find_turned, find_url, has_settled, is_warning

Build = Callable[..., Manifest]

NOW = datetime.datetime(2026, 11, 24, 12, 0, tzinfo=datetime.UTC)
NOW_TEXT = "2026-11-24T12:00:00Z"
EARLIER = "2026-11-20T08:00:00Z"
SERVICE: Manifest = {"metadata": {"name": "faq", "namespace": "team"}, "spec": {"type": "ClusterIP"}}
LOAD_BALANCER: Manifest = {**SERVICE, "spec": {"type": "LoadBalancer"}}
CRASHED = {
    "containerStatuses": [
        {
            "name": "runtime",
            "image": "r",
            "state": {},
            "lastState": {
                "terminated": {"exitCode": 1, "message": '{"code": "DigestMismatch", "message": "Not the bytes."}'}
            },
        }
    ]
}


def find_conditions(observation: Observation) -> dict[str, Manifest]:
    """Return the conditions by type."""
    return {condition["type"]: condition for condition in build_status(observation, NOW)["conditions"]}


def read_ready(observation: Observation) -> tuple[str, str, str]:
    """Return status, reason and message of Ready."""
    ready = find_conditions(observation)["Ready"]
    return ready["status"], ready["reason"], ready["message"]


@pytest.fixture
def model(build_body: Build) -> Manifest:
    return build_body()


def add_template(body: Manifest, rendered_hash: str) -> Manifest:
    """Return a Deployment whose template has this hash, or a pod that was made of such a template."""
    template = {"metadata": {"annotations": {"scoring.dev/rendered-hash": rendered_hash}}}
    if "replicas" in body["spec"]:
        return {**body, "spec": {**body["spec"], "template": template}}
    return {**body, "metadata": {**body["metadata"], **template["metadata"]}}


def test_another_number_of_replicas_is_no_rollout(model: Manifest, build_deployment: Build, build_pod: Build) -> None:
    """The Deployment's controller may take its time to look at what an autoscaler has written."""
    scaled = build_deployment(1, observedGeneration=3)
    scaled["spec"]["replicas"] = 3
    pods = [add_template(build_pod(), "new")]
    still = read_ready(Observation(model, add_template(scaled, "new"), SERVICE, pods))
    assert still == ("True", "Serving", "1 of 3 replicas ready.")
    changed = read_ready(Observation(model, add_template(scaled, "newer"), SERVICE, pods))
    assert changed[:2] == ("Unknown", "RollingOut")


def test_rollout_that_somebody_has_paused_says_so(model: Manifest, build_deployment: Build) -> None:
    paused = build_deployment(2, reason="DeploymentPaused")
    paused["spec"]["paused"] = True
    assert read_ready(Observation(model, paused, SERVICE))[:2] == ("True", "Serving")
    paused["status"]["updatedReplicas"] = 0
    assert read_ready(Observation(model, paused, SERVICE)) == (
        "Unknown",
        "RollingOut",
        "2 of 2 replicas ready; the newest generation waits, since somebody has paused it: kubectl rollout resume deployment/faq.",
    )


def test_serving_model_has_the_whole_status(model: Manifest, build_deployment: Build) -> None:
    status = build_status(Observation(model, build_deployment(2), SERVICE, hardware_class="cpu"), NOW)
    assert status == {
        "observedGeneration": 3,
        "appliedGeneration": 3,
        "conditions": [
            {
                "type": "Ready",
                "status": "True",
                "observedGeneration": 3,
                "lastTransitionTime": NOW_TEXT,
                "reason": "Serving",
                "message": "2 of 2 replicas ready.",
            }
        ],
        "url": "http://faq.team.svc",
        "replicas": 2,
        "readyReplicas": 2,
        "selector": "scoring.dev/model=faq",
        "hardwareClass": "cpu",
    }


@pytest.mark.parametrize(
    ("numbers", "message"),
    [
        ({"observedGeneration": 3}, "2 of 2 replicas ready; the newest generation is rolling out."),
        ({"updatedReplicas": 1}, "2 of 2 replicas ready; the newest generation is rolling out."),
        ({"reason": "ReplicaSetUpdated"}, "2 of 2 replicas ready; the newest generation is rolling out."),
        (
            {"conditions": [], "readyReplicas": 0},
            "0 of 2 replicas ready; the newest generation is rolling out.",
        ),
    ],
)
def test_ready_is_unknown_while_the_newest_generation_rolls_out(
    model: Manifest, build_deployment: Build, numbers: dict[str, Any], message: str
) -> None:
    observation = Observation(model, build_deployment(**numbers), SERVICE)
    assert read_ready(observation) == ("Unknown", "RollingOut", message)


def test_ready_is_unknown_while_there_is_no_deployment_yet(model: Manifest) -> None:
    observation = Observation(model)
    assert read_ready(observation)[:2] == ("Unknown", "RollingOut")
    status = build_status(observation, NOW)
    assert (status["replicas"], status["readyReplicas"]) == (0, 0)
    assert not {"url", "hardwareClass"} & status.keys()


def test_deployment_that_nobody_has_looked_at_yet_rolls_out(model: Manifest, build_deployment: Build) -> None:
    deployment = build_deployment()
    del deployment["status"]
    assert read_ready(Observation(model, deployment, SERVICE))[1] == "RollingOut"


def test_failing_new_generation_is_blamed_although_old_replicas_answer(
    model: Manifest, build_deployment: Build, build_pod: Build
) -> None:
    deployment = build_deployment(updatedReplicas=1, reason="ReplicaSetUpdated")
    observation = Observation(model, deployment, SERVICE, [build_pod(**CRASHED)])
    assert read_ready(observation) == ("False", "DigestMismatch", "Not the bytes.")


def test_one_of_two_replicas_down_stays_ready_with_the_reason_in_the_message(
    model: Manifest, build_deployment: Build, build_pod: Build
) -> None:
    pods = [build_pod("faq-1", conditions=[{"type": "Ready", "status": "True"}]), build_pod("faq-2", **CRASHED)]
    observation = Observation(model, build_deployment(2, readyReplicas=1), SERVICE, pods)
    assert read_ready(observation) == ("True", "Serving", "1 of 2 replicas ready. Not the bytes.")
    assert find_conditions(observation).keys() == {"Ready"}


def test_no_replica_ready_is_blamed_on_the_problem(model: Manifest, build_deployment: Build, build_pod: Build) -> None:
    deployment = build_deployment(2, readyReplicas=0)
    assert read_ready(Observation(model, deployment, SERVICE, [build_pod(**CRASHED)]))[:2] == (
        "False",
        "DigestMismatch",
    )
    assert read_ready(Observation(model, deployment, SERVICE)) == (
        "False",
        "ReplicasUnavailable",
        "0 of 2 replicas ready.",
    )


def test_ready_replicas_left_out_by_the_server_are_none(model: Manifest, build_deployment: Build) -> None:
    deployment = build_deployment(1)
    del deployment["status"]["readyReplicas"]
    status = build_status(Observation(model, deployment, SERVICE), NOW)
    assert status["readyReplicas"] == 0
    assert status["conditions"][0]["reason"] == "ReplicasUnavailable"


def test_scaled_to_zero_is_ready(model: Manifest, build_deployment: Build) -> None:
    deployment = build_deployment(0)
    deployment["status"] = {"observedGeneration": 4, "conditions": deployment["status"]["conditions"]}
    observation = Observation(model, deployment, SERVICE)
    assert read_ready(observation) == (
        "True",
        "ScaledToZero",
        "No replicas, as asked for; scale up to get answers.",
    )


@pytest.mark.parametrize(
    ("service", "url"),
    [
        (SERVICE, "http://faq.team.svc"),
        ({**LOAD_BALANCER, "status": {"loadBalancer": {"ingress": [{"ip": "192.0.2.7"}]}}}, "http://192.0.2.7"),
        (
            {**LOAD_BALANCER, "status": {"loadBalancer": {"ingress": [{"hostname": "lb.example.com"}, {"ip": "x"}]}}},
            "http://lb.example.com",
        ),
    ],
)
def test_url_is_where_the_service_answers(
    model: Manifest, build_deployment: Build, service: Manifest, url: str
) -> None:
    status = build_status(Observation(model, build_deployment(), service), NOW)
    assert status["url"] == url
    assert status["conditions"][0]["status"] == "True"


@pytest.mark.parametrize("status", [{}, {"loadBalancer": {}}, {"loadBalancer": {"ingress": []}}])
def test_load_balancer_without_address_is_not_ready(
    model: Manifest, build_deployment: Build, status: dict[str, Any]
) -> None:
    observation = Observation(model, build_deployment(), {**LOAD_BALANCER, "status": status})
    assert read_ready(observation) == (
        "False",
        "LoadBalancerPending",
        "The Service has no address yet; a load balancer of the cluster has to give one. Without any, use endpoint.type ClusterIP.",
    )
    assert find_conditions(observation).keys() == {"Ready", "Reconciling"}
    assert "url" not in build_status(observation, NOW)


@pytest.mark.parametrize(("stalled", "beside"), [(True, "Stalled"), (False, "Reconciling")])
def test_problem_of_the_model_is_stalled_or_reconciling(
    model: Manifest, build_deployment: Build, stalled: bool, beside: str
) -> None:
    problem = ModelProblem("InvalidSpec", "spec.replicas: too many.", stalled=stalled)
    conditions = find_conditions(Observation(model, build_deployment(), SERVICE, problem=problem))
    assert conditions.keys() == {"Ready", beside}
    for condition in conditions.values():
        assert (condition["reason"], condition["message"]) == ("InvalidSpec", "spec.replicas: too many.")
    assert [condition["status"] for condition in conditions.values()] == ["False", "True"]


def test_progress_deadline_turns_a_roll_out_stalled(model: Manifest, build_deployment: Build) -> None:
    observation = Observation(model, build_deployment(reason="ProgressDeadlineExceeded"), SERVICE)
    assert read_ready(observation)[:2] == ("False", "ProgressDeadlineExceeded")
    assert find_conditions(observation).keys() == {"Ready", "Stalled"}


def describe_known(status: str) -> Manifest:
    return {
        "hardwareClass": "gpu",
        "conditions": [
            {"type": "Ready", "status": status, "reason": "Old", "message": "old", "lastTransitionTime": EARLIER}
        ],
    }


@pytest.mark.parametrize(("known", "time"), [("True", EARLIER), ("False", NOW_TEXT), ("Unknown", NOW_TEXT)])
def test_transition_time_moves_only_when_the_status_of_the_condition_does(
    build_body: Build, build_deployment: Build, known: str, time: str
) -> None:
    body = build_body(status=describe_known(known))
    ready = find_conditions(Observation(body, build_deployment(), SERVICE))["Ready"]
    assert ready["lastTransitionTime"] == time
    assert ready["reason"] == "Serving"


def test_status_stays_the_same_when_it_is_built_again_later(build_body: Build, build_deployment: Build) -> None:
    """Otherwise each reconcile would write it anew."""
    for deployment in (build_deployment(), build_deployment(updatedReplicas=1), None):
        first = build_status(Observation(build_body(), deployment, SERVICE), NOW)
        later = NOW + datetime.timedelta(hours=1)
        assert build_status(Observation(build_body(status=first), deployment, SERVICE), later) == first


def test_class_used_last_is_kept_while_none_can_be_chosen(build_body: Build) -> None:
    problem = ModelProblem("HardwareClassNotFound", "There is none.")
    status = build_status(Observation(build_body(status=describe_known("True")), problem=problem), NOW)
    assert status["hardwareClass"] == "gpu"


@pytest.mark.parametrize(
    ("before", "status", "reason", "turned"),
    [
        ({}, "Unknown", "RollingOut", False),
        ({}, "False", "HardwareClassNotFound", True),
        ({}, "True", "Serving", True),
        (("Unknown", "RollingOut"), "Unknown", "RollingOut", False),
        (("Unknown", "RollingOut"), "True", "Serving", True),
        (("False", "FetchFailed"), "False", "DigestMismatch", True),
    ],
)
def test_event_is_due_when_ready_turns_or_has_another_reason(
    before: tuple[str, str] | dict[str, str], status: str, reason: str, turned: bool
) -> None:
    def describe(ready_status: str, ready_reason: str) -> Manifest:
        return {"conditions": [{"type": "Ready", "status": ready_status, "reason": ready_reason, "message": "any"}]}

    known = describe(*before) if isinstance(before, tuple) else before
    after = describe(status, reason)
    assert find_turned(known, after) == ([after["conditions"][0]] if turned else [])


@pytest.mark.parametrize(
    ("entries", "url"),
    [
        ([{"ip": "fd00::1"}], "http://[fd00::1]"),
        ([{"ipMode": "VIP"}, {"hostname": "lb.example.com"}], "http://lb.example.com"),
        ([{"ipMode": "VIP"}], None),
    ],
)
def test_url_is_right_for_every_address_of_a_load_balancer(entries: list[Manifest], url: str | None) -> None:
    service = {"spec": {"type": "LoadBalancer"}, "status": {"loadBalancer": {"ingress": entries}}}
    assert find_url(service) == url


UNSCALED = ModelProblem("KedaNotInstalled", "A metric needs KEDA.")


def test_scaling_that_does_not_work_stands_beside_ready_and_leaves_it_true(
    build_body: Build, build_deployment: Build
) -> None:
    observation = Observation(build_body(), build_deployment(), SERVICE, scaling_problem=UNSCALED)
    ready, scaling = build_status(observation, NOW)["conditions"]
    assert (ready["type"], ready["status"], ready["reason"]) == ("Ready", "True", "Serving")
    assert (scaling["type"], scaling["status"], scaling["reason"], scaling["message"]) == (
        "ScalingInactive",
        "True",
        "KedaNotInstalled",
        "A metric needs KEDA.",
    )


def test_scaling_that_stops_working_is_worth_an_event(build_body: Build, build_deployment: Build) -> None:
    works = build_status(Observation(build_body(), build_deployment(), SERVICE), NOW)
    fails = build_status(
        Observation(build_body(status=works), build_deployment(), SERVICE, scaling_problem=UNSCALED), NOW
    )
    assert find_turned(works, fails) == [fails["conditions"][1]]
    assert is_warning(fails["conditions"][1])
    assert find_turned(fails, works) == []


def test_scaled_to_zero_by_the_autoscaler_says_who_starts_a_replica(build_body: Build, build_deployment: Build) -> None:
    orders = {"type": "prometheus", "query": "sum(orders_waiting)", "target": 10}
    body = build_body(autoscaling={"minReplicas": 0, "maxReplicas": 3, "metrics": [orders]})
    (ready,) = build_status(Observation(body, build_deployment(0), SERVICE), NOW)["conditions"]
    assert (ready["status"], ready["reason"]) == ("True", "ScaledToZero")
    assert ready["message"] == "No replicas while there is no work; the autoscaler starts one when there is."


@pytest.mark.parametrize(
    ("numbers", "settled"),
    [
        ({}, True),
        ({"readyReplicas": 1}, False),
        ({"updatedReplicas": 1}, False),
        ({"observedGeneration": 3}, False),
        ({"reason": "ReplicaSetUpdated"}, False),
    ],
)
def test_deployment_has_settled_once_all_its_newest_replicas_are_ready(
    numbers: dict[str, Any], settled: bool, build_deployment: Build
) -> None:
    assert has_settled(build_deployment(**numbers)) is settled


ROUTED = RouteVerdict("True", "Routed", "It is routed.", "https://faq.example.com")


def test_model_with_a_host_has_its_url_and_the_condition_of_its_route(model: Manifest, build_deployment: Build) -> None:
    observation = Observation(model, build_deployment(), SERVICE, route=ROUTED)
    assert build_status(observation, NOW)["url"] == "https://faq.example.com"
    conditions = find_conditions(observation)
    assert conditions["RouteReady"]["status"] == conditions["Ready"]["status"] == "True"


def test_model_without_its_host_serves_at_its_service(model: Manifest, build_deployment: Build) -> None:
    taken = RouteVerdict("False", "HostTaken", "Web has it.")
    observation = Observation(model, build_deployment(), SERVICE, route=taken)
    assert build_status(observation, NOW)["url"] == "http://faq.team.svc"
    conditions = find_conditions(observation)
    assert conditions.keys() == {"Ready", "RouteReady"}
    assert (conditions["Ready"]["status"], conditions["RouteReady"]["status"]) == ("True", "False")


def test_turn_of_the_route_is_worth_an_event_but_not_that_it_is_on_its_way(
    build_body: Build, build_deployment: Build
) -> None:
    def describe(status: str, reason: str, before: Manifest | None = None) -> Manifest:
        verdict = RouteVerdict(status, reason, "Said.", "https://faq.example.com")
        return build_status(Observation(build_body(status=before), build_deployment(), SERVICE, route=verdict), NOW)

    serving = build_status(Observation(build_body(), build_deployment(), SERVICE), NOW)
    pending = describe("Unknown", "RoutePending", serving)
    assert find_turned(serving, pending) == []
    works, fails = describe("True", "Routed", pending), describe("False", "RouteRefused", pending)
    assert find_turned(pending, works) == [works["conditions"][-1]]
    assert not is_warning(works["conditions"][-1])
    assert find_turned(pending, fails) == [fails["conditions"][-1]]
    assert is_warning(fails["conditions"][-1])


def test_conditions_that_turn_at_the_same_time_have_an_event_each(build_body: Build, build_deployment: Build) -> None:
    taken = RouteVerdict("False", "HostTaken", "Web has it.")
    status = build_status(Observation(build_body(), build_deployment(), SERVICE, route=taken), NOW)
    assert [condition["reason"] for condition in find_turned({}, status)] == ["Serving", "HostTaken"]


@pytest.mark.parametrize(
    "waiting",
    [
        {"reason": "CreateContainerError", "message": "env PASSWORD=planted https://u:planted@host/x?sig=planted"},
        {"reason": "ErrImagePull", "message": "Authorization: Bearer planted-12345678"},
    ],
)
def test_no_message_holds_a_secret_whoever_said_it(
    model: Manifest, build_deployment: Build, build_pod: Build, waiting: Manifest
) -> None:
    pod = build_pod(containerStatuses=[{"image": "https://u:planted@registry/x", "state": {"waiting": waiting}}])
    deployment = build_deployment(1, reason="ReplicaSetUpdated")
    for observation in (
        Observation(model, deployment, SERVICE, [pod]),
        Observation(model, problem=ModelProblem("Rejected", "refused: token=planted")),
        Observation(model, scaling_problem=ModelProblem("ScalingFailed", "Cookie: planted")),
    ):
        conditions = find_conditions(observation).values()
        assert conditions
        assert "planted" not in str(list(conditions))


def test_a_secret_in_last_words_is_found_before_they_are_cut(
    model: Manifest, build_deployment: Build, build_pod: Build
) -> None:
    words = "x" * 1000 + " password=" + "planted" * 10
    crashed = {"name": "runtime", "image": "r", "state": {"terminated": {"exitCode": 1, "message": words}}}
    pod = build_pod(containerStatuses=[crashed])
    _, reason, message = read_ready(Observation(model, build_deployment(1, reason="x"), SERVICE, [pod]))
    assert reason == "RuntimeFailed"
    assert "planted" not in message
