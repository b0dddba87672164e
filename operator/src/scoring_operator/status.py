"""The status of a ScoringModel: pure, from what was observed to conditions that kstatus, Argo CD, Flux and `kubectl wait` read.

Ready is the summary. Reconciling and Stalled are present only while true. Reasons are listed in docs/status.md.
"""

import datetime
from collections.abc import Sequence
from dataclasses import dataclass, field

from scoring_operator.api import Manifest, shorten
from scoring_operator.diagnosis import find_condition, find_problem, is_observed, read_hash
from scoring_operator.errors import ModelProblem
from scoring_operator.kinds import MODEL_LABEL
from scoring_operator.redaction import redactor
from scoring_operator.routing import ROUTE_READY, RouteVerdict

SERVING = "Serving"
SCALED_TO_ZERO = "ScaledToZero"
ROLLING_OUT = "RollingOut"
REPLICAS_UNAVAILABLE = "ReplicasUnavailable"
LOAD_BALANCER_PENDING = "LoadBalancerPending"

SCALING_INACTIVE = "ScalingInactive"
"""Type of the condition that stands, while true, for an autoscaler that cannot work; Ready does not depend on it."""

NO_REPLICAS = "No replicas, as asked for; scale up to get answers."
NO_WORK = "No replicas while there is no work; the autoscaler starts one when there is."

MESSAGE_CHARACTERS = 4096
"""Of a condition: a name that a user has made up, or what the API server says of it, may be of any length, and the CRD has a limit."""

COMPLETE = "NewReplicaSetAvailable"
"""Reason of a Deployment's Progressing condition once the newest template has fully rolled out."""

PAUSED = "DeploymentPaused"
"""The same while somebody has paused it: no pods are made of a newer template."""


@dataclass(frozen=True)
class Observation:
    """What there is of one ScoringModel: its body, its children and its pods, as last seen."""

    model: Manifest
    deployment: Manifest | None = None
    service: Manifest | None = None
    pods: Sequence[Manifest] = field(default_factory=tuple)
    hardware_class: str | None = None
    problem: ModelProblem | None = None
    """What kept the model from being rendered or applied."""

    scaling_problem: ModelProblem | None = None
    """What keeps the load from choosing the number of replicas."""

    route: RouteVerdict | None = None
    """Whether the model is reached at its host, if it has one."""

    @property
    def url(self) -> str | None:
        """Return where the endpoint answers: at its host once that is its own, else at its Service."""
        return (self.route.url if self.route else None) or find_url(self.service)


@dataclass(frozen=True)
class Replicas:
    """Numbers of a Deployment's replicas."""

    wished: int
    existing: int
    ready: int
    is_rolled_out: bool


@dataclass(frozen=True)
class Verdict:
    """The summary from which all conditions follow."""

    ready: str
    reason: str
    message: str
    stalled: bool = False

    @property
    def reconciling(self) -> bool:
        """Tell whether more is expected to happen by itself."""
        return self.ready != "True" and not self.stalled


def build_status(observation: Observation, now: datetime.datetime) -> Manifest:
    """Return the whole status; times of conditions that did not change stay as they were."""
    replicas = count_replicas(observation.deployment)
    verdict = judge(observation, replicas)
    name, generation = (observation.model["metadata"][field_name] for field_name in ("name", "generation"))
    known = observation.model.get("status", {})
    status = {
        "observedGeneration": generation,
        "appliedGeneration": generation if observation.problem is None else known.get("appliedGeneration"),
        "conditions": build_conditions(observation, verdict, now),
        "url": observation.url,
        "replicas": replicas.existing,
        "readyReplicas": replicas.ready,
        "selector": f"{MODEL_LABEL}={name}",
        "hardwareClass": observation.hardware_class or known.get("hardwareClass"),
    }
    return {field_name: value for field_name, value in status.items() if value is not None}


def count_replicas(deployment: Manifest | None) -> Replicas:
    """Return the numbers of replicas; without a Deployment all are 0."""
    if deployment is None:
        return Replicas(wished=0, existing=0, ready=0, is_rolled_out=False)
    status = deployment.get("status", {})
    existing = status.get("replicas", 0)
    is_complete = find_condition(deployment, "Progressing").get("reason") in {COMPLETE, PAUSED}
    return Replicas(
        wished=deployment["spec"].get("replicas", 1),
        existing=existing,
        ready=status.get("readyReplicas", 0),
        is_rolled_out=is_observed(deployment) and is_complete and status.get("updatedReplicas", 0) == existing,
    )


def is_progressing(deployment: Manifest | None) -> bool:
    """Tell whether a Deployment's newest generation rolls out and has not been given up on."""
    if deployment is None or count_replicas(deployment).is_rolled_out:
        return False
    return bool(find_condition(deployment, "Progressing").get("status") == "True")


def has_settled(deployment: Manifest) -> bool:
    """Tell whether a Deployment is where it is to be: rolled out, with as many replicas ready as are wished."""
    replicas = count_replicas(deployment)
    return replicas.is_rolled_out and replicas.ready == replicas.wished == replicas.existing


def judge(observation: Observation, replicas: Replicas) -> Verdict:
    """Return the summary. Never ready while the newest generation still rolls out; ready as long as one of its replicas answers."""
    if observation.problem is not None:
        return blame(observation.problem)
    problem = find_problem(observation.deployment, observation.pods)
    counts = f"{replicas.ready} of {replicas.wished} replicas ready"
    if not replicas.is_rolled_out and not is_only_scaled(observation):
        return (
            blame(problem) if problem else Verdict("Unknown", ROLLING_OUT, f"{counts}; {describe_rollout(observation)}")
        )
    return judge_service(observation.service) or judge_replicas(observation, replicas, problem)


def is_only_scaled(observation: Observation) -> bool:
    """Tell whether all that the Deployment's controller has not looked at yet can be its number of replicas: its pods are the newest."""
    deployment = observation.deployment
    if deployment is None or is_observed(deployment):
        return False
    wished = read_hash(deployment["spec"].get("template", {}))
    hashes = {read_hash(pod) for pod in observation.pods}
    return find_condition(deployment, "Progressing").get("reason") == COMPLETE and hashes == {wished} != {None}


def describe_rollout(observation: Observation) -> str:
    """Return what is to be said of a generation that is not out yet."""
    deployment = observation.deployment or {}
    if deployment.get("spec", {}).get("paused"):
        name = deployment["metadata"]["name"]
        return f"the newest generation waits, since somebody has paused it: kubectl rollout resume deployment/{name}."
    return "the newest generation is rolling out."


def judge_service(service: Manifest | None) -> Verdict | None:
    """Return why there is no address to reach the replicas at; None when there is one."""
    if service is None:
        return Verdict("Unknown", ROLLING_OUT, "The Service is being made.")
    if find_url(service) is None:
        message = "The Service has no address yet; a load balancer of the cluster has to give one. Without any, use endpoint.type ClusterIP."
        return Verdict("False", LOAD_BALANCER_PENDING, message)
    return None


def judge_replicas(observation: Observation, replicas: Replicas, problem: ModelProblem | None) -> Verdict:
    """Return the summary of a generation that has rolled out."""
    counts = f"{replicas.ready} of {replicas.wished} replicas ready"
    if replicas.wished == 0:
        is_scaled = observation.model["spec"].get("autoscaling") is not None
        return Verdict("True", SCALED_TO_ZERO, NO_WORK if is_scaled else NO_REPLICAS)
    if replicas.ready == 0:
        return blame(problem) if problem else Verdict("False", REPLICAS_UNAVAILABLE, f"{counts}.")
    return Verdict("True", SERVING, f"{counts}." if problem is None else f"{counts}. {problem.message}")


def blame(problem: ModelProblem) -> Verdict:
    """Return the verdict of a problem: not ready, for its reason."""
    return Verdict("False", problem.reason, problem.message, problem.stalled)


def build_conditions(observation: Observation, verdict: Verdict, now: datetime.datetime) -> list[Manifest]:
    """Return Ready; Reconciling, Stalled or ScalingInactive while they are true; RouteReady where there is a host."""
    said = (verdict.reason, verdict.message)
    wished = [("Ready", verdict.ready, *said)]
    if verdict.reconciling:
        wished.append(("Reconciling", "True", *said))
    if verdict.stalled:
        wished.append(("Stalled", "True", *said))
    if observation.scaling_problem is not None:
        wished.append(
            (SCALING_INACTIVE, "True", observation.scaling_problem.reason, observation.scaling_problem.message)
        )
    if observation.route is not None:
        wished.append((ROUTE_READY, observation.route.status, observation.route.reason, observation.route.message))
    return [complete_condition(observation.model, one, now) for one in wished]


def complete_condition(model: Manifest, wished: tuple[str, str, str, str], now: datetime.datetime) -> Manifest:
    """Return a condition of this type, status, reason and message; its transition time moves only when its status does."""
    condition_type, status, reason, message = wished
    known = find_condition(model, condition_type)
    changed = known.get("status") != status
    return {
        "type": condition_type,
        "status": status,
        "observedGeneration": model["metadata"]["generation"],
        "lastTransitionTime": now.strftime("%Y-%m-%dT%H:%M:%SZ") if changed else known["lastTransitionTime"],
        "reason": reason,
        "message": shorten(redactor.redact(message), MESSAGE_CHARACTERS),
    }


def find_url(service: Manifest | None) -> str | None:
    """Return where the endpoint answers: the load balancer's address or the Service's name; None until there is one."""
    if service is None:
        return None
    if service["spec"].get("type") != "LoadBalancer":
        return f"http://{service['metadata']['name']}.{service['metadata']['namespace']}.svc"
    entries = service.get("status", {}).get("loadBalancer", {}).get("ingress") or []
    hosts = (entry.get("hostname") or entry.get("ip") for entry in entries)
    return next((f"http://[{host}]" if ":" in host else f"http://{host}" for host in hosts if host), None)


def find_turned(before: Manifest, after: Manifest) -> list[Manifest]:
    """Return the conditions that are worth an event: Ready, ScalingInactive or RouteReady with another status or reason than before.

    That a new model, or its route, is on its way is not.
    """
    turned = []
    for condition_type in ("Ready", SCALING_INACTIVE, ROUTE_READY):
        old, new = (find_condition({"status": status}, condition_type) for status in (before, after))
        is_first = not old and new.get("status") == "Unknown"
        if new and not is_first and (old.get("status"), old.get("reason")) != (new["status"], new["reason"]):
            turned.append(new)
    return turned


def is_warning(condition: Manifest) -> bool:
    """Tell whether a condition says that something is wrong."""
    return bool(condition["status"] == ("True" if condition["type"] == SCALING_INACTIVE else "False"))
