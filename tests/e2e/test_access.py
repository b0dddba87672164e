"""API keys in a real pod: a Secret that is missing is told, and keys come and go without a restart."""

import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from endpoints import find_address
from kubectl import Kubectl
from scoring_models import ScoringModels
from scoring_runtime.access.keys import hash_key
from waiting import wait_for

NAME = "keyed"
SECRET = "keyed-keys"
QUESTION = {"input": "How do I parse JSON?"}


def ask(kubectl: Kubectl, key: str | None, path: str = "/score") -> int:
    """Return the status of an answer."""
    headers = {} if key is None else {"X-API-Key": key}
    return httpx.post(f"{find_address(kubectl, NAME)}{path}", json=QUESTION, headers=headers, timeout=30).status_code


def read_pod(kubectl: Kubectl) -> tuple[str, int]:
    """Return the only pod's uid and how often its container has been started again."""
    (pod,) = kubectl.list("pods", "-l", f"scoring.dev/model={NAME}")
    return pod["metadata"]["uid"], pod["status"]["containerStatuses"][0]["restartCount"]


def touch_pods(kubectl: Kubectl) -> None:
    """Change an annotation of the pods: the kubelet then looks at their Secrets at once. As docs/access.md says."""
    stamp = f"keys-changed={time.time_ns()}"
    kubectl("annotate", "pods", "-l", f"scoring.dev/model={NAME}", stamp, "--overwrite")


@pytest.fixture(scope="module")
def keyed(models: ScoringModels) -> Iterator[tuple[Kubectl, dict[str, Any]]]:
    """Yield a model whose Secret was made only after it said that it is missing, and what it said."""
    kubectl = models.kubectl
    endpoint = {"apiKeys": {"secretName": SECRET}}
    model = {"uri": "pvc://models/faq/javascript-faq.tar", "format": "sklearn"}
    models.apply(NAME, hardwareClass="e2e-small", model=model, endpoint=endpoint)
    said = models.wait_for_reason("ApiKeysMissing", NAME)
    kubectl.apply(
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": SECRET},
            "stringData": {"shop": hash_key("first"), "other": f"{hash_key('other')} models=another"},
        }
    )
    models.wait_until_ready(NAME, timeout_seconds=120)
    yield kubectl, said
    kubectl("delete", "scoringmodel", NAME)


def test_missing_secret_is_told_and_found_when_it_is_there(keyed: tuple[Kubectl, dict[str, Any]]) -> None:
    _, said = keyed
    assert said["message"].startswith(f"The Secret {SECRET} of spec.endpoint.apiKeys does not exist, or is of no use.")
    assert "scoring-runtime keys new" in said["message"]


def test_only_keys_are_let_in(keyed: tuple[Kubectl, dict[str, Any]]) -> None:
    kubectl, _ = keyed
    assert [ask(kubectl, key) for key in ("first", "other", "wrong", None)] == [200, 403, 401, 401]


def test_keys_change_without_a_restart(keyed: tuple[Kubectl, dict[str, Any]]) -> None:
    kubectl, _ = keyed
    pod = read_pod(kubectl)
    kubectl.patch("secret", SECRET, {"stringData": {"shop": f"{hash_key('first')}\n{hash_key('second')}"}})
    touch_pods(kubectl)
    wait_for(lambda: ask(kubectl, "second") == 200, "the second key", 90)
    assert ask(kubectl, "first") == 200
    kubectl.patch("secret", SECRET, {"stringData": {"shop": hash_key("second")}})
    touch_pods(kubectl)
    wait_for(lambda: ask(kubectl, "first") == 401, "the end of the first key", 90)
    assert ask(kubectl, "second") == 200
    kubectl("delete", "secret", SECRET)
    touch_pods(kubectl)
    wait_for(lambda: ask(kubectl, "second") == 401, "the end of all keys", 90)
    assert read_pod(kubectl) == pod
