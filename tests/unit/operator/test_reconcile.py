"""What a round does when a model has changed under it."""

import asyncio
import datetime
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

from scoring_operator.api import Manifest
from scoring_operator.errors import Conflict, NotFound, Rejected
from scoring_operator.kinds import SCORING_MODEL, Key, Kind
from scoring_operator.reconcile import Reconciler
from scoring_operator.settings import Settings
from scoring_operator.store import Store


class ReluctantCluster:
    """Takes no status: the model is another version, gone, or none that the schema can be applied to."""

    def __init__(self, error: Exception) -> None:
        self._error = error
        self.events: list[str] = []
        self.statuses: list[Manifest] = []

    def now(self) -> datetime.datetime:
        """Return any time."""
        return datetime.datetime(2026, 11, 26, tzinfo=datetime.UTC)

    async def post_event(self, body: Manifest, event_type: str, reason: str, message: str) -> None:
        """Take note of an event."""
        del body, message
        self.events.append(f"{event_type} {reason}")

    async def write_status(self, kind: Kind, body: Manifest, status: Manifest) -> Manifest:
        """Refuse the status."""
        raise self._error


class ClusterWithoutChildren(ReluctantCluster):
    """Takes statuses and events, and knows of no way to write or delete a child."""

    async def write_status(self, kind: Kind, body: Manifest, status: Manifest) -> Manifest:
        """Take note of the status."""
        del kind
        self.statuses.append(status)
        return {**body, "status": status}


def reconcile_with(cluster: ReluctantCluster, body: Manifest, settings: Settings, rounds: int = 1) -> None:
    """Do some rounds for a model. Raises what the last round does."""
    store = Store()
    store.put(SCORING_MODEL, {**body, "metadata": {**body["metadata"], "resourceVersion": "1"}})
    given: Any = cluster
    reconciler = Reconciler(given, store, settings, lambda _: None)
    for _ in range(rounds):
        with suppress(Rejected):
            asyncio.run(reconciler.reconcile(Key("team", "faq")))


def reconcile(body: Manifest, settings: Settings, error: Exception, rounds: int = 1) -> list[str]:
    """Do some rounds for a model whose status is refused; return the events. Raises what the last round does."""
    cluster = ReluctantCluster(error)
    reconcile_with(cluster, body, settings, rounds)
    return cluster.events


def test_status_of_an_older_version_is_tried_again(build_body: Callable[..., Manifest], settings: Settings) -> None:
    """A change of metadata alone is no cause for a round, so nothing else would write it."""
    with pytest.raises(Conflict):
        reconcile(build_body(), settings, Conflict("409"))


def test_status_of_a_deleted_model_is_not_tried_again(build_body: Callable[..., Manifest], settings: Settings) -> None:
    assert reconcile(build_body(), settings, NotFound("404")) == []


def test_model_whose_status_the_schema_refuses_is_told_of_by_one_event(
    build_body: Callable[..., Manifest], settings: Settings
) -> None:
    events = reconcile(build_body(replicas="two"), settings, Rejected("422: no such key"), rounds=3)
    assert events == ["Warning InvalidSpec"]


def test_model_that_an_older_schema_let_sleep_for_good_is_told_the_remedy_and_keeps_its_children(
    build_body: Callable[..., Manifest], settings: Settings
) -> None:
    """The API server lets a field that does not change be as it is, so such a model may be there when the operator is upgraded."""
    in_flight = {"type": "requestsInFlight", "target": 4}
    cluster = ClusterWithoutChildren(Rejected("not asked for"))
    reconcile_with(
        cluster, build_body(autoscaling={"minReplicas": 0, "maxReplicas": 5, "metrics": [in_flight]}), settings
    )
    (status,) = cluster.statuses
    ready, stalled = status["conditions"]
    assert (ready["status"], ready["reason"], stalled["type"]) == ("False", "InvalidSpec", "Stalled")
    assert ready["message"].startswith("ScoringModel faq: spec.autoscaling: ")
    assert ready["message"].endswith("or set minReplicas to 1.")
    assert cluster.events == ["Warning InvalidSpec"]


def test_fault_of_the_operators_own_is_told_in_the_status(
    build_body: Callable[..., Manifest], settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a model would keep the status of the generation before, or none, with a traceback in a log that its owner cannot read."""

    def fail(*_arguments: object) -> None:
        raise ValueError("out of range: hunter2")

    monkeypatch.setattr("scoring_operator.reconcile.choose_hardware", fail)
    cluster = ClusterWithoutChildren(NotFound("never"))
    with pytest.raises(ValueError, match="out of range"):
        reconcile_with(cluster, build_body(), settings)
    (status,) = cluster.statuses
    assert status["observedGeneration"] == 3
    ready = status["conditions"][0]
    assert (ready["status"], ready["reason"]) == ("False", "OperatorFailed")
    assert (
        ready["message"]
        == "The operator fails on this model (ValueError), and tries again, each time later: its log says why."
    )
