"""Builders of models, classes and observed objects for the operator's unit tests, and the option that rewrites the golden files."""

from collections.abc import Callable
from typing import Any

import hypothesis
import pytest

from scoring_operator.api import HardwareClass, Manifest, ScoringModel
from scoring_operator.settings import Settings

UID = "6b5f0d1e-0000-4000-8000-000000000001"
OLD = "2026-11-01T00:00:00Z"
TEMPLATE_HASH = "5d9c7b6f4d"

# A machine that is busy with something else must not make a property fail.
hypothesis.settings.register_profile("patient", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("patient")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="rewrite the golden files with what is rendered now")


@pytest.fixture(scope="session")
def is_updating_golden(pytestconfig: pytest.Config) -> bool:
    # Without the default it fails when the tests of another folder are named on the command line, since this file is read too late then.
    return bool(pytestconfig.getoption("update_golden", default=False))


@pytest.fixture(scope="session")
def settings() -> Settings:
    return Settings(
        runtime_images={
            "sklearn": "scoring-runtime:sklearn",
            "torch": "scoring-runtime:torch",
            "fetch": "scoring-runtime:fetch",
        },
        prometheus_address="http://prometheus.monitoring:9090",
    )


@pytest.fixture(scope="session")
def build_body() -> Callable[..., Manifest]:
    """Return the builder of a ScoringModel as the API server gives it; its keywords replace fields of the spec."""

    def build(name: str = "faq", generation: int = 3, status: Manifest | None = None, **spec: Any) -> Manifest:
        metadata = {"name": name, "namespace": "team", "uid": UID, "generation": generation}
        defaults = {"model": {"uri": "pvc://models/faq/faq.tar", "format": "sklearn"}}
        body = {"apiVersion": "scoring.dev/v1beta1", "kind": "ScoringModel", "metadata": metadata}
        return {**body, "spec": {**defaults, **spec}, **({"status": status} if status is not None else {})}

    return build


@pytest.fixture(scope="session")
def build_model(build_body: Callable[..., Manifest]) -> Callable[..., ScoringModel]:
    """Return the builder of a parsed ScoringModel; its keywords replace fields of the spec."""

    def build(name: str = "faq", **spec: Any) -> ScoringModel:
        return ScoringModel.parse(build_body(name, **spec))

    return build


@pytest.fixture(scope="session")
def build_class_body() -> Callable[..., Manifest]:
    """Return the builder of a HardwareClass as the API server gives it; its keywords replace fields of the spec."""

    def build(name: str = "cpu", **spec: Any) -> Manifest:
        resources = {"requests": {"cpu": "500m", "memory": "1Gi"}, "limits": {"cpu": "1500m", "memory": "2Gi"}}
        return {"metadata": {"name": name, "uid": f"uid-of-{name}"}, "spec": {"resources": resources, **spec}}

    return build


@pytest.fixture(scope="session")
def build_class(build_class_body: Callable[..., Manifest]) -> Callable[..., HardwareClass]:
    """Return the builder of a parsed HardwareClass; its keywords replace fields of the spec."""

    def build(name: str = "cpu", **spec: Any) -> HardwareClass:
        return HardwareClass.parse(build_class_body(name, **spec))

    return build


@pytest.fixture(scope="session")
def build_pod() -> Callable[..., Manifest]:
    """Return the builder of a pod that is on its way; its keywords replace fields of the status."""

    def build(name: str = "faq-1", created: str = OLD, template: str = TEMPLATE_HASH, **status: Any) -> Manifest:
        resources = {"requests": {"cpu": "1", "nvidia.com/gpu": "1"}, "limits": {"memory": "2Gi"}}
        labels = {"pod-template-hash": template}
        return {
            "metadata": {"name": name, "labels": labels, "creationTimestamp": created},
            "spec": {"containers": [{"name": "runtime", "resources": resources}]},
            "status": {"phase": "Pending", **status},
        }

    return build


@pytest.fixture(scope="session")
def build_deployment() -> Callable[..., Manifest]:
    """Return the builder of a Deployment with `replicas`, all ready unless said otherwise; its keywords replace fields of the status."""

    def build(replicas: int = 2, reason: str = "NewReplicaSetAvailable", **status: Any) -> Manifest:
        progressing = {"type": "Progressing", "status": "True", "reason": reason}
        numbers = {"replicas": replicas, "updatedReplicas": replicas, "readyReplicas": replicas}
        return {
            "metadata": {"name": "faq", "namespace": "team", "generation": 4},
            "spec": {"replicas": replicas},
            "status": {"observedGeneration": 4, "conditions": [progressing], **numbers, **status},
        }

    return build
