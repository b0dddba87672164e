"""The chart's values: what documents them is current and complete."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from charts.values import find_schema, read_values, render_documents

Schema = dict[str, Any]
FREE = {"global", "podSecurityContext", "affinity", "tolerations", "resources"}
"""Values whose members are Kubernetes' own, or nobody's."""


@pytest.fixture
def schema(chart: Path) -> Schema:
    """Return the chart's schema of its values."""
    schema: Schema = json.loads((chart / "values.schema.json").read_text())
    return schema


@pytest.fixture
def text(chart: Path) -> str:
    """Return the chart's values as they are written."""
    return (chart / "values.yaml").read_text()


def walk_values(values: dict[str, Any], schema: Schema, *path: str) -> Iterator[tuple[str, ...]]:
    """Yield the path of each value that the schema names, groups included."""
    for name, value in values.items():
        yield (*path, name)
        # Members of a map of labels are whatever its user names.
        if isinstance(value, dict) and name not in FREE and "properties" in find_schema(schema, (*path, name)):
            yield from walk_values(value, schema, *path, name)


def walk_schema(schema: Schema, *path: str) -> Iterator[tuple[tuple[str, ...], Schema]]:
    """Yield each object's path and schema, of those that are not free."""
    yield path, schema
    for name, member in schema.get("properties", {}).items():
        if name not in FREE:
            yield from walk_schema(member, *path, name)
    if isinstance(schema.get("items"), dict):
        yield from walk_schema(schema["items"], *path, "[]")


def test_documents_of_the_values_are_current() -> None:
    outdated = [path.name for path, text in render_documents().items() if path.read_text() != text]
    assert not outdated, "run `make chart`"


def test_every_value_is_documented_and_has_a_schema(text: str, schema: Schema) -> None:
    documented = {value.path for value in read_values(text)}
    named = set(walk_values(yaml.safe_load(text), schema))
    assert named == documented
    assert not [path for path in named if not find_schema(schema, path).get("description")]


def test_schema_names_no_value_that_is_not_there(text: str, schema: Schema) -> None:
    assert schema["properties"].keys() - {"global"} == yaml.safe_load(text).keys()


def test_schema_takes_no_unknown_members(schema: Schema) -> None:
    open_objects = [
        ".".join(path)
        for path, part in walk_schema(schema)
        if "properties" in part and part.get("additionalProperties") is not False
    ]
    assert not open_objects


def test_comment_of_several_lines_is_read_as_one() -> None:
    (value,) = read_values("# Not this.\n# -- First line,\n# second line.\nname: []\nother: 1\n")
    assert (value.path, value.default, value.description) == (("name",), [], "First line, second line.")
