"""Secrets planted wherever a cluster meets them: none is in a log, an event, a status, a metric or a termination message of ours."""

import os
from collections.abc import Iterator

import httpx
import pytest

from kubectl import Kubectl, KubectlError
from local_clusters import open_kubectl
from model_images import TALKATIVE, TALKATIVE_MODEL, load_model_image
from samples.demo.clusters import Cluster
from samples.demo.install import NAMESPACE
from scoring_models import ScoringModels, open_namespace
from waiting import wait_for

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="a real node needs root")

PLANTED = "planted-in-"
START_SECONDS = 180.0


@pytest.fixture(scope="module")
def image(cluster: Cluster) -> str:
    """Return the image of the talkative model, with the operator installed."""
    return load_model_image(cluster, TALKATIVE)


@pytest.fixture(scope="module")
def models(cluster: Cluster, image: str) -> Iterator[ScoringModels]:
    """Yield the ScoringModels of a namespace under the restricted standard."""
    del image
    with open_namespace(open_kubectl(cluster), "clean") as models:
        own = models.kubectl
        own("label", "namespace", own.namespace, "pod-security.kubernetes.io/enforce=restricted")
        yield models


def gather(kubectl: Kubectl) -> str:
    """Return all that is told of the namespace: logs, last logs, events, conditions, container statuses and the operator's log."""
    told = [
        kubectl("get", "events", "-o", "json"),
        kubectl("get", "scoringmodels", "-o", "jsonpath={.items[*].status}"),
        kubectl("get", "pods", "-o", "jsonpath={.items[*].status}"),
        kubectl.in_namespace(NAMESPACE)("logs", "-l", "app.kubernetes.io/name=scoring-operator", "--tail=-1"),
    ]
    for pod in kubectl.list("pods"):
        name = pod["metadata"]["name"]
        for more in ((), ("--previous",)):
            try:
                told.append(kubectl("logs", name, *more))
            except KubectlError:
                continue  # Nothing has ended, or nothing has begun.
    return "\n".join(told)


def find_leaks(told: str) -> list[str]:
    """Return the lines with a secret in them; what stands before a secret of the talkative model says `planted-in-environment` itself."""
    return [line for line in told.replace("planted-in-environment", "").splitlines() if PLANTED in line]


def test_a_talkative_model_tells_no_secret(models: ScoringModels, image: str) -> None:
    env = [
        {"name": "DB_PASSWORD", "value": "planted-in-variable"},
        {"name": "SCORING_REDACT_PATTERNS", "value": '["customer-[0-9]+"]'},
    ]
    models.apply("talkative", model=TALKATIVE_MODEL, runtime={"image": image, "env": env})
    models.wait_until_ready("talkative", START_SECONDS)
    kubectl = models.kubectl
    (pod,) = kubectl.list("pods", "-l", "scoring.dev/model=talkative")
    address = f"/api/v1/namespaces/{kubectl.namespace}/pods/{pod['metadata']['name']}:8080/proxy"
    for body in (
        '{"input": ["password=planted-in-body"]}',
        '{"input": ["fail token=planted-in-body customer-4711"]}',
        "{planted-in-body",
    ):
        try:
            kubectl("create", "--raw", f"{address}/score?token=planted-in-url", "-f", "-", stdin=body)
        except KubectlError:
            continue  # As the second and third should.
    metrics = httpx.get(f"http://{pod['status']['podIP']}:8080/metrics").text
    assert "scoring_requests_total" in metrics
    told = gather(kubectl)
    # The log is there, with one line for each request, and with what was told in place of secrets.
    assert told.count('"event":"request"') == 3
    assert "loading with planted-in-environment [redacted] and password=[redacted]" in told
    assert find_leaks(told + metrics) == []
    assert "customer-4711" not in told


def test_last_words_and_failures_tell_no_secret(models: ScoringModels, image: str) -> None:
    env = [{"name": "DB_PASSWORD", "value": "planted-in-variable"}, {"name": "FAILS", "value": "yes"}]
    models.apply("failing", model=TALKATIVE_MODEL, runtime={"image": image, "env": env})
    signed = "https://127.0.0.1:9/model.tar?X-Amz-Signature=planted-in-signature"
    models.apply("unreachable", model={"uri": signed, "format": "sklearn"}, runtime={"image": image})
    broken = {"image": image, "env": [{"name": "SCORING_REDACT_PATTERNS", "value": "planted-in-pattern"}]}
    models.apply("misconfigured", model=TALKATIVE_MODEL, runtime=broken)
    assert "[redacted]" in models.wait_for_reason("ModelInvalid", "failing", START_SECONDS)["message"]
    assert (
        "https://127.0.0.1:9/model.tar"
        in models.wait_for_reason("FetchFailed", "unreachable", START_SECONDS)["message"]
    )
    models.wait_for_reason("InvalidSettings", "misconfigured", START_SECONDS)
    events = wait_for_events(models.kubectl)
    assert "ModelInvalid" in events
    assert find_leaks(gather(models.kubectl)) == []


def wait_for_events(kubectl: Kubectl) -> str:
    """Return the events once the operator's are among them."""
    seen = [""]

    def look() -> bool:
        seen[0] = kubectl("get", "events", "-o", "json")
        return all(reason in seen[0] for reason in ("ModelInvalid", "FetchFailed", "InvalidSettings"))

    wait_for(look, "events of all three", 60)
    return seen[0]


def test_a_password_in_a_uri_is_refused_before_it_is_stored(models: ScoringModels) -> None:
    with pytest.raises(KubectlError, match="uri must not hold a user or a password"):
        models.apply("refused", model={"uri": "https://user:planted-in-userinfo@host/model.tar"})
    assert models.kubectl.find("scoringmodel", "refused") is None
