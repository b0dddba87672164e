"""The sample repository for Flux and Argo CD: its overlays build, and its health scripts run. On real controllers and objects: tests/gitops."""

import subprocess
from functools import cache

import pytest
import yaml

from argocd_health import read_scripts, tell_health
from kubectl import Manifest
from local_clusters import ROOT, run_local_cluster

SAMPLE = ROOT / "samples" / "gitops"
READY = {"type": "Ready", "status": "True", "message": "1 of 1 replicas ready."}
STALLED = [{**READY, "status": "False", "message": "No such class."}, {"type": "Stalled", "status": "True"}]


@cache
def build(folder: str) -> list[Manifest]:
    """Return what Kustomize makes of a folder."""
    kubectl = run_local_cluster("program", "kubectl")
    done = subprocess.run(
        [kubectl, "kustomize", str(SAMPLE / folder)], capture_output=True, text=True, check=True, timeout=60
    )
    return [body for body in yaml.safe_load_all(done.stdout) if body]


def build_model(generation: int, conditions: list[Manifest] | None) -> Manifest:
    """Return a ScoringModel of generation 2 with a status."""
    status = {"observedGeneration": generation, **({} if conditions is None else {"conditions": conditions})}
    return {
        "apiVersion": "scoring.dev/v1beta1",
        "kind": "ScoringModel",
        "metadata": {"generation": 2},
        "status": status,
    }


@pytest.mark.parametrize("environment", ["staging", "production"])
def test_environment_has_all_models_in_its_namespace(environment: str) -> None:
    bodies = build(environment)
    names = {body["metadata"]["name"] for body in bodies if body["kind"] == "ScoringModel"}
    assert names == {body["metadata"]["name"] for body in build("base")}
    assert {body["metadata"]["namespace"] for body in bodies if body["kind"] == "ScoringModel"} == {
        f"scoring-{environment}"
    }


def test_production_pins_each_model_by_digest_and_names_classes_of_the_repository() -> None:
    versions = list(yaml.safe_load_all((SAMPLE / "production" / "versions.yaml").read_text()))
    assert {body["metadata"]["name"] for body in versions} == {body["metadata"]["name"] for body in build("base")}
    assert all(body["spec"]["model"]["digest"].startswith("sha256:") for body in versions)
    classes = {body["metadata"]["name"] for body in build("hardware")}
    assert {body["spec"]["hardwareClass"] for body in build("production") if body["kind"] == "ScoringModel"} <= classes


def test_both_kinds_have_a_health_script() -> None:
    assert read_scripts().keys() == {"scoring.dev_ScoringModel", "scoring.dev_HardwareClass"}


@pytest.mark.parametrize(
    ("generation", "conditions", "status"),
    [
        (-1, None, "Progressing"),
        (1, [READY], "Progressing"),
        (2, [], "Progressing"),
        (2, [{**READY, "status": "Unknown"}, {"type": "Reconciling", "status": "True"}], "Progressing"),
        (2, [READY], "Healthy"),
        (2, STALLED, "Degraded"),
        (2, STALLED[::-1], "Degraded"),
        (1, STALLED, "Progressing"),
    ],
)
def test_health_is_that_of_the_newest_generation(
    generation: int, conditions: list[Manifest] | None, status: str
) -> None:
    assert tell_health(build_model(generation, conditions))[0] == status
