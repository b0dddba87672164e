"""The command line against a real API server: what it applies, what it says of models in several states, and what it renders."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from command_line import Outcome, Scoring, run_scoring
from kubectl import Kubectl
from operator_processes import RUNTIME_IMAGES
from scoring_models import ScoringModels
from scoring_operator.differences import find_differences
from scoring_operator.kinds import HASH_ANNOTATION

OPERATOR = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "scoring-operator"},
    "spec": {
        "template": {
            "spec": {
                "containers": [
                    {"name": "operator", "env": [{"name": "SCORING_OPERATOR_RUNTIME_IMAGES", "value": RUNTIME_IMAGES}]}
                ]
            }
        }
    },
}
"""The running operator's settings, as its Deployment would have them."""


@pytest.fixture
def scoring(models: ScoringModels) -> Scoring:
    """Return the command line for the test's namespace."""

    def run(*arguments: object, stdin: str = "") -> Outcome:
        kubectl = models.kubectl
        command, *rest = arguments
        options = ("--kubeconfig", kubectl.kubeconfig, "--namespace", kubectl.namespace)
        return run_scoring(command, *options, *rest, stdin=stdin)

    return run


def write(models: ScoringModels, name: str = "faq", **spec: Any) -> str:
    body = models.build(name, **spec)
    del body["metadata"]["namespace"]
    return yaml.safe_dump(body)


def test_apply_waits_until_the_model_serves(models: ScoringModels, scoring: Scoring) -> None:
    done = scoring("apply", "-f", "-", "--wait", "--timeout", "60s", "-o", "json", stdin=write(models, replicas=2))
    assert done.status == 0, done.stderr
    (standing,) = done.json
    assert (standing["ready"], standing["reason"], standing["replicas"]) == ("True", "Serving", "2/2")
    assert "Serving" in done.stderr


def test_apply_says_why_a_model_will_never_serve(models: ScoringModels, scoring: Scoring) -> None:
    done = scoring("apply", "-f", "-", "--wait", "--timeout", "60s", stdin=write(models, hardwareClass="tpu"))
    assert done.status == 4
    assert "HardwareClassNotFound" in done.stderr
    assert "there are: cpu, gpu" in done.stderr


def test_apply_says_what_a_model_waits_for_when_time_has_passed(models: ScoringModels, scoring: Scoring) -> None:
    done = scoring("apply", "-f", "-", "--wait", "--timeout", "5s", stdin=write(models, hardwareClass="gpu"))
    assert done.status == 5
    assert "Unschedulable" in done.stderr
    shown = scoring("status", "faq")
    assert "nvidia.com/gpu 1" in shown.stdout
    assert "Pod faq-" in shown.stdout
    (pod,) = [child for child in scoring("status", "faq", "-o", "json").json["children"] if child["kind"] == "Pod"]
    assert pod["state"] == "waiting"


def test_field_that_the_api_server_refuses_is_named(models: ScoringModels, scoring: Scoring) -> None:
    refused = scoring("apply", "-f", "-", stdin=write(models, replicas=-1))
    assert refused.status == 3
    assert "spec.replicas" in refused.stderr
    unknown = scoring("apply", "-f", "-", stdin=write(models, replicsa=1))
    assert unknown.status == 3
    assert "replicsa" in unknown.stderr


def test_dry_run_keeps_nothing(models: ScoringModels, scoring: Scoring) -> None:
    done = scoring("apply", "-f", "-", "--dry-run", stdin=write(models))
    assert done.status == 0, done.stderr
    assert "would be applied" in done.stdout
    assert models.kubectl.find("scoringmodel", "faq") is None


def test_field_of_another_manager_is_taken_over_only_when_asked(models: ScoringModels, scoring: Scoring) -> None:
    models.apply(replicas=1)
    models.kubectl("scale", "scoringmodel", "faq", "--replicas=2")
    done = scoring("apply", "-f", "-", stdin=write(models, replicas=3))
    assert done.status == 3
    assert "--force-conflicts" in done.stderr
    assert scoring("apply", "-f", "-", "--force-conflicts", stdin=write(models, replicas=3)).status == 0
    assert models.kubectl.get("scoringmodel", "faq")["spec"]["replicas"] == 3


def test_other_kinds_are_left_to_kubectl(scoring: Scoring) -> None:
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}}
    done = scoring("apply", "-f", "-", stdin=yaml.safe_dump(secret))
    assert done.status == 2
    assert "kubectl apply" in done.stderr


def test_status_shows_a_serving_model_with_its_children(models: ScoringModels, scoring: Scoring) -> None:
    models.apply(replicas=2)
    models.wait_until_ready()
    tree = scoring("status", "faq").stdout
    for words in ("✓ ScoringModel faq", "✓ Deployment faq  2 of 2 replicas ready", "✓ Service faq", "✓ Pod faq-"):
        assert words in tree
    (line,) = scoring("status", "-o", "json").json
    assert (line["name"], line["ready"]) == ("faq", "True")
    table = scoring("status", "-A").stdout
    assert models.kubectl.namespace in table


def test_status_shows_a_digest_that_does_not_match_as_stalled(models: ScoringModels, scoring: Scoring) -> None:
    models.apply()
    models.wait_until_ready()
    (pod,) = models.kubectl.list("pods", "-l", "scoring.dev/model=faq")
    fail(models.kubectl, pod)
    models.wait_for_reason("DigestMismatch")
    tree = scoring("status", "faq").stdout
    assert "✗ ScoringModel faq  DigestMismatch: The artifact's digest is another." in tree
    assert "✗ Pod" in tree


def fail(kubectl: Kubectl, pod: dict[str, Any]) -> None:
    """Have a fake pod end as a real one does whose artifact is another: with the runtime's last words."""
    message = json.dumps({"code": "DigestMismatch", "message": "The artifact's digest is another."})
    end = {
        "ready": False,
        "restartCount": 1,
        "state": {"waiting": {"reason": "CrashLoopBackOff"}},
        "lastState": {"terminated": {"exitCode": 1, "reason": "Error", "message": message}},
    }
    containers = [{**one, **end} for one in pod["status"]["containerStatuses"]]
    unready = {"Ready", "ContainersReady"}
    conditions = [{**one, "status": "False"} if one["type"] in unready else one for one in pod["status"]["conditions"]]
    status = {"status": {"containerStatuses": containers, "conditions": conditions}}
    kubectl.patch("pod", pod["metadata"]["name"], status, "--subresource=status")


def test_unknown_model_is_told(scoring: Scoring) -> None:
    for command in (("status", "nobody"), ("logs", "nobody"), ("score", "nobody", "--text", "x")):
        done = scoring(*command)
        assert done.status == 3
        assert "nobody" in done.stderr


def test_rendered_children_are_what_the_operator_applies(
    models: ScoringModels, scoring: Scoring, tmp_path: Path
) -> None:
    models.apply(autoscaling={"minReplicas": 2, "maxReplicas": 3}, network={}, runtime={"serviceAccount": {}})
    models.wait_until_ready()
    surroundings = tmp_path / "operator.yaml"
    classes = models.kubectl.list("hardwareclasses")
    surroundings.write_text(yaml.safe_dump_all([OPERATOR, *classes]))
    body = models.kubectl("get", "scoringmodel", "faq", "-o", "yaml")
    rendered = list(yaml.safe_load_all(run_scoring("render", "-", "--operator", surroundings, stdin=body).stdout))
    kinds = {child["kind"] for child in rendered}
    assert {"Deployment", "Service", "HorizontalPodAutoscaler", "NetworkPolicy", "ServiceAccount"} <= kinds
    for child in rendered:
        if child["apiVersion"].startswith("monitoring.coreos.com"):
            continue  # This cluster has no such kind.
        live = models.kubectl.get(child["kind"], child["metadata"]["name"])
        assert find_differences(live, child) == ()
        # The hash covers the whole of what was rendered: what the operator applied has nothing more either.
        assert live["metadata"]["annotations"][HASH_ANNOTATION] == child["metadata"]["annotations"][HASH_ANNOTATION]


def test_reader_without_rights_is_told_what_is_missing(models: ScoringModels, scoring: Scoring) -> None:
    models.apply()
    models.wait_until_ready()
    kubectl = models.kubectl
    kubectl("create", "serviceaccount", "reader")
    kubectl("create", "role", "reader", "--verb=get,list", "--resource=scoringmodels.scoring.dev")
    kubectl("create", "rolebinding", "reader", "--role=reader", f"--serviceaccount={kubectl.namespace}:reader")
    token = kubectl("create", "token", "reader").strip()
    config = yaml.safe_load(kubectl.kubeconfig.read_text())
    config["users"] = [{"name": user["name"], "user": {"token": token}} for user in config["users"]]
    reader = kubectl.kubeconfig.with_name(f"{kubectl.namespace}-reader")
    reader.write_text(yaml.safe_dump(config))
    try:
        done = run_scoring("status", "faq", "--kubeconfig", reader, "--namespace", kubectl.namespace)
    finally:
        reader.unlink()
    assert done.status == 0, done.stderr
    assert "✓ ScoringModel faq" in done.stdout
    assert "cannot be looked at" in done.stdout
    assert token not in done.stdout + done.stderr
