"""What the operator counts when it is asked for its metrics."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from scoring_operator.api import Manifest
from scoring_operator.census import MAX_NAMED, Census
from scoring_operator.kinds import AUTOSCALER, HARDWARE_CLASS, POD, SCORING_MODEL, Key
from scoring_operator.store import Store
from scoring_operator.work_queue import WorkQueue

LABELS = {"scoring.dev/model": "faq", "app.kubernetes.io/managed-by": "scoring-operator"}
READY = ("Ready", "True", "Serving")


async def process(_key: object) -> None:
    """Do nothing with a key."""


def build(name: str, version: int = 1, labels: Manifest | None = None, **fields: Any) -> Manifest:
    metadata = {"name": name, "namespace": "team", "uid": f"{name}-uid", "resourceVersion": str(version)}
    return {"metadata": {**metadata, "generation": 1, "labels": labels or {}}, **fields}


def build_model(name: str, *conditions: tuple[str, str, str], version: int = 1, **status: Any) -> Manifest:
    written = [
        {"type": kind, "status": value, "reason": reason, "lastTransitionTime": "2026-11-26T10:00:00Z"}
        for kind, value, reason in conditions
    ]
    return build(name, version, spec={}, status={"hardwareClass": "cpu", **status, "conditions": written})


@pytest.fixture
def store() -> Store:
    store = Store()
    for name, spec in (
        ("cpu", {}),
        ("gpu", {"accelerator": {"resource": "nvidia.com/gpu"}}),
        ("dra", {"resourceClaim": {}}),
        ("amd", {"resources": {"limits": {"cpu": 1, "amd.com/gpu": 1}}}),
    ):
        body = build(name, spec=spec)
        del body["metadata"]["namespace"]
        store.put(HARDWARE_CLASS, body)
    return store


@pytest.fixture
def census(store: Store) -> Census:
    census = Census(store)
    census.queue = WorkQueue(process, expected=OSError)
    return census


@pytest.fixture
def read(census: Census) -> Callable[..., float | None]:
    """Return a function that gives one sample of what is told now, by name and labels; None when there is none."""
    registry = CollectorRegistry()
    registry.register(census)
    return lambda name, **labels: registry.get_sample_value(f"scoring_operator_{name}", labels)


def test_models_and_replicas_are_counted_by_state_and_class(store: Store, read: Callable[..., float | None]) -> None:
    store.put(SCORING_MODEL, build_model("a", READY, replicas=3, readyReplicas=2))
    store.put(SCORING_MODEL, build_model("b", READY, replicas=1, readyReplicas=1))
    stalled = ("Ready", "False", "InvalidSpec"), ("Stalled", "True", "InvalidSpec")
    store.put(SCORING_MODEL, build_model("c", *stalled, hardwareClass="gpu"))
    rolling = ("Ready", "Unknown", "RollingOut"), ("Reconciling", "True", "RollingOut")
    store.put(SCORING_MODEL, build_model("d", *rolling, hardwareClass="gpu"))
    store.put(SCORING_MODEL, build("e", spec={}))
    assert read("models", hardware_class="cpu", state="ready") == 2
    assert read("models", hardware_class="cpu", state="stalled") == 0
    assert read("models", hardware_class="gpu", state="stalled") == 1
    assert read("models", hardware_class="gpu", state="reconciling") == 1
    assert read("models", hardware_class="", state="unseen") == 1
    assert read("replicas", hardware_class="cpu", state="existing") == 4
    assert read("replicas", hardware_class="cpu", state="ready") == 3


def test_only_what_asks_for_attention_is_told_model_by_model(store: Store, read: Callable[..., float | None]) -> None:
    store.put(SCORING_MODEL, build_model("a", READY, ("RouteReady", "True", "Routed")))
    troubles = (("ScalingInactive", "True", "KedaNotInstalled"), ("RouteReady", "False", "HostTaken"))
    store.put(SCORING_MODEL, build_model("faq", READY, *troubles))
    limited = {"type": "ScalingLimited", "status": "True", "reason": "TooManyReplicas"}
    store.put(AUTOSCALER, build("faq", labels=LABELS, status={"conditions": [limited]}))
    too_fast = {**limited, "reason": "ScaleUpLimit"}
    store.put(AUTOSCALER, build("a", labels={**LABELS, "scoring.dev/model": "a"}, status={"conditions": [too_fast]}))

    def is_told(model: str, condition: str, reason: str) -> bool:
        labels = {"model_namespace": "team", "model": model, "condition": condition, "reason": reason}
        return read("model_condition", **labels) == 1

    assert is_told("faq", "ScalingInactive", "KedaNotInstalled")
    assert is_told("faq", "RouteNotReady", "HostTaken")
    assert is_told("faq", "AtMaximumReplicas", "TooManyReplicas")
    assert not is_told("a", "AtMaximumReplicas", "TooManyReplicas")
    assert not is_told("a", "RouteNotReady", "Routed")


def test_a_change_is_seen_at_the_next_count(store: Store, read: Callable[..., float | None]) -> None:
    store.put(SCORING_MODEL, build_model("a", READY))
    assert read("models", hardware_class="cpu", state="ready") == 1
    store.put(SCORING_MODEL, build_model("a", ("Stalled", "True", "InvalidSpec"), version=2))
    assert read("models", hardware_class="cpu", state="ready") == 0
    store.remove(SCORING_MODEL, build_model("a", version=3))
    assert read("models", hardware_class="cpu", state="ready") is None


def test_replicas_without_a_node_are_counted_by_accelerator(store: Store, read: Callable[..., float | None]) -> None:
    store.put(SCORING_MODEL, build_model("faq", READY, hardwareClass="gpu", replicas=3, readyReplicas=1))
    for name, spec in (("one", {}), ("two", {}), ("three", {"nodeName": "fake"})):
        store.put(POD, build(name, labels=LABELS, spec={"containers": [], **spec}))
    assert read("pending_replicas", hardware_class="gpu", accelerator="nvidia.com/gpu") == 2
    assert read("pending_replicas", hardware_class="cpu", accelerator="") == 0
    assert read("pending_replicas", hardware_class="dra", accelerator="resourceClaim") == 0
    assert read("pending_replicas", hardware_class="amd", accelerator="amd.com/gpu") == 0


def test_no_more_models_are_named_than_can_be_kept(store: Store, census: Census) -> None:
    for number in range(MAX_NAMED + 5):
        store.put(SCORING_MODEL, build_model(f"m{number}", ("Stalled", "True", "InvalidSpec")))
    told = {family.name: family.samples for family in census.collect()}
    assert len(told["scoring_operator_model_condition"]) == MAX_NAMED
    (stalled,) = [one for one in told["scoring_operator_models"] if one.labels["state"] == "stalled"]
    assert stalled.value == MAX_NAMED + 5


def test_a_follower_tells_nothing_of_models(store: Store, census: Census, read: Callable[..., float | None]) -> None:
    store.put(SCORING_MODEL, build_model("a", READY))
    census.queue = None
    assert read("models", hardware_class="cpu", state="ready") is None
    assert read("queue_depth") is None


def test_the_queue_tells_depth_age_and_failures(census: Census, read: Callable[..., float | None]) -> None:
    async def main() -> None:
        assert census.queue is not None
        assert (read("queue_depth"), read("queue_oldest_seconds")) == (0, 0)
        for name in ("a", "b"):
            census.queue.add(Key("team", name))
        census.queue.add(Key("team", "c"), delay_seconds=60)
        await asyncio.sleep(0.01)
        assert (read("queue_depth"), read("queue_delayed"), read("queue_failing")) == (2, 1, 0)
        assert (read("queue_oldest_seconds") or 0) >= 0.01
        await census.queue.stop()

    asyncio.run(main())
