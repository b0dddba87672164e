"""The operator's own pods: killed, cut off, upgraded; and what they may and may not do. Models go on serving meanwhile."""

import json
import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from endpoints import ask
from kubectl import Kubectl, KubectlError, Manifest
from local_clusters import run_local_cluster
from replicas import list_pods, read_variable, wait_for_replicas, watch_readiness
from samples.demo.clusters import Cluster
from samples.demo.install import CHART, RELEASE
from scoring_models import ScoringModels
from waiting import wait_for

NAME = "lived"
FAQ = {"uri": "pvc://models/faq/javascript-faq.tar", "format": "sklearn"}
QUESTION = "how do i remove one thing from an array"
SELECTOR = "app.kubernetes.io/name=scoring-operator"
TAKEOVER_SECONDS = 60.0


@pytest.fixture(scope="module")
def faq(models: ScoringModels) -> Iterator[str]:
    """Yield the name of a FAQ model that is ready with one replica; deleted afterwards."""
    models.apply(NAME, model=FAQ, hardwareClass="e2e-small")
    models.wait_until_ready(NAME, timeout_seconds=180)
    yield NAME
    models.kubectl("delete", "scoringmodel", NAME)


def find_leader(operator: Kubectl) -> str:
    """Return the name of the pod that holds the Lease; empty when nobody does."""
    identity: str = operator.get("lease", RELEASE)["spec"].get("holderIdentity") or ""
    return identity.rpartition("_")[0]


def list_ready_pods(operator: Kubectl) -> set[str]:
    """Return the names of the operator's pods that are ready and not on their way out."""
    return {pod["metadata"]["name"] for pod in operator.list("pods", "-l", SELECTOR) if is_ready(pod)}


def is_ready(pod: Manifest) -> bool:
    """Tell whether a pod is ready and not on its way out."""
    conditions = {condition["type"]: condition["status"] for condition in pod["status"].get("conditions", [])}
    return "deletionTimestamp" not in pod["metadata"] and conditions.get("Ready") == "True"


def edit_and_wait(models: ScoringModels, name: str) -> None:
    """Edit a model's Deployment by hand, and wait until the operator has put it back."""
    models.kubectl("set", "env", f"deployment/{name}", "SCORING_MODEL_NAME=edited")
    wait_for(lambda: read_variable(models, name, "SCORING_MODEL_NAME") == name, "the edit to be put back", 120)


def test_two_pods_run_and_one_of_them_leads(operator: Kubectl) -> None:
    wait_for(lambda: len(list_ready_pods(operator)) == 2, "two pods")
    wait_for(lambda: find_leader(operator) in list_ready_pods(operator), "one of them to lead")


def test_other_pod_takes_over_from_a_leader_that_was_killed(models: ScoringModels, faq: str, operator: Kubectl) -> None:
    wait_for(lambda: len(list_ready_pods(operator)) == 2, "two pods")
    leader = wait_for(lambda: find_leader(operator), "a leader")
    [follower] = list_ready_pods(operator) - {leader}
    with watch_readiness(models, faq) as seen:
        operator("delete", "pod", leader, "--grace-period=0", "--force")
        edit_and_wait(models, faq)
        wait_for_replicas(models, faq, 1)
    assert "False" not in seen, seen
    assert find_leader(operator) == follower
    wait_for(lambda: len(list_ready_pods(operator)) == 2, "another follower")


def test_all_pods_killed_come_back_and_make_good_what_they_missed(
    models: ScoringModels, faq: str, operator: Kubectl
) -> None:
    before = models.kubectl.get("scoringmodel", faq)["status"]
    with watch_readiness(models, faq) as seen:
        operator("delete", "pod", "-l", SELECTOR, "--grace-period=0", "--force")
        edit_and_wait(models, faq)
        wait_for_replicas(models, faq, 1)
    assert "False" not in seen, seen
    after = models.kubectl.get("scoringmodel", faq)["status"]
    assert (after["readyReplicas"], after["url"]) == (before["readyReplicas"], before["url"])
    assert ask(models.kubectl, faq, QUESTION)


def cut_off_pods() -> None:
    """End what forwards pods to the API server, with all connections that it holds; `up` starts it again."""
    parts = json.loads(run_local_cluster("status", "--output", "json"))["parts"]
    (forwarder,) = (part["pid"] for part in parts if part["name"] == "API server for pods")
    os.kill(forwarder, signal.SIGSTOP)  # From now on it takes no further connections.
    connections = Path(f"/proc/{forwarder}/task/{forwarder}/children").read_text().split()
    for process in (*map(int, connections), forwarder):
        with suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)


def test_operator_cut_off_from_the_api_server_catches_up(models: ScoringModels, faq: str) -> None:
    cut_off_pods()
    try:
        models.kubectl("set", "env", f"deployment/{faq}", "SCORING_MODEL_NAME=edited")
        models.kubectl("delete", "service", faq)
        assert read_variable(models, faq, "SCORING_MODEL_NAME") == "edited"
    finally:
        run_local_cluster("up")
    wait_for(lambda: read_variable(models, faq, "SCORING_MODEL_NAME") == faq, "the edit to be put back", 180)
    wait_for(lambda: models.kubectl.find("service", faq), "the Service")
    wait_for_replicas(models, faq, 1)
    assert ask(models.kubectl, faq, QUESTION)


def upgrade(cluster: Cluster, namespace: str, *values: str) -> None:
    """Upgrade the chart with other values, as the platform team does, and wait for it."""
    words = [word for value in values for word in ("--set", value)]
    cluster.helm(
        "upgrade", RELEASE, str(CHART), "--namespace", namespace, "--skip-crds", "--reuse-values", *words, "--wait", "--timeout", "5m"
    )  # fmt: skip


def test_chart_upgrade_replaces_the_operators_pods_and_none_of_a_model(
    models: ScoringModels, faq: str, operator: Kubectl, cluster: Cluster
) -> None:
    old, replicas = list_ready_pods(operator), list_pods(models, faq)
    try:
        with watch_readiness(models, faq) as seen:
            upgrade(cluster, operator.namespace, "resyncSeconds=300")
            wait_for(lambda: find_leader(operator) in list_ready_pods(operator) - old, "a new leader", TAKEOVER_SECONDS)
    finally:
        upgrade(cluster, operator.namespace, "resyncSeconds=600")
    assert list(seen) == ["True"], seen
    assert list_pods(models, faq) == replicas
    models.kubectl("scale", "scoringmodel", faq, "--replicas=2")
    wait_for_replicas(models, faq, 2)


def test_operator_may_not_read_secrets_nor_more_than_it_needs(operator: Kubectl) -> None:
    account = f"--as=system:serviceaccount:{operator.namespace}:scoring-operator"

    def may(verb: str, kind: str) -> bool:
        try:
            return operator("auth", "can-i", verb, kind, "--all-namespaces", account).strip() == "yes"
        except KubectlError:
            return False

    forbidden = [
        ("get", "secrets"),
        ("list", "secrets"),
        ("watch", "secrets"),
        ("delete", "deployments.apps"),
        ("create", "pods"),
        ("update", "nodes"),
        ("update", "leases.coordination.k8s.io"),  # in all namespaces
    ]
    assert not [pair for pair in forbidden if may(*pair)]
    assert may("patch", "deployments.apps")


def test_operator_runs_under_the_restricted_standard_and_logs_json(operator: Kubectl) -> None:
    label = ("label", "--dry-run=server", "--overwrite", "namespace", operator.namespace)
    assert operator.read_warnings(*label, "pod-security.kubernetes.io/enforce=restricted") == ""
    logs = operator("logs", "--selector", SELECTOR, "--tail=50")
    assert all(json.loads(line) for line in logs.splitlines() if line)


def test_upgrade_brings_stale_crds_to_the_version_and_helm_test_passes(operator: Kubectl, cluster: Cluster) -> None:
    stale = [{"op": "remove", "path": "/spec/versions/0/additionalPrinterColumns"}]
    operator("patch", "crd", "scoringmodels.scoring.dev", "--type=json", "--patch", json.dumps(stale))
    assert "additionalPrinterColumns" not in operator.get("crd", "scoringmodels.scoring.dev")["spec"]["versions"][0]
    upgrade(cluster, operator.namespace, "resyncSeconds=600")
    columns = operator.get("crd", "scoringmodels.scoring.dev")["spec"]["versions"][0]["additionalPrinterColumns"]
    assert "Ready" in {column["name"] for column in columns}
    assert operator.find("job", f"{RELEASE}-crds") is None
    assert operator.find("clusterrole", f"{RELEASE}-crds") is None
    said = cluster.helm("test", RELEASE, "--namespace", operator.namespace, "--logs")
    assert "the operator says HardwareClassNotFound" in said
