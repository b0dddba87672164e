"""How the artifact gets into the pod: volumes, mounts, and the init container that fetches and verifies it.

Only that container gets the Secret with the credentials; the one that serves reads what it leaves, and cannot write to it.
"""

import json

from scoring_operator.api import HardwareClass, Manifest, ScoringModel
from scoring_operator.api.model_uri import REMOTE_SCHEMES, find_claim, find_scheme
from scoring_operator.errors import ModelProblem
from scoring_operator.kinds import FETCH_CONTAINER
from scoring_operator.quantities import parse_quantity
from scoring_operator.render.image import find_pull_policy
from scoring_operator.render.resources import merge_resources
from scoring_operator.settings import Settings

CONTAINER = "runtime"
FETCH_IMAGE = "fetch"
VOLUME_DIR = "/mnt/model"
WORK_DIR = "/var/lib/scoring"
CREDENTIALS_DIR = "/etc/scoring/credentials"
TEMPORARY_DIR = "/tmp"  # noqa: S108 (the container's own emptyDir)
CLOUD_IDENTITIES = {"s3": "eks.amazonaws.com", "abfs": "azure.workload.identity", "abfss": "azure.workload.identity"}
"""Prefixes of the labels and annotations by which clouds' admission webhooks give a pod its account's identity."""


def render_container_security() -> Manifest:
    """Return what the restricted pod security standard asks of each container, and a file system that cannot be written."""
    return {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


def is_fetched(model: ScoringModel) -> bool:
    """Tell whether an init container fetches the artifact, or at least verifies its signature."""
    source = model.spec.model
    return find_scheme(source.uri) in REMOTE_SCHEMES or source.signature is not None


def uses_identity(model: ScoringModel) -> bool:
    """Tell whether the artifact is fetched with the pod's own identity in the cloud, if it has one."""
    credentials = model.spec.model.credentials
    is_given = credentials is not None and (credentials.secret_name is not None or credentials.anonymous)
    return find_scheme(model.spec.model.uri) in {"s3", "gs", "abfs", "abfss"} and not is_given


def render_volumes(model: ScoringModel) -> list[Manifest]:
    """Return the pod's volumes: two emptyDirs, the claim of a pvc:// URI, the Secret with the credentials."""
    source = model.spec.model
    work = {} if source.size_limit is None else {"sizeLimit": str(source.size_limit)}
    volumes: list[Manifest] = [{"name": "work", "emptyDir": work}, {"name": "tmp", "emptyDir": {}}]
    claim = find_claim(source.uri)
    if claim:
        volumes.append({"name": "model", "persistentVolumeClaim": {"claimName": claim, "readOnly": True}})
    if source.credentials and source.credentials.secret_name:
        # Optional: without it the container starts all the same and says what is missing, where the kubelet would only wait.
        secret = {"secretName": source.credentials.secret_name, "optional": True}
        volumes.append({"name": "credentials", "secret": secret})
    return volumes


def render_mounts(model: ScoringModel) -> list[Manifest]:
    """Return the serving container's mounts: what another container has fetched for it is read-only."""
    work: Manifest = {"name": "work", "mountPath": WORK_DIR, **({"readOnly": True} if is_fetched(model) else {})}
    return [work, *render_common_mounts(model)]


def render_common_mounts(model: ScoringModel) -> list[Manifest]:
    """Return the mounts that both containers have."""
    mounts: list[Manifest] = [{"name": "tmp", "mountPath": TEMPORARY_DIR}]
    if find_claim(model.spec.model.uri):
        mounts.append({"name": "model", "mountPath": VOLUME_DIR, "readOnly": True})
    return mounts


def render_fetch_container(model: ScoringModel, hardware: HardwareClass, settings: Settings) -> Manifest:
    """Return the init container; it has the serving one's resources without devices, which costs nothing: they never run together.

    Raises ModelProblem when the operator knows no image for it.
    """
    image = settings.runtime_images.get(FETCH_IMAGE)
    if image is None:
        raise ModelProblem(
            "InvalidSpec",
            f"the operator has no image that fetches {find_scheme(model.spec.model.uri)}:// artifacts or checks signatures: add "
            f"{FETCH_IMAGE} to the chart's runtimeImages.",
        )
    credentials = model.spec.model.credentials
    mounts: list[Manifest] = [{"name": "work", "mountPath": WORK_DIR}, *render_common_mounts(model)]
    if credentials and credentials.secret_name:
        mounts.append({"name": "credentials", "mountPath": CREDENTIALS_DIR, "readOnly": True})
    return {
        "name": FETCH_CONTAINER,
        "image": image,
        "imagePullPolicy": find_pull_policy(image),
        "args": ["fetch"],
        "env": render_fetch_environment(model, settings),
        "resources": render_fetch_resources(model, hardware),
        "securityContext": render_container_security(),
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "volumeMounts": mounts,
    }


def render_fetch_environment(model: ScoringModel, settings: Settings) -> list[Manifest]:
    """Return the init container's environment: where the artifact is and how it is checked, then the model's own variables."""
    source = model.spec.model
    credentials, signature = source.credentials, source.signature
    environment = {
        "SCORING_MODEL_NAME": model.name,
        "SCORING_MODEL_URI": source.uri,
        "SCORING_MODEL_DIGEST": source.digest,
        "SCORING_MODEL_ENDPOINT": source.endpoint,
        "SCORING_MODEL_SECRET_NAME": credentials.secret_name if credentials else None,
        "SCORING_MODEL_ANONYMOUS": "true" if credentials and credentials.anonymous else None,
        "SCORING_MODEL_MAX_BYTES": None
        if source.size_limit is None
        else max(1, int(parse_quantity(source.size_limit))),
        "SCORING_MODEL_SIGNATURE_KEY": signature.public_key if signature else None,
        "SCORING_MODEL_SIGNATURE_URI": signature.uri if signature else None,
        "SCORING_MODEL_SIGNATURE": signature.value if signature else None,
        "SCORING_REDACT_PATTERNS": json.dumps(settings.redact_patterns) if settings.redact_patterns else None,
        **{variable.name: variable.value for variable in model.spec.runtime.env},
    }
    return [{"name": name, "value": str(value)} for name, value in environment.items() if value is not None]


def render_fetch_resources(model: ScoringModel, hardware: HardwareClass) -> Manifest:
    """Return requests and limits of CPU, memory and storage; extended resources, which have a / in their names, are not for fetching."""
    merged = merge_resources(model, hardware)
    return {side: {name: amount for name, amount in merged[side].items() if "/" not in name} for side in merged}


def render_identity_labels(model: ScoringModel) -> dict[str, str]:
    """Return the label without which Azure gives a pod no identity."""
    prefix = CLOUD_IDENTITIES.get(find_scheme(model.spec.model.uri))
    return {f"{prefix}/use": "true"} if uses_identity(model) and prefix == "azure.workload.identity" else {}


def render_identity_annotations(model: ScoringModel) -> dict[str, str]:
    """Return the annotation that keeps a cloud identity, meant for fetching, out of the container that runs the model."""
    prefix = CLOUD_IDENTITIES.get(find_scheme(model.spec.model.uri))
    return {f"{prefix}/skip-containers": CONTAINER} if uses_identity(model) and prefix else {}
