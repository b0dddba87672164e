"""A real kustomize-controller keeps ScoringModels as a Git repository has them: health, pruning, and no writes without a change.

The repository is a real one; what turns its commits into artifacts stands in for Flux's source-controller (git_repositories.py).
"""

import re
import shutil
from collections import Counter
from functools import partial

import pytest
import yaml

from flux_kustomizations import Flux
from kubectl import Kubectl, Manifest
from local_clusters import ROOT
from operator_processes import wait_until_quiet
from scoring_models import ScoringModels
from scoring_operator.kinds import CHILDREN
from waiting import wait_for

SAMPLE = ROOT / "samples" / "gitops"
WRITES = {"APPLY", "PATCH", "PUT", "POST", "DELETE", "CREATE", "UPDATE"}
GPU_NODE = "fake-gpu"
OURS = {"scoringmodels", "hardwareclasses", *(kind.plural for kind in CHILDREN)}


def write_model(flux: Flux, models: ScoringModels, name: str = "faq", **spec: object) -> None:
    """Write a ScoringModel into the repository, not committed."""
    flux.source.write(f"{name}.yaml", yaml.safe_dump(models.build(name, **spec)))


def build_gpu_node() -> Manifest:
    """Return a node with a GPU that KWOK plays."""
    resources = {"cpu": "8", "memory": "32Gi", "pods": "10", "nvidia.com/gpu": "1"}
    metadata = {"name": GPU_NODE, "annotations": {"kwok.x-k8s.io/node": "fake"}}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": metadata,
        "status": {"allocatable": resources, "capacity": resources},
    }


def count_writes(kubectl: Kubectl) -> Counter[tuple[str, str, str]]:
    """Return how many writes that change something the API server has had of our kinds, whoever sent them; dry runs change nothing."""
    counts: Counter[tuple[str, str, str]] = Counter()
    for line in kubectl("get", "--raw", "/metrics").splitlines():
        labels = dict(re.findall(r'(\w+)="([^"]*)"', line)) if line.startswith("apiserver_request_total{") else {}
        if labels.get("resource") in OURS and labels["verb"] in WRITES and not labels.get("dry_run"):
            counts[labels["resource"], labels["subresource"], labels["verb"]] += int(line.rpartition(" ")[2])
    return counts


def read_versions(models: ScoringModels, *names: str) -> dict[str, str]:
    """Return the version of each ScoringModel: any write at all gives it another one."""
    return {name: models.kubectl.get("scoringmodel", name)["metadata"]["resourceVersion"] for name in names}


def test_kustomization_is_ready_only_when_the_model_is(flux: Flux, models: ScoringModels, kubectl: Kubectl) -> None:
    write_model(flux, models, hardwareClass="gpu")  # No node has one: the model waits for a node.
    revision = flux.source.commit("A model on a GPU")
    flux.make("models")
    models.wait_for_reason("Unschedulable")
    waiting = flux.find_ready("models")
    assert (waiting["status"], waiting["reason"]) == ("Unknown", "Progressing")
    try:
        kubectl.apply(build_gpu_node())
        flux.wait_for("models", "True", revision)
        assert models.find_ready()["status"] == "True"
    finally:
        kubectl("delete", "node", GPU_NODE, "--ignore-not-found")


def test_kustomization_fails_at_once_when_a_model_is_stalled(flux: Flux, models: ScoringModels) -> None:
    write_model(flux, models, hardwareClass="nowhere")
    revision = flux.source.commit("A class that does not exist")
    flux.make("models", timeout="10m", retryInterval="1h")
    failed = flux.wait_for("models", "False", revision)
    assert failed["reason"] == "HealthCheckFailed"
    assert "ScoringModel" in failed["message"]
    assert "Failed" in failed["message"]
    write_model(flux, models)
    flux.wait_for("models", "True", flux.source.commit("A class that exists"))


def test_what_leaves_the_repository_leaves_the_cluster(flux: Flux, models: ScoringModels) -> None:
    write_model(flux, models, "stays")
    write_model(flux, models, "goes")
    flux.source.commit("Two models")
    flux.make("models")
    models.wait_until_ready("goes")
    (flux.source.folder / "goes.yaml").unlink()
    flux.wait_for("models", "True", flux.source.commit("One model"))
    wait_for(lambda: models.kubectl.find("scoringmodel", "goes") is None, "the model to go")
    wait_for(lambda: models.kubectl.find("deployment", "goes") is None, "its Deployment to go")
    models.wait_until_ready("stays")


def test_reconciles_without_a_change_write_nothing(flux: Flux, models: ScoringModels, kubectl: Kubectl) -> None:
    scaled = {"autoscaling": {"minReplicas": 2, "maxReplicas": 3, "metrics": [{"type": "memory", "target": 80}]}}
    endpoint = {"host": "faq.example.com", "ingressClassName": "none"}
    specs: dict[str, Manifest] = {
        "plain": {},
        "fixed": {"replicas": 2},
        "scaled": scaled,
        "routed": {"endpoint": endpoint},
    }
    for name, spec in specs.items():
        write_model(flux, models, name, **spec)
    revision = flux.source.commit("Models of all sorts")
    flux.make("models")
    flux.wait_for("models", "True", revision)
    # KWOK's pods have no metrics, which is told after a minute: a write of the operator's own.
    wait_for(lambda: models.find_condition("ScalingInactive", "scaled"), "the metrics to be missed", 180)
    wait_for(lambda: models.kubectl.get("deployment", "scaled")["spec"]["replicas"] == 2, "the autoscaler's number")
    wait_until_quiet(kubectl)
    writes, versions = count_writes(kubectl), read_versions(models, *specs)
    for _ in range(3):
        flux.reconcile("models")
    wait_until_quiet(kubectl)
    assert count_writes(kubectl) - writes == Counter()
    assert read_versions(models, *specs) == versions


def test_edit_is_put_back_and_a_number_that_git_leaves_open_is_not(flux: Flux, models: ScoringModels) -> None:
    write_model(flux, models)
    revision = flux.source.commit("A model without a number of replicas")
    flux.make("models")
    flux.wait_for("models", "True", revision)
    models.kubectl("scale", "scoringmodel", "faq", "--replicas=3")
    models.kubectl.patch("scoringmodel", "faq", {"spec": {"hardwareClass": "gpu"}})
    flux.reconcile("models")
    spec = models.kubectl.get("scoringmodel", "faq")["spec"]
    assert (spec["hardwareClass"], spec["replicas"]) == ("cpu", 3)
    models.wait_until_ready()


@pytest.fixture
def sample(flux: Flux, kubectl: Kubectl) -> None:
    """Have the sample's folders in the repository, and its Kustomizations told to Flux; whatever it makes goes afterwards."""
    del kubectl
    shutil.copytree(SAMPLE, flux.source.folder, dirs_exist_ok=True)
    flux.source.commit("The sample")


def test_sample_brings_both_environments_up_and_promotes(flux: Flux, sample: None, kubectl: Kubectl) -> None:
    del sample
    told = [
        body
        for body in yaml.safe_load_all((SAMPLE / "flux" / "kustomizations.yaml").read_text())
        if body["kind"] == "Kustomization"
    ]
    for body in told:
        body["metadata"]["namespace"] = flux.kubectl.namespace
    flux.kubectl.apply(*told)
    try:
        for name in ("hardware", "staging", "production"):
            wait_for(partial(flux.is_ready, name), f"{name} to be ready", 120)
        production = kubectl.in_namespace("scoring-production")
        staging = kubectl.in_namespace("scoring-staging")
        old, new = (part.get("scoringmodel", "faq")["spec"]["model"] for part in (production, staging))
        assert old["digest"] != new["digest"]
        assert kubectl.get("hardwareclass", "cpu-guaranteed")["status"]["models"] == 2
        versions = (flux.source.folder / "production" / "versions.yaml").read_text()
        promoted = versions.replace(old["uri"], new["uri"]).replace(old["digest"], new["digest"])
        flux.source.write("production/versions.yaml", promoted)
        flux.wait_for("production", "True", flux.source.commit("Promote faq"))
        assert production.get("scoringmodel", "faq")["spec"]["model"] == new
        assert ScoringModels(production).find_ready()["status"] == "True"
    finally:
        flux.kubectl("delete", "kustomization", "staging", "production", "hardware", "--timeout=60s")
    wait_for(lambda: kubectl.find("namespace", "scoring-production") is None, "the sample to go", 60)
    assert kubectl.find("hardwareclass", "cpu-guaranteed") is None
