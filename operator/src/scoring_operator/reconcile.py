"""The story of one ScoringModel, told again for every cause: parse, render, apply, observe, report.

Level-triggered: it looks at what is wished and what there is, and writes only what differs. Safe to run at any time, any number of times.
"""

import asyncio
import contextlib
import datetime
import logging
from collections.abc import Mapping

from scoring_operator.api import HardwareClass, Manifest, ScoringModel
from scoring_operator.cluster import Cluster
from scoring_operator.differences import Difference, find_differences
from scoring_operator.errors import ClusterError, Conflict, ModelProblem, NotFound, Rejected
from scoring_operator.hardware import choose_hardware
from scoring_operator.kinds import CHILDREN, DEPLOYMENT, HARDWARE_CLASS, MANAGER, POD, SCORING_MODEL, SERVICE, Key, Kind
from scoring_operator.render import render_children
from scoring_operator.settings import Settings
from scoring_operator.status import Observation, build_status, has_turned
from scoring_operator.store import Store, owns_replicas

REJECTED = "Rejected"
APPLY_FAILED = "ApplyFailed"
NAME_TAKEN = "NameTaken"
HANDOVER = f"{MANAGER}-handover"

Children = Mapping[Kind, Manifest | None]
"""The wished manifest of each kind of child; None for one that must not be."""

SETTLE_SECONDS = 0.5
"""Changes come in bursts; this much later, one round serves them all."""

NAME_TAKEN_SECONDS = 10.0

logger = logging.getLogger(__name__)


class Reconciler:
    """Brings ScoringModels to what they ask for."""

    def __init__(self, cluster: Cluster, store: Store, settings: Settings) -> None:
        self._cluster = cluster
        self._store = store
        self._settings = settings
        self._accepted: dict[tuple[Kind, Key], tuple[Difference, ...]] = {}

    async def reconcile(self, key: Key) -> float | None:
        """Do one round for a model; return the seconds after which another should look at the outcome, if any should.

        Raises ClusterError when the API server did not do what was asked; the caller tries again later.
        """
        body = self._store.get(SCORING_MODEL, key.namespace, key.name)
        if body is None or "deletionTimestamp" in body["metadata"]:
            self._forget(key)
            return None
        hardware: HardwareClass | None = None
        try:
            model = ScoringModel.parse(body)
            hardware = choose_hardware(model, self._store.select(HARDWARE_CLASS))
            children = render_children(model, hardware, self._settings)
            if self._has_lost(body, children) and not await self._exists(body):
                return None  # Deleted: the watch of the children was faster than that of the models.
            if await self._apply(key, model, children):
                return SETTLE_SECONDS
        except ModelProblem as problem:
            await self._report(body, self._observe(key, body, hardware, problem))
            # What has our name without our label is not watched.
            return NAME_TAKEN_SECONDS if problem.reason == NAME_TAKEN else None
        except ClusterError as error:
            await self._report_failure(body, self._observe(key, body, hardware, describe_failure(error)), error)
            raise
        await self._report(body, self._observe(key, body, hardware))
        return None

    def _forget(self, key: Key) -> None:
        for kind in CHILDREN:
            self._accepted.pop((kind, key), None)

    def _has_lost(self, body: Manifest, children: Children) -> bool:
        """Tell whether a child of a model that had them all is missing."""
        if "status" not in body:
            return False
        name, namespace = body["metadata"]["name"], body["metadata"]["namespace"]
        return any(wished and self._store.get(kind, namespace, name) is None for kind, wished in children.items())

    async def _exists(self, body: Manifest) -> bool:
        """Ask the API server whether a model is still there and to stay."""
        metadata = body["metadata"]
        live = await self._cluster.get(SCORING_MODEL, metadata["namespace"], metadata["name"])
        return (
            live is not None
            and live["metadata"]["uid"] == metadata["uid"]
            and "deletionTimestamp" not in live["metadata"]
        )

    async def _apply(self, key: Key, model: ScoringModel, children: Children) -> bool:
        """Write each child that differs from what is rendered, all at the same time; return whether any did. Raises the first child's error."""
        results = await asyncio.gather(
            *(self._apply_child(kind, key, model, wished) for kind, wished in children.items()), return_exceptions=True
        )
        for result in results:
            if isinstance(result, BaseException):
                raise result
        return any(results)

    async def _find(self, kind: Kind, model: ScoringModel) -> Manifest | None:
        """Return a child that the store lacks although it exists: it has lost our label, or somebody else has made it."""
        live = await self._cluster.get(kind, model.namespace, model.name)
        if live is not None and not is_controlled(live, model):
            raise describe_taken_name(kind, live, model)
        return live

    async def _remove(self, kind: Kind, model: ScoringModel) -> bool:
        """Delete a child that is no longer wished; an object of its name that is not ours is nobody's business."""
        live = self._store.get(kind, model.namespace, model.name)
        if live is None or not is_controlled(live, model):
            return False
        await self._cluster.delete(kind, live)
        self._store.remove(kind, live)
        return True

    async def _apply_child(self, kind: Kind, key: Key, model: ScoringModel, wished: Manifest | None) -> bool:
        """Write a child if it differs, or delete one that is not wished; return whether that was so. Raises ModelProblem when its name is taken."""
        if wished is None:
            return await self._remove(kind, model)
        live = self._store.get(kind, model.namespace, model.name)
        if live is None:
            return await self._create_child(kind, key, model, wished)
        if not is_controlled(live, model):
            raise describe_taken_name(kind, live, model)
        return await self._change_child(kind, key, model, wished, live)

    async def _create_child(self, kind: Kind, key: Key, model: ScoringModel, wished: Manifest) -> bool:
        try:
            answer = await self._cluster.apply_new(kind, wished)
        except Conflict:
            live = await self._find(kind, model)
            if live is None:
                raise
            return await self._change_child(kind, key, model, wished, live)
        self._take(kind, key, wished, answer)
        return True

    async def _change_child(self, kind: Kind, key: Key, model: ScoringModel, wished: Manifest, live: Manifest) -> bool:
        if not is_asleep(kind, live, model):
            differences = find_differences(live, wished)
            if not differences or differences == self._accepted.get((kind, key)):
                return False
            logger.info("Applying %s %s: %s", kind.name, key, ", ".join(path for path, _ in differences))
        if kind is DEPLOYMENT and model.spec.autoscaling and (owns_replicas(live) or is_asleep(kind, live, model)):
            await self._hand_over_replicas(live, model.spec.autoscaling.min_replicas)
        self._take(kind, key, wished, await self._cluster.apply(kind, wished))
        return True

    def _take(self, kind: Kind, key: Key, wished: Manifest, answer: Manifest) -> None:
        """Take note of what the API server has made of a write."""
        self._store.put(kind, answer)
        self._accept((kind, key), find_differences(answer, wished))

    def _accept(self, child: tuple[Kind, Key], differences: tuple[Difference, ...]) -> None:
        """Remember what an admission plug-in made of our write: writing the same again would only repeat that."""
        if differences:
            paths = ", ".join(path for path, _ in differences)  # Not the values: they may be secret.
            logger.warning("The cluster changes what is applied to %s %s: %s", child[0].name, child[1], paths)
            self._accepted[child] = differences
        else:
            self._accepted.pop(child, None)

    async def _hand_over_replicas(self, live: Manifest, least: int) -> None:
        """Let go of spec.replicas without losing its value: a field that its only owner no longer applies falls back to 1.

        0 becomes the least number: Kubernetes' autoscaler takes 0 for being switched off. The version is named, so that a number that the
        autoscaler has set meanwhile is not overwritten (Conflict).
        """
        metadata = {name: live["metadata"][name] for name in ("name", "namespace", "resourceVersion")}
        kept = {"replicas": live["spec"].get("replicas", 1) or least}
        body = {"apiVersion": DEPLOYMENT.api_version, "kind": DEPLOYMENT.name, "metadata": metadata, "spec": kept}
        await self._cluster.apply(DEPLOYMENT, body, manager=HANDOVER)

    def _observe(
        self, key: Key, body: Manifest, hardware: HardwareClass | None, problem: ModelProblem | None = None
    ) -> Observation:
        """Return what there is of the model, from the store."""
        return Observation(
            model=body,
            deployment=find_own(self._store.get(DEPLOYMENT, key.namespace, key.name), body),
            service=find_own(self._store.get(SERVICE, key.namespace, key.name), body),
            pods=self._store.select_of(POD, key),
            hardware_class=hardware.name if hardware else None,
            problem=problem,
        )

    async def _report(self, body: Manifest, observation: Observation) -> None:
        """Write the status when it differs, and an event when Ready has turned."""
        status = build_status(observation, datetime.datetime.now(datetime.UTC))
        before = body.get("status", {})
        if status == before:
            return
        try:
            self._store.put(SCORING_MODEL, await self._cluster.write_status(SCORING_MODEL, body, status))
        except (Conflict, NotFound):
            return  # Deleted meanwhile; if another has its name, its own event is on the way.
        if has_turned(before, status):
            await self._post_event(body, status)

    async def _report_failure(self, body: Manifest, observation: Observation, error: ClusterError) -> None:
        """Write why the API server did not do what was asked, if it takes at least that; what mends itself is not worth a word."""
        if isinstance(error, Conflict | NotFound):
            return
        with contextlib.suppress(ClusterError):
            await self._report(body, observation)

    async def _post_event(self, body: Manifest, status: Manifest) -> None:
        """Record that Ready has turned; the status says the same, so an event that is refused is only logged."""
        ready = status["conditions"][0]
        event_type = "Warning" if ready["status"] == "False" else "Normal"
        try:
            await self._cluster.post_event(body, event_type, ready["reason"], ready["message"])
        except ClusterError as error:
            logger.warning("Event not recorded: %s", error)


def describe_failure(error: ClusterError) -> ModelProblem:
    """Return the problem of a model whose children the API server does not accept now."""
    if isinstance(error, Rejected):
        return ModelProblem(REJECTED, f"The API server refuses what this model needs: {error}", stalled=False)
    return ModelProblem(
        APPLY_FAILED, f"The API server did not take what this model needs; it is tried again: {error}", stalled=False
    )


def describe_taken_name(kind: Kind, live: Manifest, model: ScoringModel) -> ModelProblem:
    """Return the problem of a model whose child's name another has: somebody else, or a model of this name that is on its way out."""
    owners = live["metadata"].get("ownerReferences") or []
    if any((owner["kind"], owner["name"]) == (SCORING_MODEL.name, model.name) for owner in owners):
        message = f"{kind.name} {model.name} of an earlier ScoringModel of this name is still being deleted."
        return ModelProblem(NAME_TAKEN, message, stalled=False)
    message = (
        f"{kind.name} {model.name} exists already and does not belong to this ScoringModel: "
        "delete it, or give the ScoringModel another name."
    )
    return ModelProblem(NAME_TAKEN, message)


def is_asleep(kind: Kind, live: Manifest, model: ScoringModel) -> bool:
    """Tell whether an autoscaled Deployment has no replicas, with which Kubernetes' autoscaler would leave it for ever."""
    return kind is DEPLOYMENT and model.spec.autoscaling is not None and live["spec"].get("replicas") == 0


def is_controlled(live: Manifest, model: ScoringModel) -> bool:
    """Tell whether the model is the controlling owner of an object."""
    owners = live["metadata"].get("ownerReferences") or []
    return any(owner.get("controller") and owner["uid"] == model.metadata.uid for owner in owners)


def find_own(child: Manifest | None, model: Manifest) -> Manifest | None:
    """Return the child if it belongs to the model, else None."""
    owners = (child or {}).get("metadata", {}).get("ownerReferences") or []
    return child if any(owner["uid"] == model["metadata"]["uid"] for owner in owners) else None
