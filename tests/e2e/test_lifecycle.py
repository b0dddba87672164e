"""A FAQ model through its life in real pods: scaling by hand and by load, deaths of pods, edits, deletion."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from endpoints import ask, find_address, post_for
from kubectl import Kubectl
from replicas import list_pods, read_variable, wait_for_replicas, watch_readiness
from scoring_models import ScoringModels
from waiting import wait_for

FAQ = {"uri": "pvc://models/faq/javascript-faq.tar", "format": "sklearn"}
QUESTION = "how do i remove one thing from an array"
LOAD_SECONDS = 90.0


@pytest.fixture
def faq(models: ScoringModels) -> Iterator[str]:
    """Yield the name of a FAQ model that is ready with one replica; deleted afterwards."""
    models.apply("lived", model=FAQ, hardwareClass="e2e-small")
    models.wait_until_ready("lived", timeout_seconds=180)
    yield "lived"
    models.kubectl("delete", "scoringmodel", "lived", "--ignore-not-found")


def test_killed_pod_of_two_comes_back_with_the_model_ready_throughout(models: ScoringModels, faq: str) -> None:
    models.kubectl("scale", "scoringmodel", faq, "--replicas=2")
    wait_for_replicas(models, faq, 2)
    victim = min(list_pods(models, faq))
    with watch_readiness(models, faq) as seen:
        models.kubectl("delete", "pod", victim, "--grace-period=0", "--force")
        wait_for(lambda: victim not in list_pods(models, faq) and len(list_pods(models, faq)) == 2, "a new pod")
        wait_for_replicas(models, faq, 2)
    assert list(seen) == ["True"], seen
    assert ask(models.kubectl, faq, QUESTION)


def test_killed_only_pod_is_told_and_comes_back(models: ScoringModels, faq: str) -> None:
    victim = list_pods(models, faq)
    models.kubectl("delete", "pod", *victim, "--grace-period=0", "--force")
    models.wait_for_reason("ReplicasUnavailable", faq)
    wait_for_replicas(models, faq, 1)
    assert ask(models.kubectl, faq, QUESTION)


def test_full_queue_refuses_politely_and_loses_nothing_it_took(models: ScoringModels) -> None:
    models.apply(
        "flooded", model=FAQ, hardwareClass="e2e-small", runtime={"env": [{"name": "SCORING_MAX_QUEUE", "value": "1"}]}
    )
    models.wait_until_ready("flooded", timeout_seconds=180)
    address = f"{find_address(models.kubectl, 'flooded')}/score"

    def post(_: int) -> httpx.Response:
        return httpx.post(address, json={"input": QUESTION}, timeout=60)

    with ThreadPoolExecutor(max_workers=24) as pool:
        responses = list(pool.map(post, range(240)))
    refused = [response for response in responses if response.status_code == httpx.codes.SERVICE_UNAVAILABLE]
    assert {response.status_code for response in responses} == {200, 503}
    assert all(
        response.json()["error"]["code"] == "Overloaded" and response.headers["Retry-After"] == "1"
        for response in refused
    )
    (pod,) = models.kubectl.list("pods", "-l", "scoring.dev/model=flooded")
    assert pod["status"]["containerStatuses"][0]["restartCount"] == 0
    models.kubectl("delete", "scoringmodel", "flooded")


def test_rolling_update_is_not_ready_before_its_end_and_drops_no_request(models: ScoringModels, faq: str) -> None:
    address = find_address(models.kubectl, faq)
    failures: list[str] = []
    stop = threading.Event()

    def keep_asking() -> None:
        while not stop.is_set():
            with httpx.Client(timeout=30) as client:
                try:
                    response = client.post(f"{address}/score", json={"input": QUESTION})
                except httpx.TransportError as error:
                    failures.append(repr(error))
                    continue
                if response.status_code != httpx.codes.OK:
                    failures.append(response.text)

    asking = threading.Thread(target=keep_asking)
    asking.start()
    old = list_pods(models, faq)
    models.apply(
        faq, model=FAQ, hardwareClass="e2e-small", runtime={"env": [{"name": "SCORING_LOG_LEVEL", "value": "warning"}]}
    )
    models.wait_until_ready(faq, timeout_seconds=180)
    wait_for(lambda: not list_pods(models, faq) & old, "the old pod to go")
    stop.set()
    asking.join()
    assert failures == []


def test_changed_class_rolls_its_models(models: ScoringModels, kubectl: Kubectl, faq: str) -> None:
    old = list_pods(models, faq)
    kubectl.patch("hardwareclass", "e2e-small", {"spec": {"resources": {"limits": {"cpu": "1"}}}})
    try:
        wait_for(lambda: read_variable(models, faq, "SCORING_THREADS") == "1", "the new limit")
        models.wait_until_ready(faq, timeout_seconds=180)
        wait_for(lambda: not list_pods(models, faq) & old, "the old pods to go")
    finally:
        kubectl.patch("hardwareclass", "e2e-small", {"spec": {"resources": {"limits": {"cpu": "2"}}}})
    models.wait_until_ready(faq, timeout_seconds=180)


def test_autoscaler_reads_real_cpu_and_its_replicas_are_left_alone(models: ScoringModels) -> None:
    spec = {
        "model": FAQ,
        "hardwareClass": "e2e-small",
        "autoscaling": {"maxReplicas": 2, "metrics": [{"type": "cpu", "target": 60}]},
    }
    models.apply("scaled", **spec)
    models.wait_until_ready("scaled", timeout_seconds=180)
    wait_for(lambda: read_utilisation(models, "scaled") is not None, "the autoscaler to read the CPU", 180)
    load = threading.Thread(target=post_for, args=(find_address(models.kubectl, "scaled"), QUESTION, LOAD_SECONDS))
    load.start()
    wait_for(
        lambda: models.kubectl.get("hpa", "scaled")["status"].get("desiredReplicas") == 2,
        "the autoscaler to add a replica",
        120,
    )
    wait_for_replicas(models, "scaled", 2)
    models.apply("scaled", **spec, runtime={"env": [{"name": "SCORING_LOG_LEVEL", "value": "warning"}]})
    models.wait_until_ready("scaled", timeout_seconds=180)
    load.join()
    assert models.kubectl.get("deployment", "scaled")["spec"]["replicas"] == 2
    models.kubectl("delete", "scoringmodel", "scaled")


def read_utilisation(models: ScoringModels, name: str) -> int | None:
    """Return the CPU utilisation that a model's autoscaler has read, in percent; None before it has any."""
    metrics = models.kubectl.get("hpa", name)["status"].get("currentMetrics") or []
    return next(
        (metric["resource"]["current"].get("averageUtilization") for metric in metrics if "resource" in metric), None
    )


def test_deletion_leaves_nothing(models: ScoringModels, faq: str) -> None:
    models.apply(faq, model=FAQ, hardwareClass="e2e-small", replicas=2, network={}, runtime={"serviceAccount": {}})
    wait_for_replicas(models, faq, 2)
    assert all(models.kubectl.find(kind, faq) for kind in ("networkpolicy", "poddisruptionbudget", "serviceaccount"))
    models.kubectl("delete", "scoringmodel", faq, "--timeout=10s")
    kinds = "deployments,services,serviceaccounts,poddisruptionbudgets,networkpolicies,horizontalpodautoscalers,replicasets,pods"
    wait_for(
        lambda: models.kubectl("get", kinds, "-l", f"scoring.dev/model={faq}", "-o", "name") == "",
        "the children to go",
        120,
    )
