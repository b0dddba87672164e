"""Prometheus finds pods by their annotations, and targets by files. Fake pods that nobody answers for are not asked."""

from typing import Any

import httpx

from kubectl import Kubectl, Manifest
from measured_values import MeasuredValue
from waiting import wait_for


def ask(prometheus: str, path: str, **parameters: str) -> Any:
    """Return what Prometheus' API answers."""
    return httpx.get(f"{prometheus}/api/v1/{path}", params=parameters).raise_for_status().json()["data"]


def read_values(prometheus: str, query: str) -> list[str]:
    """Return the values of the samples that a query finds now."""
    return [sample["value"][1] for sample in ask(prometheus, "query", query=query)["result"]]


def build_pod(port: str, **spec: Any) -> Manifest:
    """Return a pod that asks to be scraped."""
    annotations = {"prometheus.io/scrape": "true", "prometheus.io/port": port}
    containers = [{"name": "worker", "image": "localhost/none"}]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "worker", "annotations": annotations, "labels": {"app": "worker"}},
        "spec": {"containers": containers, **spec},
    }


def test_annotated_pod_is_scraped_at_the_port_it_names(
    namespace: Kubectl, prometheus: str, waiting: MeasuredValue
) -> None:
    waiting.value = 7
    namespace.apply(build_pod(waiting.address.partition(":")[2], hostNetwork=True, nodeName="loopback"))
    query = f'requests_waiting{{namespace="{namespace.namespace}", pod="worker", app="worker"}}'
    wait_for(lambda: read_values(prometheus, query) == ["7"], "the value")


def test_pod_that_nobody_answers_for_is_found_and_not_scraped(namespace: Kubectl, prometheus: str) -> None:
    namespace.apply(build_pod("9000"))

    def find() -> list[dict[str, str]]:
        dropped = ask(prometheus, "targets", state="dropped")["droppedTargets"]
        labels = [target["discoveredLabels"] for target in dropped]
        # Without an address it is not running yet.
        return [
            found
            for found in labels
            if found.get("__meta_kubernetes_namespace") == namespace.namespace
            and found.get("__meta_kubernetes_pod_phase") == "Running"
        ]

    [found] = wait_for(find, "the pod to be found")
    assert found["__meta_kubernetes_pod_annotation_prometheus_io_port"] == "9000"
    active = ask(prometheus, "targets", state="active")["activeTargets"]
    assert not [target for target in active if target["labels"].get("namespace") == namespace.namespace]


def test_target_named_in_a_file_is_scraped(prometheus: str, waiting: MeasuredValue, scraped: str) -> None:
    waiting.value = 7
    wait_for(lambda: read_values(prometheus, scraped) == ["7"], "the value")
