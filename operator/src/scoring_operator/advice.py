"""Capacity advice: keeps the status of each HardwareClass true, which tells how many more replicas would fit now.

A change of a node, pod or class only marks the advice as old; a while later one computation serves all changes, and only a status that
differs is written.
"""

import asyncio
import logging
from collections import Counter

from scoring_operator.api import HardwareClass, Manifest
from scoring_operator.capacity import Load, Room, find_room, read_load, sum_by_node
from scoring_operator.cluster import Cluster
from scoring_operator.errors import ClusterError, ModelProblem
from scoring_operator.facts import Facts
from scoring_operator.kinds import HARDWARE_CLASS, NODE, POD, SCORING_MODEL, Key, find_model_key
from scoring_operator.rollouts import Rollouts
from scoring_operator.store import Store
from scoring_operator.work_queue import find_backoff_seconds

PAUSE_SECONDS = 2.0
"""Between two computations at least, so that a thousand new pods do not lead to a thousand writes."""

COUNTED = ("models", "replicas", "pending", "rolling", "waiting")
"""Fields of the status that count models or replicas."""

logger = logging.getLogger(__name__)


class Adviser:
    """Writes the status of hardware classes."""

    def __init__(self, cluster: Cluster, store: Store, rollouts: Rollouts) -> None:
        self._cluster = cluster
        self._store = store
        self._rollouts = rollouts
        self._loads = Facts(store, POD, read_load)
        self._classes = Facts(store, SCORING_MODEL, read_class)
        self._is_old = asyncio.Event()

    def mark(self) -> None:
        """Take note that something has changed that the advice depends on."""
        self._is_old.set()

    async def run_forever(self) -> None:
        """Advise whenever something has changed; what cannot be written is tried again, each time later."""
        failures = 0
        while True:
            await self._is_old.wait()
            self._is_old.clear()
            if await self.advise():
                failures = 0
            else:
                failures += 1
                asyncio.get_running_loop().call_later(find_backoff_seconds(failures), self.mark)
            await asyncio.sleep(PAUSE_SECONDS)

    async def advise(self) -> bool:
        """Write the status of each class whose numbers have changed; return whether all could be written.

        Nothing that is wrong with one class keeps the others from being told, or ends the work.
        """
        loads = self._loads.select()
        used = sum_by_node(loads)
        nodes = self._store.select(NODE)
        counts = self._count(loads)
        is_told = True
        for body in self._store.select(HARDWARE_CLASS):
            try:
                await self._tell(body, describe_class(body, counts, find_class_room(body, nodes, used)))
            except ClusterError as error:
                logger.warning("Capacity of %s not told: %s", body["metadata"]["name"], error)
                is_told = False
            except Exception:
                logger.exception("Capacity of %s not told", body["metadata"]["name"])
        return is_told

    async def _tell(self, body: Manifest, status: Manifest) -> None:
        if status != body.get("status", {}):
            answer = await self._cluster.write_status(HARDWARE_CLASS, body, status)
            self._store.put(HARDWARE_CLASS, answer)

    def _count(self, loads: list[Load]) -> dict[str, Counter[str]]:
        """Return by field of the status how many there are of each class."""
        counts: dict[str, Counter[str]] = {word: Counter() for word in COUNTED}
        class_of = {key: name for key, name in self._classes.select() if name is not None}
        counts["models"].update(class_of.values())
        for load in loads:
            name = class_of.get(load.model) if load.model else None
            if name is not None and not load.has_ended:
                counts["replicas" if load.node else "pending"][name] += 1
        for name in counts["models"]:
            counts["rolling"][name], counts["waiting"][name] = self._rollouts.count(name)
        return counts


def read_class(model: Manifest) -> tuple[Key | None, str | None]:
    """Return a model's key and the name of the class that it uses, once that is known."""
    return find_model_key(SCORING_MODEL, model), model.get("status", {}).get("hardwareClass")


def describe_class(body: Manifest, counts: dict[str, Counter[str]], room: Room | None) -> Manifest:
    """Return the status of a class; without a capacity where none can be told."""
    name = body["metadata"]["name"]
    status: Manifest = {
        "observedGeneration": body["metadata"]["generation"],
        **{word: by_class[name] for word, by_class in counts.items()},
    }
    if room is not None:
        status["capacity"], status["nodes"] = room.capacity, room.nodes
    return status


def find_class_room(body: Manifest, nodes: list[Manifest], used: dict[str, dict[str, float]]) -> Room | None:
    """Return the room for a class as the API server has it; None where it is wrong, which its models tell, or nothing can be told."""
    try:
        return find_room(HardwareClass.parse(body), nodes, used)
    except ModelProblem:
        return None
