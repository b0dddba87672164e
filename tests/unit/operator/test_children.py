"""What becomes of a model's children when the API server does not take one of them."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from scoring_operator.api import Manifest, ScoringModel
from scoring_operator.children import Children
from scoring_operator.errors import ClusterError, NotFound
from scoring_operator.kinds import DEPLOYMENT, SERVICE_MONITOR, Key, Kind
from scoring_operator.store import Store

UID = "7"


class RefusingCluster:
    """Takes every new object but those of one kind."""

    def __init__(self, refused: Kind, error: ClusterError) -> None:
        self._refused = refused
        self._error = error
        self.applied: list[str] = []

    async def apply_new(self, kind: Kind, body: Manifest) -> Manifest:
        """Create an object."""
        if kind is self._refused:
            raise self._error
        self.applied.append(kind.name)
        return {**body, "metadata": {**body["metadata"], "uid": UID, "resourceVersion": "2"}}


def apply(model: ScoringModel, cluster: Any) -> bool:
    store = Store()
    store.serve(frozenset({SERVICE_MONITOR}))
    body = {"metadata": {"name": "faq", "namespace": "team"}}
    rendered = {DEPLOYMENT: {**body, "spec": {}}, SERVICE_MONITOR: {**body, "spec": {}}}
    return asyncio.run(Children(cluster, store).apply(Key("team", "faq"), model, rendered))


def test_kind_that_is_being_taken_away_holds_nothing_up(build_model: Callable[..., ScoringModel]) -> None:
    cluster = RefusingCluster(SERVICE_MONITOR, NotFound("405: create not allowed while the CRD is terminating"))
    assert apply(build_model(), cluster)
    assert cluster.applied == ["Deployment"]


def test_refusal_for_another_reason_is_told(build_model: Callable[..., ScoringModel]) -> None:
    with pytest.raises(ClusterError):
        apply(build_model(), RefusingCluster(SERVICE_MONITOR, ClusterError("500: no")))


def test_kind_that_every_cluster_has_is_not_let_pass(build_model: Callable[..., ScoringModel]) -> None:
    with pytest.raises(NotFound):
        apply(build_model(), RefusingCluster(DEPLOYMENT, NotFound("404: namespace not found")))
