"""The story of one ScoringModel, told again for every cause: parse, render, apply, observe, report.

Level-triggered: it looks at what is wished and what there is, and writes only what differs. Safe to run at any time, any number of times.
"""

import contextlib
import logging
import time
from collections.abc import Callable
from dataclasses import replace

from scoring_operator.api import HardwareClass, Manifest, ScoringModel
from scoring_operator.causes import SETTLE_SECONDS
from scoring_operator.children import NAME_TAKEN, Children, Rendered, keep_named
from scoring_operator.cluster import Cluster
from scoring_operator.diagnosis import read_hash
from scoring_operator.errors import (
    ClusterError,
    Conflict,
    ModelProblem,
    NotFound,
    PartRejected,
    Rejected,
    ScoringOperatorError,
)
from scoring_operator.exposure import judge_exposure
from scoring_operator.failures import describe_failure, describe_fault, describe_missing_kind
from scoring_operator.hardware import choose_hardware
from scoring_operator.kinds import (
    AUTOSCALER,
    CLAIM_TEMPLATE,
    DEPLOYMENT,
    HARDWARE_CLASS,
    POD,
    ROUTE_CHILDREN,
    SCALED_OBJECT,
    SCORING_MODEL,
    SERVICE,
    Key,
)
from scoring_operator.render import render_children
from scoring_operator.render.scaled_object import find_autoscaler_name
from scoring_operator.rollouts import Rollouts
from scoring_operator.routing import HOST_TAKEN, RouteVerdict, describe_refused_route, keep_verdict
from scoring_operator.scaling import Autoscalers, ScalingVerdict, describe_refused_autoscaler, judge_scaling
from scoring_operator.settings import Settings
from scoring_operator.status import Observation, build_status, count_replicas, find_turned, is_progressing, is_warning
from scoring_operator.store import Store

NAME_TAKEN_SECONDS = 10.0
COUNT_SECONDS = 1.0
"""How long a count of a class's models is good for."""

logger = logging.getLogger(__name__)


class Reconciler:
    """Brings ScoringModels to what they ask for."""

    def __init__(self, cluster: Cluster, store: Store, settings: Settings, wake: Callable[[Key], None]) -> None:
        """Take `wake`, which has another model reconciled: one that has waited for its turn to roll out."""
        self._cluster = cluster
        self._store = store
        self._settings = settings
        self._children = Children(cluster, store)
        self._wake = wake
        self._counts: dict[str, tuple[float, int]] = {}
        self._told: dict[Key, tuple[str, int]] = {}
        self.rollouts = Rollouts(settings.class_rollout_share)

    def join_rollouts(self) -> None:
        """Count what rolls out already, before the first round."""
        for body in self._store.select(SCORING_MODEL):
            key = Key(body["metadata"]["namespace"], body["metadata"]["name"])
            hardware_class = body.get("status", {}).get("hardwareClass")
            if hardware_class and is_progressing(self._store.get(DEPLOYMENT, key.namespace, key.name)):
                self.rollouts.join(key, hardware_class)

    async def reconcile(self, key: Key) -> float | None:
        """Do one round for a model; return the seconds after which another should look at the outcome, if any should.

        Raises ClusterError when the API server did not do what was asked; the caller tries again later.
        """
        body = self._store.get(SCORING_MODEL, key.namespace, key.name)
        if body is None or "deletionTimestamp" in body["metadata"]:
            self._forget(key)
            return None
        try:
            return await self._bring_about(key, body)
        except ScoringOperatorError:
            raise
        except Exception as error:
            # A fault of the operator's own. What was observed may be its cause, so that not even this may be told.
            with contextlib.suppress(Exception):
                observation = self._observe(key, body, None, describe_fault(error))
                await self._report(replace(observation, route=keep_verdict(body)))
            raise

    async def _bring_about(self, key: Key, body: Manifest) -> float | None:
        """Bring a model that is to be there to what it asks for."""
        hardware: HardwareClass | None = None
        route = keep_verdict(body)
        try:
            model = ScoringModel.parse(body)
            route = judge_exposure(self._store, self._settings, body, model)
            hardware = choose_hardware(model, self._store.select(HARDWARE_CLASS))
            children = self._render(key, body, model, hardware)
            if route is not None and route.reason == HOST_TAKEN:
                children = {**children, **dict.fromkeys(ROUTE_CHILDREN)}
            if self._children.has_lost(body, children) and not await self._exists(body):
                return None  # Deleted: the watch of the children was faster than that of the models.
            if await self._children.apply(key, model, children):
                return SETTLE_SECONDS
        except ModelProblem as problem:
            self._settle(key, is_rolled_out=False)
            await self._report(replace(self._observe(key, body, hardware, problem), route=route))
            # What has our name without our label is not watched.
            return NAME_TAKEN_SECONDS if problem.reason == NAME_TAKEN else None
        except PartRejected as error:
            route = describe_refused_route(error.route) if error.route else route
            with contextlib.suppress(ClusterError):
                await self._report_applied(body, model, hardware, route, error.autoscaler)
            raise
        except ClusterError as error:
            observation = self._observe(key, body, hardware, describe_failure(error))
            await self._report_failure(replace(observation, route=route), error)
            raise
        return await self._report_applied(body, model, hardware, route)

    def _forget(self, key: Key) -> None:
        """Forget a model that is gone."""
        self._children.forget(key)
        self._told.pop(key, None)
        self._settle(key, is_rolled_out=True)

    def _render(self, key: Key, body: Manifest, model: ScoringModel, hardware: HardwareClass) -> Rendered:
        """Return the children to be applied now: without the pods' while the model waits for its turn to roll out.

        Raises ModelProblem when the model and its hardware do not fit together, or the cluster lacks what they need.
        """
        children = render_children(model, hardware, self._settings)
        if children[CLAIM_TEMPLATE] is not None and not self._store.is_served(CLAIM_TEMPLATE):
            raise describe_missing_kind(CLAIM_TEMPLATE, hardware)
        live = find_own(self._store.get(DEPLOYMENT, key.namespace, key.name), body)
        is_rolled_out = live is not None and count_replicas(live).is_rolled_out
        if (
            is_rolled_out
            and is_pushed(body, live or {}, children[DEPLOYMENT] or {})
            and not self.rollouts.begin(key, hardware.name, self._count_models(hardware.name))
        ):
            logger.debug("%s waits for its turn to follow HardwareClass %s", key, hardware.name)
            kept = {kind: child for kind, child in children.items() if kind not in {DEPLOYMENT, CLAIM_TEMPLATE}}
            return keep_named(kept)
        is_newest = is_rolled_out and has_pods_of(live or {}, children[DEPLOYMENT] or {})
        self._settle(key, is_rolled_out=is_newest)
        return children if live is None or is_newest else keep_named(children)

    async def _exists(self, body: Manifest) -> bool:
        """Ask the API server whether a model is still there and to stay."""
        metadata = body["metadata"]
        live = await self._cluster.get(SCORING_MODEL, metadata["namespace"], metadata["name"])
        return (
            live is not None
            and live["metadata"]["uid"] == metadata["uid"]
            and "deletionTimestamp" not in live["metadata"]
        )

    def _settle(self, key: Key, *, is_rolled_out: bool) -> None:
        for waiting in self.rollouts.settle(key, is_rolled_out=is_rolled_out):
            self._wake(waiting)

    def _count_models(self, hardware_class: str) -> int:
        """Return how many models use a class; the count may be a second old."""
        now = time.monotonic()
        counted, models = self._counts.get(hardware_class, (-COUNT_SECONDS, 0))
        if now - counted >= COUNT_SECONDS:
            bodies = self._store.select(SCORING_MODEL)
            models = sum(body.get("status", {}).get("hardwareClass") == hardware_class for body in bodies)
            self._counts[hardware_class] = now, models
        return models

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

    def _judge_scaling(self, key: Key, model: ScoringModel) -> ScalingVerdict:
        """Return what keeps the load from choosing the number of replicas, from the store."""
        autoscaling = model.spec.autoscaling
        if autoscaling is None:
            return ScalingVerdict()
        name = find_autoscaler_name(key.name) if autoscaling.needs_keda else key.name
        autoscalers = Autoscalers(
            is_keda_missing=autoscaling.needs_keda and not self._store.is_served(SCALED_OBJECT),
            scaled_object=self._store.get(SCALED_OBJECT, key.namespace, key.name),
            autoscaler=self._store.get(AUTOSCALER, key.namespace, name),
            deployment=self._store.get(DEPLOYMENT, key.namespace, key.name),
        )
        return judge_scaling(autoscalers, self._cluster.now())

    async def _report(self, observation: Observation) -> None:
        """Write the status when it differs, and an event when a condition has turned.

        Raises Conflict when the model is another version meanwhile: a new round looks at that, since a change of metadata alone is no cause for one.
        """
        body = observation.model
        status = build_status(observation, self._cluster.now())
        before = body.get("status", {})
        if status == before:
            return
        try:
            self._store.put(SCORING_MODEL, await self._cluster.write_status(SCORING_MODEL, body, status))
        except NotFound:
            return  # Deleted meanwhile.
        except Rejected:
            await self._tell_by_event(body, status)
            raise
        for turned in find_turned(before, status):
            await self._post_event(body, turned)

    async def _tell_by_event(self, body: Manifest, status: Manifest) -> None:
        """Record once what the status would say of a model that an older schema let in: by a schema that cannot be applied to it none can be written."""
        metadata = body["metadata"]
        address = Key(metadata["namespace"], metadata["name"])
        told = self._told.get(address)
        if told != (metadata["uid"], metadata["generation"]):
            self._told[address] = metadata["uid"], metadata["generation"]
            await self._post_event(body, status["conditions"][0])

    async def _report_applied(
        self,
        body: Manifest,
        model: ScoringModel,
        hardware: HardwareClass | None,
        route: RouteVerdict | None,
        refused_autoscaler: str | None = None,
    ) -> float | None:
        """Write what there is of a model whose pods and Service are as they should be; return the seconds after which to look again."""
        key = Key(model.namespace, model.name)
        refused = describe_refused_autoscaler(refused_autoscaler) if refused_autoscaler else None
        scaling = refused or self._judge_scaling(key, model)
        observation = self._observe(key, body, hardware)
        await self._report(replace(observation, scaling_problem=scaling.problem, route=route))
        return scaling.again_seconds

    async def _report_failure(self, observation: Observation, error: ClusterError) -> None:
        """Write why the API server did not do what was asked, if it takes at least that; what mends itself is not worth a word."""
        if isinstance(error, Conflict | NotFound):
            return
        with contextlib.suppress(ClusterError):
            await self._report(observation)

    async def _post_event(self, body: Manifest, turned: Manifest) -> None:
        """Record that a condition has turned; the status says the same, so an event that is refused is only logged."""
        event_type = "Warning" if is_warning(turned) else "Normal"
        try:
            await self._cluster.post_event(body, event_type, turned["reason"], turned["message"])
        except ClusterError as error:
            logger.warning("Event not recorded: %s", error)


def is_up_to_date(store: Store, key: Key) -> bool:
    """Tell whether a model's newest generation has been seen to, and its Deployment is there: a round will most likely write nothing."""
    body = store.get(SCORING_MODEL, key.namespace, key.name) or {}
    is_seen = bool(body) and body.get("status", {}).get("observedGeneration") == body["metadata"]["generation"]
    return is_seen and store.has(DEPLOYMENT, key.namespace, key.name)


def is_pushed(body: Manifest, live: Manifest, wished: Manifest) -> bool:
    """Tell whether new pods are due to something else than a change of the model itself: its class, or the operator's own settings."""
    status = body.get("status", {})
    # An operator before appliedGeneration has left only the other one.
    applied = status.get("appliedGeneration", status.get("observedGeneration"))
    return bool(applied == body["metadata"]["generation"]) and not has_pods_of(live, wished)


def has_pods_of(live: Manifest, wished: Manifest) -> bool:
    """Tell whether a Deployment's pods are made as a rendered one says."""
    return read_hash(live["spec"]["template"]) == read_hash(wished["spec"]["template"])


def find_own(child: Manifest | None, model: Manifest) -> Manifest | None:
    """Return the child if it belongs to the model, else None."""
    owners = (child or {}).get("metadata", {}).get("ownerReferences") or []
    return child if any(owner["uid"] == model["metadata"]["uid"] for owner in owners) else None
