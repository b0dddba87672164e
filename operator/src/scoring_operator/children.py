"""Brings a model's children to what is rendered: writes only what differs, and never touches what belongs to somebody else."""

import asyncio
import logging
from collections.abc import Collection, Mapping

from scoring_operator.api import Manifest, ScoringModel
from scoring_operator.cluster import Cluster
from scoring_operator.differences import Difference, find_differences
from scoring_operator.errors import Conflict, ModelProblem, NotFound, PartRejected, Rejected
from scoring_operator.kinds import (
    AUTOSCALERS,
    CHILDREN,
    DEPLOYMENT,
    MANAGER,
    NAMED_BY_PODS,
    ROUTE_CHILDREN,
    SCORING_MODEL,
    Key,
    Kind,
)
from scoring_operator.packing import owns_replicas
from scoring_operator.store import Store

NAME_TAKEN = "NameTaken"
HANDOVER = f"{MANAGER}-handover"

Rendered = Mapping[Kind, Manifest | None]
"""The wished manifest of each kind of child; None for one that must not be."""

logger = logging.getLogger(__name__)


class Children:
    """The children of all models, as the API server has them."""

    def __init__(self, cluster: Cluster, store: Store) -> None:
        self._cluster = cluster
        self._store = store
        self._accepted: dict[tuple[Kind, Key], tuple[Difference, ...]] = {}

    async def apply(self, key: Key, model: ScoringModel, rendered: Rendered) -> bool:
        """Write each child that differs from what is rendered, and delete those rendered as None; return whether any was written.

        What goes, goes first, so that two autoscalers never have the same Deployment; the rest is written at the same time. Kinds that are
        not named are left alone. Raises ModelProblem when a name is taken, and ClusterError: the first child's, PartRejected only when there is
        no other.
        """
        gone = [await self._remove(kind, model) for kind, wished in rendered.items() if wished is None]
        wishes = {kind: wished for kind, wished in rendered.items() if wished and self._store.is_served(kind)}
        results = await asyncio.gather(
            *(self._apply_served(kind, key, model, wished) for kind, wished in wishes.items()), return_exceptions=True
        )
        raise_first(dict(zip(wishes, results, strict=True)))
        return any(gone) or any(results)

    def has_lost(self, body: Manifest, rendered: Rendered) -> bool:
        """Tell whether a child of a model that had them all is missing."""
        if "status" not in body:
            return False
        name, namespace = body["metadata"]["name"], body["metadata"]["namespace"]
        return any(
            wished and self._store.is_served(kind) and not self._store.has(kind, namespace, name + kind.suffix)
            for kind, wished in rendered.items()
        )

    def forget(self, key: Key) -> None:
        """Forget what was remembered of a model that is gone."""
        for kind in CHILDREN:
            self._accepted.pop((kind, key), None)

    async def _find(self, kind: Kind, model: ScoringModel) -> Manifest | None:
        """Return a child that the store lacks although it exists: it has lost our label, or somebody else has made it."""
        live = await self._cluster.get(kind, model.namespace, model.name + kind.suffix)
        if live is not None and not is_controlled(live, model):
            raise describe_taken_name(kind, live, model)
        return live

    async def _remove(self, kind: Kind, model: ScoringModel) -> bool:
        """Delete a child that is no longer wished; an object of its name that is not ours is nobody's business."""
        live = self._store.get(kind, model.namespace, model.name + kind.suffix)
        if live is None or not is_controlled(live, model):
            return False
        await self._cluster.delete(kind, live)
        self._store.remove(kind, live)
        return True

    async def _apply_served(self, kind: Kind, key: Key, model: ScoringModel, wished: Manifest) -> bool:
        """Write a child if it differs; one whose optional kind is on its way out is left, as the model is without it soon."""
        try:
            return await self._apply(kind, key, model, wished)
        except NotFound as error:
            if not kind.is_optional:
                raise
            logger.info("%s %s not applied, its kind goes: %s", kind.name, key, error)
            return False

    async def _apply(self, kind: Kind, key: Key, model: ScoringModel, wished: Manifest) -> bool:
        """Write a child if it differs; return whether it did. Raises ModelProblem when its name is taken."""
        live = self._store.get(kind, model.namespace, model.name + kind.suffix)
        if live is None:
            return await self._create(kind, key, model, wished)
        if not is_controlled(live, model):
            raise describe_taken_name(kind, live, model)
        return await self._change(kind, key, model, wished, live)

    async def _create(self, kind: Kind, key: Key, model: ScoringModel, wished: Manifest) -> bool:
        try:
            answer = await self._cluster.apply_new(kind, wished)
        except Conflict:
            live = await self._find(kind, model)
            if live is None:
                raise
            return await self._change(kind, key, model, wished, live)
        self._take(kind, key, wished, answer)
        return True

    async def _change(self, kind: Kind, key: Key, model: ScoringModel, wished: Manifest, live: Manifest) -> bool:
        asleep = is_asleep(kind, live, model)
        differences = find_differences(live, wished)
        if not asleep and (not differences or differences == self._accepted.get((kind, key))):
            return False
        logger.info("Applying %s %s: %s", kind.name, key, ", ".join(path for path, _ in differences) or "it sleeps")
        if kind.is_immutable:
            await self._cluster.delete(kind, live)
            self._store.remove(kind, live)
        if kind is DEPLOYMENT and model.spec.autoscaling and (owns_replicas(live) or asleep):
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


def keep_named(children: Rendered) -> Rendered:
    """Return the children without the removal of what pods name: those that there are may have to be made anew before the newest are up."""
    return {kind: child for kind, child in children.items() if child is not None or kind not in NAMED_BY_PODS}


def raise_first(results: Mapping[Kind, bool | BaseException]) -> None:
    """Raise the first error; the refusal of what a model serves without, its route and its autoscaler, comes last."""
    errors = {kind: result for kind, result in results.items() if isinstance(result, BaseException)}
    spared = (*ROUTE_CHILDREN, *AUTOSCALERS)
    refused = {kind: error for kind, error in errors.items() if kind in spared and isinstance(error, Rejected)}
    for kind, error in errors.items():
        if kind not in refused:
            raise error
    if refused:
        raise PartRejected(quote_first(refused, ROUTE_CHILDREN), quote_first(refused, AUTOSCALERS))


def quote_first(refused: Mapping[Kind, BaseException], kinds: Collection[Kind]) -> str | None:
    """Return the words of the first refusal of some kinds, if there is any."""
    return next((f"{kind.name}: {error}" for kind, error in refused.items() if kind in kinds), None)


def describe_taken_name(kind: Kind, live: Manifest, model: ScoringModel) -> ModelProblem:
    """Return the problem of a model whose child's name another has: somebody else, or a model of this name that is on its way out."""
    owners = live["metadata"].get("ownerReferences") or []
    name = live["metadata"]["name"]
    if any((owner["kind"], owner["name"]) == (SCORING_MODEL.name, model.name) for owner in owners):
        message = f"{kind.name} {name} of an earlier ScoringModel of this name is still being deleted."
        return ModelProblem(NAME_TAKEN, message, stalled=False)
    message = (
        f"{kind.name} {name} exists already and does not belong to this ScoringModel: "
        "delete it, or give the ScoringModel another name."
    )
    return ModelProblem(NAME_TAKEN, message)


def is_asleep(kind: Kind, live: Manifest, model: ScoringModel) -> bool:
    """Tell whether a Deployment has been scaled to 0, where Kubernetes' autoscaler leaves it, although some replicas are wished."""
    autoscaling = model.spec.autoscaling
    is_woken = kind is DEPLOYMENT and autoscaling is not None and autoscaling.min_replicas > 0
    return is_woken and live["spec"].get("replicas") == 0


def is_controlled(live: Manifest, model: ScoringModel) -> bool:
    """Tell whether the model is the controlling owner of an object."""
    owners = live["metadata"].get("ownerReferences") or []
    return any(owner.get("controller") and owner["uid"] == model.metadata.uid for owner in owners)
