"""How many more replicas fit: what counts on a node, and which nodes count."""

from collections.abc import Callable
from typing import Any

import pytest

from scoring_operator.api import HardwareClass, Manifest
from scoring_operator.capacity import Room, find_room, read_load, sum_by_node, sum_requests
from scoring_operator.errors import ModelProblem
from scoring_operator.kinds import MODEL_LABEL, POD
from scoring_operator.packing import pack, unpack

Build = Callable[..., HardwareClass]
GPU = {"accelerator": {}, "resources": {"requests": {"cpu": "1", "memory": "1Gi"}}}


def build_node(name: str = "node", *, gpus: int = 0, ready: str = "True", **spec: Any) -> Manifest:
    allocatable = {"cpu": "7500m", "memory": "16Gi", "pods": "110", **({"nvidia.com/gpu": str(gpus)} if gpus else {})}
    labels = {"kubernetes.io/hostname": name, "pool": "gpu" if gpus else "cpu", "generation": "8"}
    conditions = [{"type": "Ready", "status": ready}]
    return {
        "metadata": {"name": name, "labels": labels},
        "spec": spec,
        "status": {"allocatable": allocatable, "conditions": conditions},
    }


def build_pod(node: str | None = "node", phase: str = "Running", **requests: str) -> Manifest:
    spec = {"containers": [{"resources": {"requests": requests}}], **({"nodeName": node} if node else {})}
    return {"metadata": {"name": "pod", "namespace": "team"}, "spec": spec, "status": {"phase": phase}}


def count(hardware: HardwareClass, nodes: list[Manifest], *pods: Manifest) -> int:
    room = find_room(hardware, nodes, sum_by_node(map(read_load, pods)))
    assert room is not None
    return room.capacity


def test_the_scarcest_resource_decides(build_class: Build) -> None:
    assert count(build_class(resources={"requests": {"cpu": "1", "memory": "1Gi"}}), [build_node()]) == 7
    assert count(build_class(resources={"requests": {"cpu": "1", "memory": "4Gi"}}), [build_node()]) == 4
    assert count(build_class(resources={"limits": {"cpu": "2"}}), [build_node()]) == 3


def test_what_pods_request_is_taken_already_by_whomever(build_class: Build) -> None:
    hardware = build_class(resources={"requests": {"cpu": "1"}})
    assert count(hardware, [build_node()], build_pod(cpu="1500m"), build_pod(cpu="500m")) == 5
    assert count(hardware, [build_node()], build_pod("other", cpu="4"), build_pod(None, cpu="4")) == 7
    assert count(hardware, [build_node()], build_pod(phase="Succeeded", cpu="4")) == 7
    assert count(hardware, [build_node()], *[build_pod() for _ in range(108)]) == 2


def test_gpus_are_counted_where_there_are_any(build_class: Build) -> None:
    nodes = [build_node("a", gpus=4), build_node("b", gpus=2), build_node("c")]
    taken = build_pod("a", **{"nvidia.com/gpu": "1"})
    assert find_room(build_class(**GPU), nodes, sum_by_node([read_load(taken)])) == Room(capacity=5, nodes=3)


def test_request_of_an_init_container_counts_when_it_is_the_larger_one(build_class: Build) -> None:
    pod = build_pod(cpu="1")
    pod["spec"]["initContainers"] = [{"resources": {"requests": {"cpu": "3500m"}}}]
    assert count(build_class(resources={"requests": {"cpu": "1"}}), [build_node()], pod) == 4


def container(restart_policy: str | None = None, **requests: str) -> Manifest:
    return {"resources": {"requests": requests}, **({"restartPolicy": restart_policy} if restart_policy else {})}


@pytest.mark.parametrize(
    ("spec", "cores"),
    [
        ({"initContainers": [container("Always", cpu="500m")]}, 1.5),
        ({"initContainers": [container("Always", cpu="500m"), container("Always", cpu="250m")]}, 1.75),
        ({"initContainers": [container("Always", cpu="500m"), container(cpu="1")]}, 1.5),
        ({"initContainers": [container("Always", cpu="500m"), container(cpu="3")]}, 3.5),
        ({"initContainers": [container(cpu="3"), container("Always", cpu="500m")]}, 3.0),
        ({"initContainers": [container(cpu="3"), container("Always", cpu="5")]}, 6.0),
        ({"resources": {"requests": {"cpu": "4"}}, "initContainers": [container(cpu="5")]}, 4.0),
        ({"resources": {"requests": {"memory": "1Gi"}}}, 1.0),
        ({"resources": {"limits": {"cpu": "4"}}, "overhead": {"cpu": "250m"}}, 1.25),
        ({"resources": {"requests": {"cpu": "4"}}, "overhead": {"cpu": "250m"}}, 4.25),
    ],
)
def test_requests_are_counted_as_the_scheduler_counts_them(spec: Manifest, cores: float) -> None:
    pod = build_pod(cpu="1")
    pod["spec"].update(spec)
    kept = unpack(pack(POD, pod))
    assert sum_requests(kept)["cpu"] == cores
    assert sum_requests(kept)["pods"] == 1


def test_of_a_models_own_pods_sidecars_are_kept_apart_too() -> None:
    pod = build_pod(cpu="1")
    pod["metadata"]["labels"] = {MODEL_LABEL: "faq"}
    pod["spec"]["initContainers"] = [{"name": "fetch", **container(cpu="1")}, container("Always", cpu="500m")]
    assert sum_requests(unpack(pack(POD, pod)))["cpu"] == 1.5


@pytest.mark.parametrize(
    ("term", "suits"),
    [
        ({"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["node"]}]}, True),
        ({"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["other"]}]}, False),
        ({"matchFields": [{"key": "metadata.name", "operator": "NotIn", "values": ["node"]}]}, False),
        ({"matchFields": [{"key": "metadata.name", "operator": "NotIn", "values": ["other"]}]}, True),
        (
            {
                "matchFields": [{"key": "metadata.name", "operator": "In", "values": ["node"]}],
                "matchExpressions": [{"key": "pool", "operator": "In", "values": ["gpu"]}],
            },
            False,
        ),
        ({}, False),
        ({"matchFields": [], "matchExpressions": []}, False),
    ],
)
def test_required_node_affinity_is_heeded_in_fields_and_empty_terms(
    build_class: Build, term: Manifest, suits: bool
) -> None:
    affinity = {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [term]}}}
    assert (count(build_class(affinity=affinity), [build_node()]) > 0) is suits


@pytest.mark.parametrize(
    ("node", "spec", "suits"),
    [
        (build_node(ready="False"), {}, False),
        (build_node(unschedulable=True), {}, False),
        (build_node(unschedulable=True), {"tolerations": [{"operator": "Exists"}]}, True),
        (build_node(unschedulable=True), {"tolerations": [{"key": "", "operator": "Exists"}]}, True),
        (build_node(), {"nodeSelector": {"pool": "cpu"}}, True),
        (build_node(), {"nodeSelector": {"pool": "gpu"}}, False),
        (build_node(taints=[{"key": "gpu", "effect": "NoSchedule"}]), {}, False),
        (build_node(taints=[{"key": "gpu", "effect": "PreferNoSchedule"}]), {}, True),
        (
            build_node(taints=[{"key": "gpu", "value": "a", "effect": "NoSchedule"}]),
            {"tolerations": [{"key": "gpu", "operator": "Equal", "value": "a"}]},
            True,
        ),
        (
            build_node(taints=[{"key": "gpu", "value": "a", "effect": "NoSchedule"}]),
            {"tolerations": [{"key": "gpu", "operator": "Equal", "value": "b"}]},
            False,
        ),
        (
            build_node(taints=[{"key": "gpu", "effect": "NoExecute"}]),
            {"tolerations": [{"key": "gpu", "operator": "Exists", "effect": "NoSchedule"}]},
            False,
        ),
    ],
)
def test_nodes_that_the_class_may_not_use_do_not_count(
    build_class: Build, node: Manifest, spec: Manifest, suits: bool
) -> None:
    room = find_room(build_class(**spec), [node], {})
    assert room is not None
    assert (room.nodes, room.capacity > 0) == (int(suits), suits)


@pytest.mark.parametrize(
    ("key", "operator", "values", "suits"),
    [
        ("pool", "In", ["cpu", "gpu"], True),
        ("pool", "NotIn", ["cpu"], False),
        ("pool", "Exists", None, True),
        ("rack", "Exists", None, False),
        ("rack", "DoesNotExist", None, True),
        ("generation", "Gt", ["7"], True),
        ("generation", "Lt", ["8"], False),
        ("pool", "Gt", ["7"], False),
        ("rack", "Lt", ["7"], False),
    ],
)
def test_required_node_affinity_is_heeded(
    build_class: Build, key: str, operator: str, values: list[str] | None, suits: bool
) -> None:
    expression = {"key": key, "operator": operator, **({"values": values} if values else {})}
    required = {"nodeSelectorTerms": [{"matchExpressions": [expression]}]}
    affinity = {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": required}}
    assert (count(build_class(affinity=affinity), [build_node()]) > 0) is suits


@pytest.mark.parametrize(
    "required",
    [
        "yes",
        {"nodeSelectorTerms": [None]},
        {"nodeSelectorTerms": [{"matchExpressions": [{"operator": "In"}]}]},
        {"nodeSelectorTerms": [{"matchExpressions": [{"key": "pool", "operator": "Near"}]}]},
        {"nodeSelectorTerms": [{"matchFields": [{"operator": "In"}]}]},
    ],
)
def test_malformed_node_affinity_is_a_problem_of_the_class(build_class: Build, required: object) -> None:
    affinity = {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": required}}
    with pytest.raises(ModelProblem, match=r"spec\.affinity\.nodeAffinity"):
        find_room(build_class(affinity=affinity), [build_node()], {})


def test_nothing_is_told_of_devices_that_no_node_counts(build_class: Build) -> None:
    assert find_room(build_class(resourceClaim={"deviceClassName": "gpu.example.com"}), [build_node()], {}) is None
