"""What a round does when a model has changed under it."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from scoring_operator.api import Manifest
from scoring_operator.errors import Conflict, NotFound
from scoring_operator.kinds import SCORING_MODEL, Key, Kind
from scoring_operator.reconcile import Reconciler
from scoring_operator.settings import Settings
from scoring_operator.store import Store


class MovedCluster:
    """Takes no status: the model is another version, or gone."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    async def write_status(self, kind: Kind, body: Manifest, status: Manifest) -> Manifest:
        """Refuse the status."""
        raise self._error


def reconcile(body: Manifest, settings: Settings, error: Exception) -> None:
    """Do one round for a model, whose status is refused."""
    store = Store()
    store.put(SCORING_MODEL, {**body, "metadata": {**body["metadata"], "resourceVersion": "1"}})
    cluster: Any = MovedCluster(error)
    asyncio.run(Reconciler(cluster, store, settings, lambda _: None).reconcile(Key("team", "faq")))


def test_status_of_an_older_version_is_tried_again(build_body: Callable[..., Manifest], settings: Settings) -> None:
    """A change of metadata alone is no cause for a round, so nothing else would write it."""
    with pytest.raises(Conflict):
        reconcile(build_body(), settings, Conflict("409"))


def test_status_of_a_deleted_model_is_not_tried_again(build_body: Callable[..., Manifest], settings: Settings) -> None:
    reconcile(build_body(), settings, NotFound("404"))
