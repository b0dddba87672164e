"""Prometheus finds pods by their annotations, and targets by files. Fake pods answer nobody, so they are not asked."""

from typing import Any

import httpx

from kubectl import Kubectl
from measured_values import MeasuredValue
from waiting import wait_for

ANNOTATIONS = {"prometheus.io/scrape": "true", "prometheus.io/port": "9000"}


def ask(prometheus: str, path: str, **parameters: str) -> Any:
    """Return what Prometheus' API answers."""
    return httpx.get(f"{prometheus}/api/v1/{path}", params=parameters).raise_for_status().json()["data"]


def test_fake_pod_is_found_and_not_scraped(namespace: Kubectl, prometheus: str) -> None:
    pod = {"containers": [{"name": "worker", "image": "localhost/none"}]}
    metadata = {"name": "worker", "annotations": ANNOTATIONS}
    namespace.apply({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": pod})

    def find() -> list[dict[str, str]]:
        dropped = ask(prometheus, "targets", state="dropped")["droppedTargets"]
        labels = [target["discoveredLabels"] for target in dropped]
        return [found for found in labels if found.get("__meta_kubernetes_namespace") == namespace.namespace]

    [found] = wait_for(find, "the pod to be found")
    assert found["__meta_kubernetes_pod_annotation_prometheus_io_port"] == "9000"
    active = ask(prometheus, "targets", state="active")["activeTargets"]
    assert [target for target in active if target["scrapePool"] == "pods"] == []


def test_target_named_in_a_file_is_scraped(prometheus: str, waiting: MeasuredValue, scraped: str) -> None:
    waiting.value = 7

    def look() -> bool:
        return [sample["value"][1] for sample in ask(prometheus, "query", query=scraped)["result"]] == ["7"]

    wait_for(look, "the value")
