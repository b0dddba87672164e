"""Rules for structural schemas that need no API server; that the API server takes the CRDs is tested with a real one."""

from collections.abc import Iterator
from typing import Any

import pytest

from scoring_operator.crds import build_crds

CRDS = build_crds()
Schema = dict[str, Any]


def read_schema(name: str) -> Schema:
    schema: Schema = CRDS[name]["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    return schema


def walk(schema: Schema, path: str = "") -> Iterator[tuple[str, Schema]]:
    """Yield each schema and its path, from the root down."""
    yield path, schema
    for name, field in schema.get("properties", {}).items():
        yield from walk(field, f"{path}.{name}")
    for name in ("items", "additionalProperties"):
        if name in schema:
            yield from walk(schema[name], f"{path}[{name}]")


def walk_specs() -> Iterator[tuple[str, Schema]]:
    """Yield what users write: each schema below spec of both kinds."""
    for name in CRDS:
        yield from walk(read_schema(name)["properties"]["spec"], f"{name}: spec")


@pytest.mark.parametrize("name", CRDS)
def test_every_field_has_a_description(name: str) -> None:
    properties = {
        f"{path}.{field}": schema
        for path, parent in walk(read_schema(name))
        for field, schema in parent.get("properties", {}).items()
    }
    # The API server has its own text for metadata, and refuses another.
    assert [path for path, schema in properties.items() if not schema.get("description")] == [".metadata"]


@pytest.mark.parametrize("name", CRDS)
@pytest.mark.parametrize("key", ["$ref", "$defs", "title", "const", "allOf", "oneOf", "exclusiveMinimum"])
def test_nothing_is_left_that_a_crd_may_not_hold(name: str, key: str) -> None:
    assert [path for path, schema in walk(read_schema(name)) if key in schema] == []


@pytest.mark.parametrize("name", CRDS)
def test_any_of_is_left_only_for_quantities(name: str) -> None:
    for path, schema in walk(read_schema(name)):
        assert ("anyOf" in schema) == schema.get("x-kubernetes-int-or-string", False), path


@pytest.mark.parametrize("name", CRDS)
def test_every_schema_has_a_type_or_is_a_quantity(name: str) -> None:
    untyped = [path for path, schema in walk(read_schema(name)) if "type" not in schema]
    quantities = ("requests[additionalProperties]", "limits[additionalProperties]", "target", "tolerance", "sizeLimit")
    assert all(path.endswith(quantities) for path in untyped)


@pytest.mark.parametrize(
    ("kind", "bound"), [("string", "maxLength"), ("array", "maxItems"), ("additionalProperties", "maxProperties")]
)
def test_everything_that_users_write_is_bounded(kind: str, bound: str) -> None:
    """The API server estimates what a CEL rule may cost from these bounds, and refuses rules over unbounded values."""
    concerned = {path: schema for path, schema in walk_specs() if schema.get("type") == kind or kind in schema}
    assert concerned
    unbounded = [path for path, schema in concerned.items() if bound not in schema and "enum" not in schema]
    assert unbounded == []


def test_quantities_are_bounded_and_have_a_pattern() -> None:
    quantities = [schema for _, schema in walk_specs() if "x-kubernetes-int-or-string" in schema]
    assert quantities
    # The pattern is of those written as text alone.
    assert all({"minimum", "maxLength", "pattern"} <= schema.keys() for schema in quantities)


def test_rules_say_what_to_do() -> None:
    rules = [rule for _, schema in walk_specs() for rule in schema.get("x-kubernetes-validations", [])]
    assert rules
    assert all(rule["rule"] and rule["message"] for rule in rules)


def test_list_keys_are_always_present() -> None:
    """The API server refuses a list map whose key an item may lack."""
    lists = [schema for _, schema in walk_specs() if schema.get("x-kubernetes-list-type") == "map"]
    assert lists
    for schema in lists:
        items = schema["items"]
        for key in schema["x-kubernetes-list-map-keys"]:
            assert key in items["required"] or "default" in items["properties"][key]


def test_required_fields_have_no_default_and_defaults_are_not_hollow() -> None:
    for path, schema in walk_specs():
        for field in schema.get("required", []):
            assert "default" not in schema["properties"][field], path
        assert schema.get("default", "present") not in (None, [], {}), path


def test_scale_subresource_points_to_fields_that_exist() -> None:
    version = CRDS["scoringmodels.yaml"]["spec"]["versions"][0]
    fields = {path for path, _ in walk(version["schema"]["openAPIV3Schema"])}
    assert set(version["subresources"]["scale"].values()) <= fields


@pytest.mark.parametrize("name", CRDS)
def test_columns_point_to_fields_that_exist(name: str) -> None:
    version = CRDS[name]["spec"]["versions"][0]
    fields = {path for path, _ in walk(version["schema"]["openAPIV3Schema"])}
    for column in version["additionalPrinterColumns"]:
        path = column["jsonPath"].partition("[")[0]
        stem = path if path in fields else path.rpartition(".")[0]
        assert path.startswith(".metadata") or stem in fields, path


def test_no_default_holds_null() -> None:
    defaults = {path: schema["default"] for path, schema in walk_specs() if "default" in schema}
    assert {"maxDelayMilliseconds": 0} in defaults.values()
    assert not {path for path, default in defaults.items() if isinstance(default, dict) and None in default.values()}
