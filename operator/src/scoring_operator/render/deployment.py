"""The Deployment: the serving runtime's pods, with the environment that docs/runtime-contract.md describes."""

import json

from scoring_operator.api import GROUP, HardwareClass, Manifest, ScoringModel
from scoring_operator.api.model_uri import find_file_format
from scoring_operator.errors import ModelProblem
from scoring_operator.kinds import DEPLOYMENT
from scoring_operator.render.access import render_access_environment, render_access_mounts, render_access_volumes
from scoring_operator.render.claim_template import CLAIM, render_claim_template
from scoring_operator.render.fetching import (
    CONTAINER,
    is_fetched,
    render_container_security,
    render_fetch_container,
    render_identity_annotations,
    render_identity_labels,
    render_mounts,
    render_volumes,
)
from scoring_operator.render.image import choose_pull_policy, render_pull_secrets
from scoring_operator.render.metadata import add_hash, compute_hash, render_labels, render_object, render_selector
from scoring_operator.render.placement import render_placement
from scoring_operator.render.resources import count_threads, merge_resources
from scoring_operator.render.service_account import choose_service_account
from scoring_operator.settings import Settings

RUNTIME_PORT = 8080
GRPC_PORT = 8081
FORMAT_OF_IMAGE_WITHOUT_FORMAT = "sklearn"
# Formats that another format's image serves too, unless they are given one of their own.
IMAGES_SHARED = {"keras": "tensorflow", "python": "sklearn"}
GRACE_SECONDS = 60
CLAIM_HASH_ANNOTATION = f"{GROUP}/claim-hash"
SCRAPE_ANNOTATIONS = {
    "prometheus.io/scrape": "true",
    "prometheus.io/port": str(RUNTIME_PORT),
    "prometheus.io/path": "/metrics",
}
"""What a Prometheus without the Prometheus operator's kinds goes by, as its documented configuration does."""


def render_deployment(model: ScoringModel, hardware: HardwareClass, settings: Settings) -> Manifest:
    """Return the Deployment; with autoscaling it names no number of replicas, so that the autoscaler's stays.

    Raises ModelProblem when no image is known for the model's format.
    """
    spec: Manifest = {
        "selector": {"matchLabels": render_selector(model)},
        "strategy": render_strategy(hardware),
        "template": add_hash(
            {
                "metadata": {
                    "labels": {**render_labels(model), **render_identity_labels(model)},
                    "annotations": {**render_annotations(model, hardware), **render_identity_annotations(model)},
                },
                "spec": render_pod_spec(model, hardware, settings),
            }
        ),
    }
    if model.spec.autoscaling is None:
        spec["replicas"] = model.spec.replicas
    return render_object(DEPLOYMENT, model, spec)


def render_annotations(model: ScoringModel, hardware: HardwareClass) -> dict[str, str]:
    """Return the pods' annotations; with the hash of their claim, since pods only name its template and would not follow a change of it."""
    claim = render_claim_template(model, hardware)
    return {**SCRAPE_ANNOTATIONS, **({CLAIM_HASH_ANNOTATION: compute_hash(claim)} if claim else {})}


def render_strategy(hardware: HardwareClass) -> Manifest:
    """Return the update strategy: a new replica comes before an old one goes.

    With devices it is the other way round, since none may be free for a new one while the old ones hold theirs.
    """
    surge, unavailable = (0, 1) if hardware.spec.has_devices else ("25%", 0)
    return {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": surge, "maxUnavailable": unavailable}}


def render_pod_spec(model: ScoringModel, hardware: HardwareClass, settings: Settings) -> Manifest:
    """Return the pod: restricted pod security, no service account token, nothing writable but two emptyDirs."""
    claims = {"resourceClaims": [{"name": CLAIM, "resourceClaimTemplateName": model.name}]}
    return {
        "serviceAccountName": choose_service_account(model, settings),
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": GRACE_SECONDS,
        "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
        **({"initContainers": [render_fetch_container(model, hardware, settings)]} if is_fetched(model) else {}),
        "containers": [render_container(model, hardware, settings)],
        "volumes": [*render_volumes(model), *render_access_volumes(model)],
        **render_pull_secrets(model, hardware, settings),
        **(claims if hardware.spec.resource_claim else {}),
        **render_placement(model, hardware.spec),
    }


def render_container(model: ScoringModel, hardware: HardwareClass, settings: Settings) -> Manifest:
    """Return the runtime's container."""
    image = choose_image(model, hardware, settings)
    return {
        "name": CONTAINER,
        "image": image,
        "imagePullPolicy": choose_pull_policy(model, image),
        "env": render_environment(model, hardware, settings),
        "ports": render_ports(model),
        "resources": render_resources(model, hardware),
        "readinessProbe": render_probe("/readyz", period_seconds=2, failures=2),
        "livenessProbe": render_probe("/healthz", period_seconds=10, failures=6),
        "securityContext": render_container_security(),
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "volumeMounts": [*render_mounts(model), *render_access_mounts(model)],
    }


def render_resources(model: ScoringModel, hardware: HardwareClass) -> Manifest:
    """Return requests and limits, and the claim of devices that a DRA driver gives."""
    resources: Manifest = {**merge_resources(model, hardware)}
    if hardware.spec.resource_claim:
        resources["claims"] = [{"name": CLAIM}]
    return resources


def render_ports(model: ScoringModel) -> list[Manifest]:
    """Return the container's ports: HTTP, and gRPC where the endpoint asks for it."""
    ports = {"http": RUNTIME_PORT, **({"grpc": GRPC_PORT} if model.spec.endpoint.grpc else {})}
    return [{"name": name, "containerPort": port, "protocol": "TCP"} for name, port in ports.items()]


def render_probe(path: str, period_seconds: int, failures: int) -> Manifest:
    """Return a probe; the runtime answers /healthz from its first second on, also while it loads, so no start-up probe is needed."""
    return {
        "httpGet": {"path": path, "port": "http"},
        "periodSeconds": period_seconds,
        "timeoutSeconds": 5,
        "failureThreshold": failures,
    }


def render_environment(model: ScoringModel, hardware: HardwareClass, settings: Settings) -> list[Manifest]:
    """Return the environment: what the contract asks for, then the model's own variables, which win."""
    source, batching = model.spec.model, model.spec.batching
    environment = {
        "SCORING_MODEL_NAME": model.name,
        "SCORING_MODEL_URI": source.uri,
        "SCORING_MODEL_DIGEST": source.digest,
        "SCORING_MODEL_FORMAT": source.format,
        "SCORING_MODEL_FETCHED": "true" if is_fetched(model) else None,
        "SCORING_BATCH_MAX_SIZE": batching.max_size,
        "SCORING_BATCH_MAX_DELAY_MILLISECONDS": batching.max_delay_milliseconds or None,
        "SCORING_GRPC_PORT": GRPC_PORT if model.spec.endpoint.grpc else None,
        "SCORING_PATH_PREFIX": model.spec.endpoint.path if model.spec.endpoint.prefix != "/" else None,
        "SCORING_THREADS": count_threads(model, hardware),
        **render_access_environment(model),
        "SCORING_REDACT_PATTERNS": json.dumps(settings.redact_patterns) if settings.redact_patterns else None,
        **{variable.name: variable.value for variable in model.spec.runtime.env},
    }
    return [{"name": name, "value": str(value)} for name, value in environment.items() if value is not None]


def choose_image(model: ScoringModel, hardware: HardwareClass, settings: Settings) -> str:
    """Return the runtime's image: the model's own, else the class's, else the operator's for the format and the class's variant."""
    wished = model.spec.runtime.image or hardware.spec.image
    if wished:
        return wished
    source = model.spec.model
    name = source.format or find_file_format(source.uri) or FORMAT_OF_IMAGE_WITHOUT_FORMAT
    names = (name, IMAGES_SHARED.get(name, name))
    variant = hardware.spec.image_variant
    variants = [f"{one}-{variant}" for one in names] if variant else []
    images = settings.runtime_images
    image = next((images[one] for one in (*variants, *names) if one in images), None)
    if image is None:
        raise ModelProblem(
            "InvalidSpec",
            f"the operator has no runtime image for format {name}: set spec.runtime.image, or add "
            f"{IMAGES_SHARED.get(name, name)} to the chart's runtimeImages.",
        )
    return image
