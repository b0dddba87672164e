"""A model whose route or autoscaler the API server refuses: it serves all the same, and says what is wrong."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from memory_clusters import ClusterInMemory, roll_out
from scoring_operator.api import Manifest
from scoring_operator.errors import PartRejected, Rejected
from scoring_operator.kinds import (
    AUTOSCALER,
    DEPLOYMENT,
    HARDWARE_CLASS,
    INGRESS,
    SCORING_MODEL,
    SERVICE,
    Key,
)
from scoring_operator.reconcile import Reconciler
from scoring_operator.settings import Settings
from scoring_operator.store import Store

FAQ = Key("team", "faq")
CPU = {
    "metadata": {"name": "cpu", "uid": "cpu", "generation": 1},
    "spec": {"default": True, "resources": {"requests": {"cpu": 1}}},
}
WEBHOOK = Rejected("400: admission webhook denied the request: no such annotation")


@pytest.fixture
def store(build_body: Callable[..., Manifest]) -> Store:
    store = Store()
    cluster = ClusterInMemory(store)
    cluster.put(HARDWARE_CLASS, CPU)
    endpoint = {"host": "faq.example.com", "tls": {"secretName": "faq"}}
    autoscaling = {"minReplicas": 1, "maxReplicas": 3}
    cluster.put(SCORING_MODEL, build_body(endpoint=endpoint, autoscaling=autoscaling))
    return store


@pytest.fixture
def cluster(store: Store) -> ClusterInMemory:
    return ClusterInMemory(store, first_version=100)


@pytest.fixture
def reconcile(store: Store, cluster: ClusterInMemory, settings: Settings) -> Callable[[], float | None]:
    given: Any = cluster
    reconciler = Reconciler(given, store, settings, lambda _key: None)
    return lambda: asyncio.run(reconciler.reconcile(FAQ))


def read_conditions(store: Store) -> dict[str, tuple[str, str]]:
    body = store.get(SCORING_MODEL, FAQ.namespace, FAQ.name) or {}
    return {one["type"]: (one["status"], one["reason"]) for one in body["status"]["conditions"]}


def test_model_is_ready_without_its_route_and_the_route_is_tried_again(
    store: Store, cluster: ClusterInMemory, reconcile: Callable[[], float | None]
) -> None:
    cluster.refusals[INGRESS] = WEBHOOK
    with pytest.raises(PartRejected):
        reconcile()
    cluster.put(DEPLOYMENT, roll_out(store.get(DEPLOYMENT, FAQ.namespace, FAQ.name) or {}))
    with pytest.raises(PartRejected):
        reconcile()
    assert read_conditions(store) == {"Ready": ("True", "Serving"), "RouteReady": ("False", "RouteRefused")}
    message = (store.get(SCORING_MODEL, FAQ.namespace, FAQ.name) or {})["status"]["conditions"][1]["message"]
    assert message == f"The API server refuses the model's route: Ingress: {WEBHOOK}"
    cluster.refusals.clear()
    reconcile()
    assert store.has(INGRESS, FAQ.namespace, FAQ.name)


def test_model_is_ready_without_its_autoscaler_and_the_autoscaler_is_tried_again(
    store: Store, cluster: ClusterInMemory, reconcile: Callable[[], float | None]
) -> None:
    cluster.refusals[AUTOSCALER] = Rejected("403: forbidden: exceeded quota")
    with pytest.raises(PartRejected):
        reconcile()
    cluster.put(DEPLOYMENT, roll_out(store.get(DEPLOYMENT, FAQ.namespace, FAQ.name) or {}))
    with pytest.raises(PartRejected):
        reconcile()
    conditions = read_conditions(store)
    assert conditions["Ready"] == ("True", "Serving")
    assert conditions["ScalingInactive"] == ("True", "AutoscalerRefused")
    cluster.refusals.clear()
    reconcile()
    reconcile()
    assert store.has(AUTOSCALER, FAQ.namespace, FAQ.name)
    assert "ScalingInactive" not in read_conditions(store)


def test_both_are_told_when_both_are_refused(
    store: Store, cluster: ClusterInMemory, reconcile: Callable[[], float | None]
) -> None:
    cluster.refusals = {INGRESS: WEBHOOK, AUTOSCALER: Rejected("403: no")}
    with pytest.raises(PartRejected, match=r"Ingress: .*; HorizontalPodAutoscaler: 403: no"):
        reconcile()
    conditions = read_conditions(store)
    assert conditions["ScalingInactive"] == ("True", "AutoscalerRefused")
    assert conditions["RouteReady"] == ("False", "RouteRefused")


def test_what_else_is_refused_counts_more(
    store: Store, cluster: ClusterInMemory, reconcile: Callable[[], float | None]
) -> None:
    cluster.refusals = {INGRESS: WEBHOOK, SERVICE: Rejected("403: exceeded quota")}
    with pytest.raises(Rejected) as refused:
        reconcile()
    assert not isinstance(refused.value, PartRejected)
    assert read_conditions(store)["Ready"] == ("False", "Rejected")
