"""What holds of the status whatever the numbers of a Deployment's status are."""

import datetime
from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st

from scoring_operator.api import Manifest, ScoringModelStatus
from scoring_operator.errors import ModelProblem
from scoring_operator.status import Observation, build_status

Build = Callable[..., Manifest]

NOW = datetime.datetime(2026, 11, 24, 12, 0, tzinfo=datetime.UTC)
SERVICE: Manifest = {"metadata": {"name": "faq", "namespace": "team"}, "spec": {"type": "ClusterIP"}}
LOAD_BALANCER: Manifest = {**SERVICE, "spec": {"type": "LoadBalancer"}}

numbers = st.integers(0, 4)
deployments = st.builds(
    lambda wished, observed, reason, counts: {
        "metadata": {"name": "faq", "namespace": "team", "generation": 5},
        "spec": {"replicas": wished},
        "status": {
            "observedGeneration": observed,
            "conditions": [{"type": "Progressing", "status": "True", "reason": reason}] if reason else [],
            **counts,
        },
    },
    wished=numbers,
    observed=st.integers(3, 5),
    reason=st.sampled_from(
        [None, "NewReplicaSetCreated", "ReplicaSetUpdated", "NewReplicaSetAvailable", "ProgressDeadlineExceeded"]
    ),
    counts=st.dictionaries(
        st.sampled_from(["replicas", "updatedReplicas", "readyReplicas", "availableReplicas"]), numbers
    ),
)
problems = st.none() | st.builds(ModelProblem, st.just("Rejected"), st.just("No."), st.booleans())
services = st.sampled_from([None, SERVICE, LOAD_BALANCER])


@given(deployment=st.none() | deployments, service=services, problem=problems)
def test_ready_is_never_true_while_the_newest_generation_rolls_out(
    build_body: Build, deployment: Manifest | None, service: Manifest | None, problem: ModelProblem | None
) -> None:
    ready = build_status(Observation(build_body(), deployment, service, problem=problem), NOW)["conditions"][0]
    if ready["status"] != "True":
        return
    assert deployment is not None
    assert problem is None
    status = deployment["status"]
    assert status["observedGeneration"] == deployment["metadata"]["generation"]
    assert status["conditions"][0]["reason"] == "NewReplicaSetAvailable"
    assert status.get("replicas", 0) == status.get("updatedReplicas", 0)
    assert status.get("readyReplicas", 0) > 0 or deployment["spec"]["replicas"] == 0


@given(deployment=st.none() | deployments, service=services, problem=problems)
def test_conditions_agree_with_each_other_whatever_is_observed(
    build_body: Build, deployment: Manifest | None, service: Manifest | None, problem: ModelProblem | None
) -> None:
    status = build_status(Observation(build_body(), deployment, service, problem=problem), NOW)
    conditions = {condition["type"]: condition for condition in status["conditions"]}
    beside = conditions.keys() - {"Ready"}
    assert len(beside) == (0 if conditions["Ready"]["status"] == "True" else 1)
    assert beside <= {"Reconciling", "Stalled"}
    assert all(conditions[name]["status"] == "True" for name in beside)
    assert status["observedGeneration"] == 3
    assert all(condition["observedGeneration"] == 3 for condition in conditions.values())
    ScoringModelStatus.model_validate(status)  # What the CRD's schema takes.
