"""The capacity that is told of hardware classes, when something is wrong with one of them."""

import asyncio
from typing import Any

from scoring_operator.advice import Adviser
from scoring_operator.api import Manifest
from scoring_operator.errors import Rejected
from scoring_operator.kinds import HARDWARE_CLASS, Kind
from scoring_operator.rollouts import Rollouts
from scoring_operator.store import Store

NAMES = ("refused", "odd", "good")


class PickyCluster:
    """Takes the status of good classes only."""

    def __init__(self) -> None:
        self.written: list[str] = []

    async def write_status(self, kind: Kind, body: Manifest, status: Manifest) -> Manifest:
        """Return the class with its new status."""
        del kind
        name = body["metadata"]["name"]
        if name == "refused":
            raise Rejected("422: spec.resources: Required value")
        if name == "odd":
            raise KeyError(name)
        self.written.append(name)
        return {**body, "metadata": {**body["metadata"], "resourceVersion": "2"}, "status": status}


def test_class_whose_status_cannot_be_written_does_not_hold_up_the_others() -> None:
    store = Store()
    for name in NAMES:
        metadata = {"name": name, "uid": name, "resourceVersion": "1", "generation": 1}
        store.put(HARDWARE_CLASS, {"metadata": metadata, "spec": {"resources": {}}})
    cluster: Any = PickyCluster()
    adviser = Adviser(cluster, store, Rollouts(0.1))
    assert asyncio.run(adviser.advise()) is False
    assert cluster.written == ["good"]
