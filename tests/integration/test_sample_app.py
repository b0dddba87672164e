"""The sample app's own manifests before a real API server, under the restricted standard; its pods run on a fake node."""

import json
import subprocess
import sys
from collections.abc import Iterator

import pytest

from kubectl import Kubectl
from local_clusters import ROOT
from scoring_models import open_namespace
from waiting import wait_for

SAMPLE = ROOT / "samples" / "client"


@pytest.fixture(scope="module")
def namespace(kubectl: Kubectl) -> Iterator[Kubectl]:
    """Yield kubectl for a namespace under the restricted standard."""
    with open_namespace(kubectl, "app") as models:
        label = "pod-security.kubernetes.io/enforce=restricted"
        models.kubectl("label", "namespace", models.kubectl.namespace, label)
        yield models.kubectl


def run_command(*arguments: str) -> str:
    command = [sys.executable, "-m", "samples.client", *arguments]
    return subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout


def test_app_is_deployed_as_its_page_says(namespace: Kubectl) -> None:
    namespace("apply", "-f", "-", stdin=run_command("secrets", "--model-keys", "faq-keys"))
    namespace("apply", "-f", "-", stdin=run_command("user", "ann"))
    assert "Warning" not in namespace.read_warnings("apply", "--kustomize", str(SAMPLE))
    namespace("apply", "-f", str(SAMPLE / "ingress.yaml"))
    wait_for(lambda: namespace.get("deployment", "sample-client")["status"].get("readyReplicas"), "a pod", 60)
    (service,) = namespace.list("endpointslices", "-l", "kubernetes.io/service-name=sample-client")
    assert [port["port"] for port in service["ports"]] == [8080]


def test_another_user_is_added_by_a_patch(namespace: Kubectl) -> None:
    namespace("patch", "secret", "sample-client-users", "--patch", run_command("user", "bob", "--output", "patch"))
    assert namespace.get("secret", "sample-client-users")["data"].keys() >= {"bob"}


def test_manifests_hold_no_secret_and_select_their_own_pods_alone(namespace: Kubectl) -> None:
    rendered = namespace("apply", "--kustomize", str(SAMPLE), "--dry-run=client", "-o", "json")
    items = {item["kind"]: item for item in json.loads(rendered)["items"]}
    assert items.keys() == {"Deployment", "Service", "NetworkPolicy"}
    labels = {"app.kubernetes.io/name": "sample-client"}
    assert items["NetworkPolicy"]["spec"]["podSelector"] == {"matchLabels": labels}
    assert items["Service"]["spec"]["selector"] == labels
    # Secrets are mounted for a group alone: it has to be the pod's own.
    context = items["Deployment"]["spec"]["template"]["spec"]["securityContext"]
    assert context["fsGroup"] == context["runAsGroup"]
