"""How the models are, counted when the metrics are asked for: from the store and the queue of the operator that leads.

What is wrong is told model by model; of the others there are only numbers, so that a thousand healthy models cost a handful of series.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from scoring_operator.api import Manifest
from scoring_operator.api.hardware_class import list_devices
from scoring_operator.diagnosis import find_condition
from scoring_operator.facts import Facts
from scoring_operator.kinds import AUTOSCALER, HARDWARE_CLASS, POD, SCORING_MODEL, Key, find_model_key
from scoring_operator.routing import ROUTE_READY
from scoring_operator.status import SCALING_INACTIVE
from scoring_operator.store import Store
from scoring_operator.work_queue import WorkQueue

MAX_NAMED = 1000
"""Conditions that are told model by model at most, whatever goes wrong at once."""

READY, RECONCILING, STALLED, UNSEEN = "ready", "reconciling", "stalled", "unseen"
STATES = (READY, RECONCILING, STALLED, UNSEEN)

AT_MAXIMUM = "AtMaximumReplicas"
ROUTE_NOT_READY = "RouteNotReady"
TOO_MANY = "TooManyReplicas"
"""Kubernetes' reason of an autoscaler that would make more replicas than it may."""

CLAIM = "resourceClaim"


@dataclass(frozen=True, slots=True)
class ModelSummary:
    """What of a model's status is counted."""

    key: Key
    state: str
    hardware_class: str
    replicas: int
    ready_replicas: int
    troubles: tuple[tuple[str, str], ...]
    """Condition and reason of each that asks for attention."""


class Census(Collector):
    """Counts at each scrape; tells nothing while `queue` is None, since only the leader's view is acted upon."""

    def __init__(self, store: Store) -> None:
        self.queue: WorkQueue[Key] | None = None
        self._store = store
        self._models = Facts(store, SCORING_MODEL, summarize_model)
        self._autoscalers = Facts(store, AUTOSCALER, read_limit)
        self._classes = Facts(store, HARDWARE_CLASS, read_accelerator)

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Yield the gauges of this moment."""
        if self.queue is None:
            return
        yield from describe_queue(self.queue)
        models = self._models.select()
        yield from count_models(models)
        yield self._tell_conditions(models)
        yield self._count_pending(models)

    def _tell_conditions(self, models: list[ModelSummary]) -> GaugeMetricFamily:
        family = GaugeMetricFamily(
            "scoring_operator_model_condition",
            "1 for each condition of a model that asks for attention; absent while all is well.",
            labels=("model_namespace", "model", "condition", "reason"),
        )
        limits = self._autoscalers.select()
        found = [(key, AT_MAXIMUM, TOO_MANY) for key, is_limited in limits if key is not None and is_limited]
        found += [(model.key, *trouble) for model in models for trouble in model.troubles]
        for key, condition, reason in islice(found, MAX_NAMED):
            family.add_metric((key.namespace, key.name, condition, reason), 1)
        return family

    def _count_pending(self, models: list[ModelSummary]) -> GaugeMetricFamily:
        """Pods are read only of models that lack replicas."""
        family = GaugeMetricFamily(
            "scoring_operator_pending_replicas",
            "Replicas that no node has taken yet, by hardware class and what accelerator it gives; of models that lack replicas.",
            labels=("hardware_class", "accelerator"),
        )
        accelerators = dict(self._classes.select())
        pending = Counter(dict.fromkeys(accelerators, 0))
        for model in models:
            if model.ready_replicas < model.replicas:
                pending[model.hardware_class] += sum(map(is_unplaced, self._store.select_of(POD, model.key)))
        for name, count in pending.items():
            family.add_metric((name, accelerators.get(name, "")), count)
        return family


def describe_queue(queue: WorkQueue[Key]) -> Iterator[GaugeMetricFamily]:
    """Yield what waits in the queue, and since when."""
    prefix = "scoring_operator"
    yield gauge(f"{prefix}_queue_depth", "Models that are due and wait for a worker.", queue.count_waiting())
    yield gauge(
        f"{prefix}_queue_oldest_seconds", "How long the oldest of them has waited.", queue.find_oldest_wait_seconds()
    )
    yield gauge(
        f"{prefix}_queue_delayed",
        "Models that are looked at again later, such as after a failure.",
        queue.count_delayed(),
    )
    yield gauge(f"{prefix}_queue_failing", "Models whose last round ended with an error.", queue.count_failing())
    yield gauge(
        f"{prefix}_longest_reconcile_seconds",
        "How long the longest round now in progress has taken; infinite when a worker has died.",
        queue.find_longest_run_seconds(),
    )


def count_models(models: Iterable[ModelSummary]) -> Iterator[GaugeMetricFamily]:
    """Yield the numbers of models and replicas by state and hardware class."""
    counts: Counter[tuple[str, str]] = Counter()
    replicas: Counter[tuple[str, str]] = Counter()
    for model in models:
        for state in STATES:
            counts.setdefault((model.hardware_class, state), 0)
        counts[model.hardware_class, model.state] += 1
        replicas[model.hardware_class, "existing"] += model.replicas
        replicas[model.hardware_class, READY] += model.ready_replicas
    for name, text, counted in (
        (
            "models",
            "Models by hardware class and state: ready, reconciling, stalled, or unseen by the operator.",
            counts,
        ),
        ("replicas", "Replicas of models by hardware class and state: existing, and of these ready.", replicas),
    ):
        family = GaugeMetricFamily(f"scoring_operator_{name}", text, labels=("hardware_class", "state"))
        for labels, count in counted.items():
            family.add_metric(labels, count)
        yield family


def gauge(name: str, text: str, value: float) -> GaugeMetricFamily:
    """Return a gauge without labels."""
    return GaugeMetricFamily(name, text, value=value)


def summarize_model(body: Manifest) -> ModelSummary:
    """Return what is counted of a model."""
    status = body.get("status", {})
    return ModelSummary(
        Key(body["metadata"]["namespace"], body["metadata"]["name"]),
        find_state(body),
        status.get("hardwareClass", ""),
        status.get("replicas", 0),
        status.get("readyReplicas", 0),
        tuple(find_troubles(body)),
    )


def find_state(body: Manifest) -> str:
    """Return which of STATES a model is in."""
    if find_condition(body, "Ready").get("status") == "True":
        return READY
    for condition, state in (("Stalled", STALLED), ("Reconciling", RECONCILING)):
        if find_condition(body, condition).get("status") == "True":
            return state
    return UNSEEN


def find_troubles(body: Manifest) -> Iterator[tuple[str, str]]:
    """Yield condition and reason of what asks for attention."""
    for name in ("Reconciling", "Stalled", SCALING_INACTIVE):
        condition = find_condition(body, name)
        if condition.get("status") == "True":
            yield name, condition.get("reason", "")
    route = find_condition(body, ROUTE_READY)
    if route.get("status", "True") != "True":
        yield ROUTE_NOT_READY, route.get("reason", "")


def read_limit(body: Manifest) -> tuple[Key | None, bool]:
    """Return whose an autoscaler is, and whether it would make more replicas than it may."""
    condition = find_condition(body, "ScalingLimited")
    is_limited = condition.get("status") == "True" and condition.get("reason") == TOO_MANY
    return find_model_key(AUTOSCALER, body), is_limited


def read_accelerator(body: Manifest) -> tuple[str, str]:
    """Return the name of a hardware class, and what accelerator it gives: its resource, `resourceClaim`, or nothing.

    The first one of those that stand among its resources, where they may stand as well.
    """
    spec = body.get("spec", {})
    plugged = list_devices(spec.get("resources") or {})
    named = (spec.get("accelerator") or {}).get("resource")
    return body["metadata"]["name"], CLAIM if CLAIM in spec else str(named or next(iter(plugged), ""))


def is_unplaced(pod: Manifest) -> bool:
    """Tell whether no node has taken a pod."""
    return not pod.get("spec", {}).get("nodeName") and "deletionTimestamp" not in pod["metadata"]
