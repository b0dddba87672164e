import copy
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scoring_operator.api import Manifest
from scoring_operator.differences import find_differences

CONTAINER = {
    "name": "runtime",
    "image": "runtime:1",
    "env": [{"name": "A", "value": "1"}, {"name": "B", "value": ""}],
    "resources": {"requests": {"cpu": "500m", "memory": "1Gi"}, "limits": {"cpu": "2", "nvidia.com/gpu": "1"}},
    "securityContext": {"capabilities": {"drop": ["ALL"]}},
}


def build(*containers: Manifest, **spec: Any) -> Manifest:
    return {"metadata": {"name": "faq"}, "spec": {"containers": list(containers or (CONTAINER,)), **spec}}


def change(**fields: Any) -> Manifest:
    return {**copy.deepcopy(CONTAINER), **fields}


def test_nothing_differs_when_the_server_adds_defaults() -> None:
    live = build(
        change(terminationMessagePath="/dev/termination-log", imagePullPolicy="Always"),
        restartPolicy="Always",
        replicas=4,
    )
    live["metadata"].update(uid="1", resourceVersion="7", managedFields=[{"manager": "x"}])
    live["status"] = {"replicas": 4}
    assert find_differences(live, build()) == ()


@pytest.mark.parametrize(
    ("live", "rendered"),
    [("1", "1000m"), ("1", "1.0"), ("1024Mi", "1Gi"), ("1e3", "1k"), ("500m", "0.5"), (2, "2"), ("0", "0m")],
)
@pytest.mark.parametrize("side", ["requests", "limits"])
def test_nothing_differs_when_a_quantity_is_written_in_another_way(side: str, live: int | str, rendered: str) -> None:
    assert (
        find_differences(
            build(change(resources={side: {"memory": live}})), build(change(resources={side: {"memory": rendered}}))
        )
        == ()
    )


def test_quantity_differs_when_its_amount_does() -> None:
    live = build(change(resources={"requests": {"cpu": "1"}}))
    wished = build(change(resources={"requests": {"cpu": "1001m"}}))
    assert find_differences(live, wished) == ((".spec.containers[runtime].resources.requests.cpu", "1"),)


def test_quantity_is_absent_when_the_live_object_lacks_it() -> None:
    live = build(change(resources={"requests": {"cpu": "1"}}))
    wished = build(change(resources={"requests": {"cpu": "1", "memory": "1Gi"}}))
    assert find_differences(live, wished) == ((".spec.containers[runtime].resources.requests.memory", "(absent)"),)


def test_text_that_looks_like_a_quantity_is_compared_as_text_elsewhere() -> None:
    live, wished = (
        build(change(env=[{"name": "A", "value": "1"}])),
        build(change(env=[{"name": "A", "value": "1000m"}])),
    )
    assert find_differences(live, wished) == ((".spec.containers[runtime].env[A].value", "1"),)


@pytest.mark.parametrize(
    ("body", "other"),
    [
        (lambda amount: {"volumes": [{"name": "work", "emptyDir": {"sizeLimit": amount}}]}, ("1Gi", "1024Mi")),
        (lambda amount: {"metrics": [{"pods": {"target": {"averageValue": amount}}}]}, ("1", "1000m")),
        (lambda amount: {"metrics": [{"external": {"target": {"averageValue": amount}}}]}, ("1500m", "1.5")),
        (lambda amount: {"behavior": {"scaleUp": {"tolerance": amount}}}, ("50m", "0.05")),
    ],
)
def test_quantity_outside_of_resources_is_compared_by_its_amount(
    body: Callable[[str], Manifest], other: tuple[str, str]
) -> None:
    live, rendered = other
    assert find_differences({"spec": body(live)}, {"spec": body(rendered)}) == ()
    ((_, found),) = find_differences({"spec": body(live)}, {"spec": body("7")})
    assert found == live


@pytest.mark.parametrize("name", ["example.com/a.limits.b", "example.com/a.sizeLimit", "tolerance"])
def test_annotation_that_is_named_like_a_quantity_is_compared_as_text(name: str) -> None:
    live, wished = ({"metadata": {"annotations": {name: text}}} for text in ("as it was", "as rendered"))
    assert find_differences(live, wished) == ((f".metadata.annotations.{name}", "as it was"),)


def test_nothing_differs_when_named_items_come_in_another_order() -> None:
    env = [{"name": "B"}, {"name": "A", "value": "1"}]
    assert find_differences(build(change(env=env)), build()) == ()


def test_injected_sidecar_is_left_alone_wherever_it_stands() -> None:
    sidecar = {"name": "proxy", "image": "mesh:1"}
    for containers in ((sidecar, CONTAINER), (CONTAINER, sidecar)):
        assert find_differences(build(*containers), build()) == ()


def test_item_is_found_missing_when_someone_removed_it() -> None:
    live = build(change(env=[{"name": "A", "value": "1"}]))
    wished = build(change(env=[{"name": "A", "value": "1"}, {"name": "C", "value": "3"}]))
    assert find_differences(live, wished) == ((".spec.containers[runtime].env[C]", "(absent)"),)


def test_container_is_found_missing_when_only_a_sidecar_is_left() -> None:
    live = build({"name": "proxy", "image": "mesh:1"})
    assert find_differences(live, build()) == ((".spec.containers[runtime]", "(absent)"),)


@pytest.mark.parametrize("empty", [None, "", [], {}])
@pytest.mark.parametrize("other", [None, "", [], {}, "left out"])
def test_nothing_differs_when_the_server_leaves_out_an_empty_value(empty: object, other: object) -> None:
    live = {} if other == "left out" else {"field": other}
    assert find_differences(live, {"field": empty}) == ()


@pytest.mark.parametrize("value", [0, False, "x", [1], {"a": 1}])
def test_zero_and_false_are_not_empty(value: object) -> None:
    assert find_differences({}, {"field": value}) == ((".field", "(absent)"),)


@pytest.mark.parametrize(
    ("live", "rendered", "differences"),
    [
        (["ALL"], ["ALL"], ()),
        (["ALL", "X"], ["ALL"], ((".drop", "2 items"),)),
        (["X"], ["ALL"], ((".drop[0]", "X"),)),
        ([{"key": "a", "effect": "NoSchedule"}], [{"key": "a"}], ()),
        ([{"key": "b"}], [{"key": "a"}], ((".drop[0].key", "b"),)),
        ("ALL", ["ALL"], ((".drop", "ALL"),)),
        ({"a": 1}, ["ALL"], ((".drop", "{'a': 1}"),)),
    ],
)
def test_list_without_names_is_compared_item_by_item(live: object, rendered: object, differences: object) -> None:
    assert find_differences({"drop": live}, {"drop": rendered}) == differences


def test_owner_is_found_missing_when_the_reference_was_removed() -> None:
    owners = [{"name": "faq", "uid": "1"}]
    assert find_differences({"metadata": {}}, {"metadata": {"ownerReferences": owners}}) == (
        (".metadata.ownerReferences", "(absent)"),
    )


def test_every_difference_is_named_when_there_are_several() -> None:
    live = build(change(image="runtime:0", env=[]))
    paths = [path for path, _ in find_differences(live, build())]
    assert paths == [
        ".spec.containers[runtime].image",
        ".spec.containers[runtime].env[A]",
        ".spec.containers[runtime].env[B]",
    ]


values = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=4),
    lambda inner: (
        st.dictionaries(st.text("abc", min_size=1, max_size=2), inner, max_size=4)
        | st.lists(inner, max_size=3)
        | st.lists(
            st.fixed_dictionaries({"name": st.text("xyz", min_size=1, max_size=2), "value": inner}),
            max_size=3,
            unique_by=lambda item: item["name"],
        )
    ),
    max_leaves=20,
)
manifests = st.dictionaries(st.text("abc", min_size=1, max_size=2), values, max_size=5)


def add_fields(value: Any, extra: Any) -> Any:
    """Return a copy with a field that nobody rendered in each object, and an item more in each list of named items."""
    if isinstance(value, dict):
        return {**{name: add_fields(item, extra) for name, item in value.items()}, "notRendered": extra}
    if isinstance(value, list):
        items = [add_fields(item, extra) for item in value]
        is_named = value and all(isinstance(item, dict) and "name" in item for item in value)
        return [{"name": "not rendered"}, *items] if is_named else items
    return value


@given(manifest=manifests)
def test_nothing_differs_between_an_object_and_itself(manifest: Manifest) -> None:
    assert find_differences(copy.deepcopy(manifest), manifest) == ()


@given(manifest=manifests, extra=values)
def test_nothing_differs_whatever_others_add(manifest: Manifest, extra: object) -> None:
    assert find_differences(add_fields(manifest, extra), manifest) == ()


@given(manifest=manifests, field=st.text("abc", min_size=1, max_size=2))
def test_changed_field_is_always_found(manifest: Manifest, field: str) -> None:
    live = {**manifest, field: "as someone edited it"}
    wished = {**manifest, field: "as rendered"}
    assert find_differences(live, wished) == ((f".{field}", "as someone edited it"),)
