"""How many more replicas of a hardware class the cluster's nodes would take now: pure arithmetic over nodes and what pods request.

It follows the scheduler in what is counted: requests, numbers of pods, node selectors, required node affinity, taints, cordons.
Preferences, spread and affinity between pods are left out: they move replicas, or make the number an upper bound.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from pydantic import BaseModel, Field, ValidationError

from scoring_operator.api import HardwareClass, Manifest, describe_fields
from scoring_operator.errors import ModelProblem
from scoring_operator.kinds import POD, Key, find_model_key
from scoring_operator.quantities import parse_quantity

PODS = "pods"
UNSCHEDULABLE_TAINT = {"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"}
BLOCKING_EFFECTS = {"NoSchedule", "NoExecute"}
FINISHED = {"Succeeded", "Failed"}

Amounts = Mapping[str, float]
"""Quantities by resource in base units: cores, bytes, devices."""


@dataclass(frozen=True, slots=True)
class Load:
    """What one pod counts for."""

    model: Key | None
    """The ScoringModel that it serves, if it is one's."""
    node: str | None
    """Where it is scheduled."""
    has_ended: bool
    requests: tuple[tuple[str, float], ...]


@dataclass(frozen=True)
class Room:
    """What a class could still get: replicas that fit, and the nodes that suit it."""

    capacity: int
    nodes: int


class Expression(BaseModel):
    """One expression of a node selector."""

    key: str
    operator: Literal["In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt"]
    values: tuple[str, ...] | None = None


class Term(BaseModel):
    """Expressions that a node's labels and fields, of which there is its name, must all match."""

    expressions: tuple[Expression, ...] | None = Field(None, alias="matchExpressions")
    fields: tuple[Expression, ...] | None = Field(None, alias="matchFields")


class NodeSelector(BaseModel):
    """Terms of which a node must fulfil one."""

    terms: tuple[Term, ...] = Field(alias="nodeSelectorTerms")


@lru_cache(maxsize=4096)
def read_amount(quantity: int | str) -> float:
    """Return a quantity in base units."""
    return float(parse_quantity(quantity))


def sum_requests(pod: Manifest) -> dict[str, float]:
    """Return what the scheduler counts for a pod: what its containers request, or the pod as a whole where that says so, and its overhead."""
    spec = pod["spec"]
    total = {**sum_containers(spec), **read_requests(spec)}
    add(total, read_amounts(spec.get("overhead")).items())
    return {**total, PODS: 1.0}


def sum_containers(spec: Manifest) -> dict[str, float]:
    """Return what a pod's containers and sidecars request together, or what an init container does beside the sidecars before it if that is more.

    Sidecars are the init containers that never end (restartPolicy Always).
    """
    total: dict[str, float] = {}
    sidecars: dict[str, float] = {}
    starting: dict[str, float] = {}
    for container in spec.get("containers") or []:
        add(total, read_requests(container).items())
    for container in spec.get("initContainers") or []:
        if container.get("restartPolicy") == "Always":
            add(sidecars, read_requests(container).items())
        else:
            for name, amount in read_requests(container).items():
                starting[name] = max(starting.get(name, 0.0), sidecars.get(name, 0.0) + amount)
    add(total, sidecars.items())
    return {**total, **{name: max(total.get(name, 0.0), amount) for name, amount in starting.items()}}


def read_requests(holder: Manifest) -> dict[str, float]:
    """Return what a container requests, or a pod as a whole."""
    return read_amounts((holder.get("resources") or {}).get("requests"))


def read_amounts(quantities: Mapping[str, int | str] | None) -> dict[str, float]:
    """Return quantities in base units."""
    return {name: read_amount(quantity) for name, quantity in (quantities or {}).items()}


def add(total: dict[str, float], amounts: Iterable[tuple[str, float]]) -> None:
    """Add amounts of resources to those that there are already."""
    for name, amount in amounts:
        total[name] = total.get(name, 0.0) + amount


def read_load(pod: Manifest) -> Load:
    """Return what a pod counts for."""
    has_ended = pod.get("status", {}).get("phase") in FINISHED
    requests = share(tuple(sum_requests(pod).items()))
    return Load(find_model_key(POD, pod), pod["spec"].get("nodeName") or None, has_ended, requests)


@lru_cache(maxsize=4096)
def share(requests: tuple[tuple[str, float], ...]) -> tuple[tuple[str, float], ...]:
    """Return an equal value that others have already, if they have: most pods request what others do."""
    return requests


def sum_by_node(loads: Iterable[Load]) -> dict[str, dict[str, float]]:
    """Return what the pods of each node request together; those that have ended or have no node yet count nowhere."""
    used: dict[str, dict[str, float]] = {}
    for load in loads:
        if load.node and not load.has_ended:
            add(used.setdefault(load.node, {}), load.requests)
    return used


def find_room(hardware: HardwareClass, nodes: Sequence[Manifest], used: Mapping[str, Amounts]) -> Room | None:
    """Return the room for more replicas of a class; None where it depends on devices that no node counts (resourceClaim).

    Raises ModelProblem when the class's node affinity is malformed: the API does not look into it.
    """
    if hardware.spec.resource_claim is not None:
        return None
    asked = find_request(hardware)
    selector = read_required_affinity(hardware)
    suitable = [node for node in nodes if suits(node, hardware) and fulfils(node, selector)]
    return Room(
        sum(count_fits(node, asked, used.get(node["metadata"]["name"], {})) for node in suitable), len(suitable)
    )


def find_request(hardware: HardwareClass) -> dict[str, float]:
    """Return what one replica of the class requests; a limit without a request counts as one, as Kubernetes has it."""
    resources = hardware.spec.resources
    asked = {PODS: 1.0}
    for amounts in (resources.limits or {}, resources.requests or {}):
        asked.update(read_amounts(amounts))
    if hardware.spec.accelerator is not None:
        asked[hardware.spec.accelerator.resource] = float(hardware.spec.accelerator.count)
    return asked


def count_fits(node: Manifest, asked: Amounts, used: Amounts) -> int:
    """Return how many more replicas one node takes."""
    allocatable = node.get("status", {}).get("allocatable") or {}
    fits = (
        int((read_amount(allocatable.get(name, 0)) - used.get(name, 0.0) + 1e-9) // amount)
        for name, amount in asked.items()
        if amount > 0
    )
    return max(0, min(fits, default=0))


def suits(node: Manifest, hardware: HardwareClass) -> bool:
    """Tell whether replicas of the class may run on a node, room and affinity aside."""
    labels = node["metadata"].get("labels") or {}
    selector = hardware.spec.node_selector or {}
    return (
        is_ready(node)
        and all(labels.get(name) == value for name, value in selector.items())
        and all(is_tolerated(taint, hardware) for taint in list_taints(node))
    )


def is_ready(node: Manifest) -> bool:
    """Tell whether the node reports itself ready; one without a word about it counts as ready."""
    conditions = node.get("status", {}).get("conditions") or []
    return all(condition["status"] == "True" for condition in conditions if condition["type"] == "Ready")


def list_taints(node: Manifest) -> list[Manifest]:
    """Return the taints that keep pods away."""
    spec = node.get("spec") or {}
    taints = [taint for taint in spec.get("taints") or [] if taint.get("effect") in BLOCKING_EFFECTS]
    return [*taints, UNSCHEDULABLE_TAINT] if spec.get("unschedulable") else taints


def is_tolerated(taint: Manifest, hardware: HardwareClass) -> bool:
    """Tell whether the class tolerates a taint, as Kubernetes matches them."""
    return any(
        (not toleration.key or toleration.key == taint["key"])
        and (toleration.effect is None or toleration.effect == taint["effect"])
        and (toleration.operator == "Exists" or (toleration.value or "") == taint.get("value", ""))
        for toleration in hardware.spec.tolerations
    )


def read_required_affinity(hardware: HardwareClass) -> NodeSelector | None:
    """Return the class's required node affinity, if it has any; raises ModelProblem InvalidSpec when it is malformed."""
    affinity = hardware.spec.affinity
    required = (affinity.node_affinity or {} if affinity else {}).get("requiredDuringSchedulingIgnoredDuringExecution")
    if not required:
        return None
    try:
        return NodeSelector.model_validate(required)
    except ValidationError as error:
        message = f"HardwareClass {hardware.name}: spec.affinity.nodeAffinity: {describe_fields(error)}."
        raise ModelProblem("InvalidSpec", message) from error


def fulfils(node: Manifest, selector: NodeSelector | None) -> bool:
    """Tell whether a node fulfils one of the terms of a selector, if there is one; a term that says nothing is for no node, as Kubernetes has it."""
    labels = node["metadata"].get("labels") or {}
    fields = {"metadata.name": node["metadata"]["name"]}
    return selector is None or any(
        (term.expressions or term.fields)
        and all(matches(labels, expression) for expression in term.expressions or ())
        and all(matches(fields, expression) for expression in term.fields or ())
        for term in selector.terms
    )


def matches(labels: Mapping[str, str], expression: Expression) -> bool:
    """Tell whether labels, or fields, match one expression of a node selector."""
    value, values = labels.get(expression.key), expression.values or ()
    operators: Mapping[str, Callable[[], bool]] = {
        "In": lambda: value in values,
        "NotIn": lambda: value not in values,
        "Exists": lambda: value is not None,
        "DoesNotExist": lambda: value is None,
        "Gt": lambda: compare(value, values) > 0,
        "Lt": lambda: compare(value, values) < 0,
    }
    return operators[expression.operator]()


def compare(value: str | None, values: Sequence[str]) -> int:
    """Return the sign of a label's difference from the one value that it is compared with; 0, as Kubernetes has it, unless both are numbers."""
    with suppress(ValueError):
        (limit,) = values
        difference = int(value or "") - int(limit)
        return (difference > 0) - (difference < 0)
    return 0
