"""Why a model's pods do not work: pure reading of pods and Deployment into one ModelProblem.

The reasons are listed in docs/status.md. A problem is `stalled` when time alone will not mend it.
"""

import json
from collections.abc import Callable, Iterator, Sequence

from scoring_operator.api import Manifest
from scoring_operator.errors import ModelProblem
from scoring_operator.image_pulls import explain_pull
from scoring_operator.kinds import FETCH_CONTAINER, HASH_ANNOTATION
from scoring_operator.redaction import redactor

UNSCHEDULABLE = "Unschedulable"
VOLUME_UNAVAILABLE = "VolumeUnavailable"
IMAGE_PULL_FAILED = "ImagePullFailed"
IMAGE_NAME_INVALID = "InvalidImageName"
CONTAINER_NOT_STARTED = "ContainerNotStarted"
OUT_OF_MEMORY = "OutOfMemory"
RUNTIME_FAILED = "RuntimeFailed"
REPLICAS_REFUSED = "ReplicasRefused"
API_KEYS_MISSING = "ApiKeysMissing"
PROGRESS_DEADLINE_EXCEEDED = "ProgressDeadlineExceeded"

IMAGE_WAITING = {"ErrImagePull", "ImagePullBackOff", "ErrImageNeverPull", "RegistryUnavailable"}
START_WAITING = {"CreateContainerConfigError", "CreateContainerError", "RunContainerError", "PreStartHookError"}

PERMANENT_CODES = {
    "InvalidSettings",
    "ArtifactNotFound",
    "ArtifactCorrupt",
    "DigestMismatch",
    "DigestRequired",
    "AccessDenied",
    "CredentialsMissing",
    "ArtifactTooLarge",
    "DriverNotInstalled",
    "SignatureMissing",
    "SignatureInvalid",
    "UnknownFormat",
    "ManifestInvalid",
    "ModelInvalid",
    "FormatNotInstalled",
    "UnexpectedAnswer",
    API_KEYS_MISSING,
}
"""Codes of the runtime's termination message (docs/runtime-contract.md) that time alone will not mend."""

MESSAGE_CHARACTERS = 1024
KEYS_VOLUME = "api-keys"
POD_HASH_LABEL = "pod-template-hash"


def find_problem(deployment: Manifest | None, pods: Sequence[Manifest]) -> ModelProblem | None:
    """Return the most telling problem of the newest generation of pods, else of the Deployment, else None.

    When the Deployment's progress deadline has passed, whatever holds it up is stalled.
    """
    problem = next((found for pod in select_newest(deployment, pods) if (found := find_pod_problem(pod))), None)
    problem = name_keys_secret(problem, deployment)
    if not is_observed(deployment):
        return problem  # The Deployment's conditions still speak of the generation before.
    refused = find_condition(deployment, "ReplicaFailure")
    if problem is None and refused.get("status") == "True":
        problem = ModelProblem(
            REPLICAS_REFUSED, f"The cluster refuses to create replicas: {refused.get('message', '')}", stalled=False
        )
    if find_condition(deployment, "Progressing").get("reason") != PROGRESS_DEADLINE_EXCEEDED:
        return problem
    if problem is not None:
        return ModelProblem(problem.reason, problem.message, stalled=True)
    if any(map(is_being_fetched_for, select_newest(deployment, pods))):
        message = "The artifact is still being fetched, for more than 10 minutes now; the log of the container fetch tells how."
        return ModelProblem(PROGRESS_DEADLINE_EXCEEDED, message, stalled=False)
    return ModelProblem(
        PROGRESS_DEADLINE_EXCEEDED, "The replicas did not become ready in time; see the pods' logs and events."
    )


def is_observed(deployment: Manifest | None) -> bool:
    """Tell whether the Deployment's status is about its newest generation."""
    if deployment is None:
        return False
    observed: int = deployment.get("status", {}).get("observedGeneration", 0)
    return observed >= int(deployment["metadata"]["generation"])


def select_newest(deployment: Manifest | None, pods: Sequence[Manifest]) -> list[Manifest]:
    """Return the pods that the newest generation depends on, by name.

    They are those of the Deployment's template, by the hash that it was rendered with, and among these those of the ReplicaSet of the newest
    one (somebody else may have changed the template too). Pods that have failed for good count only while nothing has replaced them.
    """
    wanted = read_hash((deployment or {}).get("spec", {}).get("template", {}))
    living = [pod for pod in pods if "deletionTimestamp" not in pod["metadata"] and wanted in {None, read_hash(pod)}]
    working = [pod for pod in living if pod.get("status", {}).get("phase") != "Failed"] or living
    if not working:
        return []
    newest = max(working, key=lambda pod: pod["metadata"]["creationTimestamp"])
    chosen = [pod for pod in working if read_replica_set(pod) == read_replica_set(newest)]
    return sorted(chosen, key=lambda pod: str(pod["metadata"]["name"]))


def read_hash(body: Manifest) -> str | None:
    """Return the hash that a template was rendered with, from the template itself or a pod of it."""
    found: str | None = body.get("metadata", {}).get("annotations", {}).get(HASH_ANNOTATION)
    return found


def read_replica_set(pod: Manifest) -> str | None:
    """Return the label that the pods of one ReplicaSet share."""
    found: str | None = pod["metadata"].get("labels", {}).get(POD_HASH_LABEL)
    return found


def find_pod_problem(pod: Manifest) -> ModelProblem | None:
    """Return what keeps one pod from working, or None when it works or is on its way."""
    if is_ready(pod):
        return None
    looks: tuple[Callable[[Manifest], ModelProblem | None], ...] = (
        look_at_scheduling,
        look_at_waiting,
        look_at_end,
        look_at_eviction,
    )
    return next((problem for look in looks if (problem := look(pod))), None)


def is_ready(pod: Manifest) -> bool:
    """Tell whether the pod's Ready condition is true."""
    return find_condition(pod, "Ready").get("status") == "True"


def look_at_scheduling(pod: Manifest) -> ModelProblem | None:
    """Return the scheduler's reason for placing the pod nowhere, with what the pod asks for."""
    condition = find_condition(pod, "PodScheduled")
    if condition.get("reason") != "Unschedulable":
        return None
    said = condition.get("message", "").rstrip(".")
    if "persistentvolumeclaim" in said.lower():
        message = f"The volume of spec.model.uri cannot be used: {said}. Create the PersistentVolumeClaim, or correct the URI."
        return ModelProblem(VOLUME_UNAVAILABLE, message, stalled=False)
    asked = ", ".join(f"{name} {amount}" for name, amount in sorted(find_requests(pod).items())) or "nothing"
    message = f"No node takes a replica: {said}. A replica asks for {asked}; add such a node, or choose another hardware class."
    return ModelProblem(UNSCHEDULABLE, message, stalled=False)


def look_at_waiting(pod: Manifest) -> ModelProblem | None:
    """Return why the container cannot be started: its image or its configuration."""
    for status in find_containers(pod):
        waiting = status.get("state", {}).get("waiting", {})
        reason, detail = waiting.get("reason"), shorten(waiting.get("message", ""))
        if reason == IMAGE_NAME_INVALID:
            remedy = "runtimeImages.fetch of the operator's chart" if is_fetching(status) else "spec.runtime.image"
            return ModelProblem(IMAGE_NAME_INVALID, f"{status['image']} is not the name of an image: correct {remedy}.")
        if reason in IMAGE_WAITING:
            secrets = [str(secret.get("name")) for secret in pod["spec"].get("imagePullSecrets") or []]
            return ModelProblem(
                IMAGE_PULL_FAILED, explain_pull(status["image"], reason, detail, secrets), stalled=False
            )
        if reason in START_WAITING:
            return ModelProblem(CONTAINER_NOT_STARTED, f"The container cannot be started: {detail}", stalled=False)
    return None


def look_at_end(pod: Manifest) -> ModelProblem | None:
    """Return why the container ended last, as long as the pod has not become ready since."""
    for status in find_containers(pod):
        ended = status.get("state", {}).get("terminated") or status.get("lastState", {}).get("terminated")
        is_looping = status.get("state", {}).get("waiting", {}).get("reason") == "CrashLoopBackOff"
        if ended and (is_looping or ended.get("exitCode") or ended.get("reason") == "OOMKilled"):
            return describe_end(pod, status, ended)
    return None


def look_at_eviction(pod: Manifest) -> ModelProblem | None:
    """Return why the kubelet took the pod down as a whole."""
    status = pod.get("status", {})
    if status.get("phase") != "Failed":
        return None
    reason = status.get("reason") or RUNTIME_FAILED
    return ModelProblem(
        reason, f"A replica was stopped: {shorten(status.get('message', 'no reason given'))}", stalled=False
    )


def describe_end(pod: Manifest, status: Manifest, ended: Manifest) -> ModelProblem:
    """Return the problem that a container's end stands for: out of memory, the runtime's own words, or a plain failure."""
    if ended.get("reason") == "OOMKilled":
        limit = pod["spec"]["containers"][0].get("resources", {}).get("limits", {}).get("memory", "none")
        message = f"A replica used more memory than its limit ({limit}) and was killed. Raise limits.memory in the hardware class or in spec.runtime.resources."
        return ModelProblem(OUT_OF_MEMORY, message, stalled=False)
    said = parse_termination_message(ended.get("message", ""))
    if said is not None:
        code, message = said
        return ModelProblem(code, shorten(message), stalled=code in PERMANENT_CODES)
    lines = shorten(ended.get("message", "").strip()) or "it left no message"
    subject, where = ("Fetching", f" --container {FETCH_CONTAINER}") if is_fetching(status) else ("The runtime", "")
    message = (
        f"{subject} ended with exit code {ended.get('exitCode')}: {lines}. "
        f"See `kubectl logs --previous {pod['metadata']['name']}{where}`."
    )
    return ModelProblem(RUNTIME_FAILED, message, stalled=False)


def name_keys_secret(problem: ModelProblem | None, deployment: Manifest | None) -> ModelProblem | None:
    """Return the problem; that of missing keys with the Secret's name, which the pods' template has, as Secrets are not read."""
    if problem is None or problem.reason != API_KEYS_MISSING or deployment is None:
        return problem
    volumes = deployment["spec"].get("template", {}).get("spec", {}).get("volumes") or []
    names = [volume["secret"]["secretName"] for volume in volumes if volume["name"] == KEYS_VOLUME]
    said = f"The Secret {names[0]} of spec.endpoint.apiKeys does not exist, or is of no use. " if names else ""
    return ModelProblem(problem.reason, said + problem.message, stalled=problem.stalled)


def parse_termination_message(text: str) -> tuple[str, str] | None:
    """Return code and message of the runtime's last words, one line of JSON; None when the text is something else."""
    try:
        said = json.loads(text)
        code, message = said["code"], said["message"]
    except (ValueError, KeyError, TypeError):
        return None
    if not (isinstance(code, str) and isinstance(message, str) and code.isalnum() and code.isascii()):
        return None
    return code, message


def find_condition(body: Manifest | None, condition_type: str) -> Manifest:
    """Return a condition of an object's status, or an empty dictionary."""
    conditions = (body or {}).get("status", {}).get("conditions") or []
    return next((condition for condition in conditions if condition["type"] == condition_type), {})


def find_containers(pod: Manifest) -> Iterator[Manifest]:
    """Yield the statuses of the pod's containers, init containers first."""
    status = pod.get("status", {})
    yield from status.get("initContainerStatuses") or []
    yield from status.get("containerStatuses") or []


def is_being_fetched_for(pod: Manifest) -> bool:
    """Tell whether a pod's artifact is on its way: a large one may take longer than a Deployment waits."""
    return any(is_fetching(status) and "running" in status.get("state", {}) for status in find_containers(pod))


def is_fetching(status: Manifest) -> bool:
    """Tell whether a container's status is that of the one that fetches the artifact."""
    return status.get("name") == FETCH_CONTAINER


def find_requests(pod: Manifest) -> dict[str, str]:
    """Return the requests of the pod's first container."""
    requests: dict[str, str] = pod["spec"]["containers"][0].get("resources", {}).get("requests") or {}
    return requests


def shorten(text: str) -> str:
    """Return what a pod says, without secrets, cut to what a condition's message should hold; a secret that is cut first is harder to find."""
    clean = redactor.redact(text)
    return clean if len(clean) <= MESSAGE_CHARACTERS else clean[: MESSAGE_CHARACTERS - 1] + "…"
