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


def reconcile(body: Manifest, settings: Settings, error: Exception, rounds: int = 1) -> list[str]:
    """Do some rounds for a model whose status is refused; return the events. Raises what the last round does."""
    store = Store()
    store.put(SCORING_MODEL, {**body, "metadata": {**body["metadata"], "resourceVersion": "1"}})
    cluster: Any = ReluctantCluster(error)
    reconciler = Reconciler(cluster, store, settings, lambda _: None)
    for _ in range(rounds):
        with suppress(Rejected):
            asyncio.run(reconciler.reconcile(Key("team", "faq")))
    events: list[str] = cluster.events
    return events


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
