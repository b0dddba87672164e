"""`helm upgrade` from earlier versions on a real API server: models stay ready, and what is written is told.

The operators run as processes of this machine, the earlier one by its own code; so does what the Job before the upgrade runs, since
KWOK only plays pods.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from earlier_versions import EarlierVersion, check_out
from helm_chart import CHART, find_hook, render_everything, run_helm
from identities import write_kubeconfig
from kubectl import Kubectl, Manifest
from local_clusters import ROOT
from operator_processes import OPERATOR_WRITES, OperatorProcess, count_requests, wait_until_quiet
from scoring_models import ScoringModels, open_namespace
from waiting import wait_for

RELEASE = "upgraded"
BEFORE_ROUTES = "127d813"
"""Before routes, keys and the container that fetches: serving containers fetched from https themselves."""

BEFORE_HOOKS = "0328737"
"""The last one whose chart left the CRDs to `kubectl apply`."""

IMAGES = {name: f"registry.example.com/scoring-runtime-{name}:0.1.0" for name in ("sklearn", "torch")}
FETCH = "registry.example.com/scoring-runtime-fetch:0.1.0"
CLASS: Manifest = {
    "name": "upgraded",
    "spec": {"resources": {"requests": {"cpu": "100m"}, "limits": {"cpu": "1", "memory": "1Gi"}}},
}
REMOTE = {"uri": "https://models.example.com/faq.skops", "format": "sklearn"}


class Release:
    """The chart's release in a namespace of its own, and the operator that goes with it."""

    def __init__(self, kubectl: Kubectl, models: ScoringModels, folder: Path) -> None:
        self.kubectl = kubectl
        self.models = models
        self._folder = folder

    def helm(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run helm for the release's namespace to its end, whatever that is."""
        return run_helm("--kubeconfig", str(self.kubectl.kubeconfig), "--namespace", self.kubectl.namespace, *words)

    def install(self, chart: Path, *more: str) -> subprocess.CompletedProcess[str]:
        """Install or upgrade the release; return how that went."""
        values = {"image": {"repository": "registry.example.com/scoring-operator"}, "hardwareClasses": [CLASS]}
        words = [f"--set-json={name}={json.dumps(value)}" for name, value in values.items()]
        return self.helm("upgrade", "--install", RELEASE, str(chart), *words, "--set=rbac.aggregate=false", *more)

    @contextmanager
    def run_operator(self, variables: dict[str, str]) -> Iterator[OperatorProcess]:
        """Yield a running operator with the release's own rights."""
        account = f"{RELEASE}-scoring-operator"
        kubeconfig = write_kubeconfig(self.kubectl, account, self._folder / "operator.yaml")
        process = OperatorProcess(self.kubectl, self._folder / "operator.log", kubeconfig=kubeconfig)
        process.variables = variables
        process.start()
        try:
            yield process
        finally:
            if process.is_running():
                process.stop()

    def run_hook(self, hook: str) -> str:
        """Run what a hook's pod would, as its account and with its rights; return what it says."""
        bodies = [
            body for body in render_everything("--set=rbac.aggregate=false", release=RELEASE) if find_hook(body) == hook
        ]
        pod = next(body for body in bodies if body["kind"] in {"Job", "Pod"})
        for body in bodies:
            if body is not pod:
                body["metadata"].pop("namespace", None)
                body["subjects"] = [
                    {**subject, "namespace": self.kubectl.namespace} for subject in body.get("subjects", [])
                ]
                self.kubectl.apply({key: value for key, value in body.items() if value != []})
        spec = pod["spec"].get("template", pod)["spec"]
        kubeconfig = write_kubeconfig(self.kubectl, spec["serviceAccountName"], self._folder / "hook.yaml")
        _, *words = spec["containers"][0]["command"]
        words = [self.kubectl.namespace if word == "scoring-system" else word for word in words]
        environment = {**os.environ, "KUBECONFIG": str(kubeconfig)}
        done = subprocess.run(
            [sys.executable, *words], env=environment, capture_output=True, text=True, check=False, timeout=90
        )
        assert done.returncode == 0, done.stderr
        return done.stdout


@pytest.fixture
def release(kubectl: Kubectl, operator: OperatorProcess, alone: None, tmp_path: Path) -> Iterator[Release]:
    """Yield a release that is not installed yet, while the tests' own operator rests; the CRDs are today's afterwards."""
    del alone
    operator.stop()
    try:
        with open_namespace(kubectl, "release") as home, open_namespace(kubectl, "upgrade") as models:
            release = Release(home.kubectl, models, tmp_path)
            try:
                yield release
            finally:
                release.helm("uninstall", RELEASE, "--ignore-not-found")
                kubectl("delete", "hardwareclass", CLASS["name"], "--ignore-not-found")
    finally:
        kubectl("replace", "-f", str(ROOT / "crds"))
        operator.start()


@contextmanager
def run_earlier(release: Release, commit: str, folder: Path) -> Iterator[OperatorProcess]:
    """Yield the operator of an earlier version, whose chart is installed and whose CRDs are in the cluster."""
    earlier: EarlierVersion = check_out(commit, folder)
    release.kubectl("replace", "-f", str(earlier.crds))
    done = release.install(earlier.chart, f"--set-json=runtimeImages={json.dumps(IMAGES)}", "--skip-crds")
    assert done.returncode == 0, done.stderr
    with release.run_operator(earlier.variables) as process:
        yield process


def count_child_writes(kubectl: Kubectl) -> dict[tuple[str, str, str], int]:
    """Return the operator's writes so far by resource, subresource and verb, without those of status."""
    requests = count_requests(kubectl)
    return {request: requests[request] for request in OPERATOR_WRITES if request[1] != "status"}


def test_upgrade_from_the_version_before_writes_nothing(release: Release, tmp_path: Path) -> None:
    with run_earlier(release, BEFORE_HOOKS, tmp_path / "earlier") as earlier:
        release.models.apply("fixed", hardwareClass=CLASS["name"], replicas=2)
        release.models.apply("scaled", hardwareClass=CLASS["name"], autoscaling={"minReplicas": 1, "maxReplicas": 3})
        for name in ("fixed", "scaled"):
            release.models.wait_until_ready(name)
        done = release.install(CHART, f"--set-json=runtimeImages={json.dumps({**IMAGES, 'fetch': FETCH})}")
        assert done.returncode == 0, done.stderr
        earlier.stop()
    before = count_child_writes(release.kubectl)
    with release.run_operator({}):
        wait_until_quiet(release.kubectl)
        assert count_child_writes(release.kubectl) == before
        assert "it leads" in release.run_hook("test")
        assert release.kubectl.list("scoringmodels") == []


def test_installation_where_crds_are_already_there_upgrades_them_too(release: Release) -> None:
    def count_hooks() -> int:
        tried = release.install(CHART, f"--set-json=runtimeImages={json.dumps(IMAGES)}", "--dry-run=server")
        assert tried.returncode == 0, tried.stderr
        return tried.stdout.count("helm.sh/hook: pre-install,pre-upgrade")

    # CRDs that are younger than a minute are those that this very installation has brought.
    wait_for(lambda: count_hooks() == 4, "the CRDs to be older than the installation", 90)


def test_upgrade_from_before_routes_brings_the_crds_and_keeps_models_ready(release: Release, tmp_path: Path) -> None:
    with run_earlier(release, BEFORE_ROUTES, tmp_path / "earlier") as earlier:
        release.models.apply(hardwareClass=CLASS["name"], model=REMOTE)
        release.models.wait_until_ready()
        images = f"--set-json=runtimeImages={json.dumps(IMAGES)}"
        refused = release.install(CHART, images)
        assert "runtimeImages.fetch: name the image that fetches" in refused.stderr
        assert f"{release.models.kubectl.namespace}/faq" in refused.stderr
        crd = release.kubectl.get("crd", "scoringmodels.scoring.dev")
        assert release.run_hook("pre-upgrade").count(": upgraded") == 2
        upgraded = release.kubectl.get("crd", "scoringmodels.scoring.dev")
        assert upgraded["metadata"]["uid"] == crd["metadata"]["uid"]
        assert release.run_hook("pre-upgrade").count(": is this version's already") == 2
        again = release.kubectl.get("crd", "scoringmodels.scoring.dev")
        assert again["metadata"]["generation"] == upgraded["metadata"]["generation"]
        done = release.install(CHART, images, f"--set=runtimeImages.fetch={FETCH}")
        assert done.returncode == 0, done.stderr
        assert release.models.find_ready()["status"] == "True"
        earlier.stop()

    # What the new version is for: the artifact is fetched by a container of its own, so the replicas are replaced, one by one.
    def is_fetching() -> bool:
        pod = release.models.kubectl.get("deployment", "faq")["spec"]["template"]["spec"]
        return [container["name"] for container in pod.get("initContainers", [])] == ["fetch"]

    with release.run_operator({}):
        wait_for(is_fetching, "the container that fetches")
        release.models.wait_until_ready()
    # A field that only the new CRD has is kept.
    release.models.apply(hardwareClass=CLASS["name"], model={**REMOTE, "sizeLimit": "1Gi"})
    assert release.models.kubectl.get("scoringmodel", "faq")["spec"]["model"]["sizeLimit"] == "1Gi"
