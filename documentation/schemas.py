"""What a field's schema says, in words: its type, its limits and its default. Pure; pages.py puts them into tables."""

import json
from collections.abc import Iterator
from typing import Any

from documentation.texts import code_cell

Schema = dict[str, Any]

RULES = "x-kubernetes-validations"
INT_OR_STRING = "x-kubernetes-int-or-string"
ANYTHING = "x-kubernetes-preserve-unknown-fields"
MAP_KEYS = "x-kubernetes-list-map-keys"

UNITS = {"Length": "character", "Items": "item", "Properties": "entry"}
PLURALS = {"character": "characters", "item": "items", "entry": "entries"}


def describe_type(schema: Schema) -> str:
    """Return a field's type as a reader of YAML would say it."""
    if schema.get(INT_OR_STRING):
        return "integer or string"
    if schema["type"] == "array":
        return f"list of {describe_type(schema['items'])}"
    if isinstance(schema.get("additionalProperties"), dict):
        return f"map of {describe_type(schema['additionalProperties'])}"
    return "date" if schema.get("format") == "date-time" else str(schema["type"])


def describe_default(schema: Schema) -> str:
    """Return what the API server fills in, as YAML would show it; empty when nothing is."""
    return code_cell(json.dumps(schema["default"], ensure_ascii=False)) if "default" in schema else ""


def describe_limits(schema: Schema) -> str:
    """Return what the API server asks of a value, and of the items or values in it."""
    own = list(find_limits(schema))
    items = schema.get("items") or schema.get("additionalProperties")
    if isinstance(items, dict) and "properties" not in items:
        own += [f"each: {limit}" for limit in find_limits(items)]
    return "; ".join(own)


def find_limits(schema: Schema) -> Iterator[str]:
    """Yield the limits of one value."""
    if "enum" in schema:
        yield ", ".join(code_cell(str(value)) for value in schema["enum"])
    yield from find_ranges(schema)
    if "pattern" in schema:
        yield f"matches {code_cell(schema['pattern'])}"
    if MAP_KEYS in schema:
        yield f"no two with the same {' and '.join(map(code_cell, schema[MAP_KEYS]))}"
    if schema.get("x-kubernetes-list-type") == "set":
        yield "no two alike"
    if schema.get(ANYTHING):
        yield "handed on unchecked"


def find_ranges(schema: Schema) -> Iterator[str]:
    """Yield the limits of one value's number or size."""
    if "minimum" in schema or "maximum" in schema:
        yield describe_range(schema.get("minimum"), schema.get("maximum"))
    for kind, unit in UNITS.items():
        least, most = schema.get(f"min{kind}"), schema.get(f"max{kind}")
        if least is not None or most is not None:
            yield f"{describe_range(least, most)} {unit if (most or least) == 1 else PLURALS[unit]}"


def describe_range(least: float | None, most: float | None) -> str:
    """Return a range of numbers in words; one end may be open."""
    if least is None:
        return f"at most {most:,}"
    if most is None:
        return f"at least {least:,}"
    return f"{least:,}" if least == most else f"{least:,} to {most:,}"
