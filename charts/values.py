"""Documents the chart's values: `python -m charts.values`, or `make chart`.

The comments marked `# --` in values.yaml are the source: they become the descriptions in values.schema.json, which Helm and editors show,
and the table in docs/chart.md. What a hardware class may hold comes from the operator's own model of it, so that Helm refuses what the API
server would. Home-made, since helm-docs makes the table but no schema, and its releases have stopped.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from scoring_operator.api import HardwareClassSpec
from scoring_operator.crds import build_schema

ROOT = Path(__file__).parents[1]
CHART = ROOT / "charts" / "scoring-operator"
PAGE = ROOT / "docs" / "chart.md"
BEGIN = "<!-- Made of the chart's values.yaml by `make chart`. Do not edit. -->\n"
END = "<!-- The end of what is made. -->"
MARK = "# -- "
DEFAULT_CHARACTERS = 60
"""Longer defaults are left to values.yaml."""

Schema = dict[str, Any]


@dataclass(frozen=True)
class Value:
    """One documented value: its path, its default, and what its comment says."""

    path: tuple[str, ...]
    default: object
    description: str


def read_values(text: str) -> list[Value]:
    """Return the documented values of a values.yaml, in its order."""
    root = yaml.compose(text)
    return list(_walk(root, (), text.splitlines())) if isinstance(root, yaml.MappingNode) else []


def _walk(node: yaml.MappingNode, path: tuple[str, ...], lines: list[str]) -> Iterator[Value]:
    for key, value in node.value:
        here = (*path, key.value)
        description = _read_comment(lines, key.start_mark.line)
        if description:
            yield Value(here, _construct(value), description)
        # What stands on the same line has the same comment, and is told with it.
        if isinstance(value, yaml.MappingNode) and not value.flow_style:
            yield from _walk(value, here, lines)


def _construct(node: yaml.Node) -> object:
    return yaml.safe_load(yaml.serialize(node))


def _read_comment(lines: list[str], line: int) -> str:
    """Return the comment that stands right above a line, from its mark on; empty without one."""
    block: list[str] = []
    for above in reversed(lines[:line]):
        words = above.strip()
        if not words.startswith("#"):
            return ""
        block.insert(0, words.removeprefix(MARK).removeprefix("# "))
        if words.startswith(MARK):
            return " ".join(block)
    return ""


def describe_schema(schema: Schema, values: list[Value]) -> Schema:
    """Return the schema with the values' descriptions in it, and with what a hardware class may hold."""
    for value in values:
        find_schema(schema, value.path)["description"] = value.description
    classes = find_schema(schema, ("hardwareClasses",))["items"]["properties"]
    classes["spec"] = close(build_schema(HardwareClassSpec))
    return schema


def find_schema(schema: Schema, path: tuple[str, ...]) -> Schema:
    """Return the part of the schema that holds for a value; raises KeyError where there is none."""
    found = schema
    for name in path:
        found = found["properties"][name]
    return found


def close(schema: Schema) -> Schema:
    """Return a structural schema as one of Helm's: no field but those named, and nothing that only the API server reads."""
    closed = {
        key: value
        for key, value in schema.items()
        if not key.startswith("x-kubernetes-") and key not in {"default", "format"}
    }
    for key in ("items", "additionalProperties"):
        if isinstance(closed.get(key), dict):
            closed[key] = close(closed[key])
    if "properties" in closed:
        closed["properties"] = {name: close(field) for name, field in closed["properties"].items()}
        closed["additionalProperties"] = False
    return closed


def render_table(schema: Schema, values: list[Value]) -> str:
    """Return the values as a Markdown table; groups whose members are documented have none but the members."""
    groups = {value.path[:-1] for value in values}
    rows = [_render_row(schema, value) for value in values if value.path not in groups]
    return "\n".join(("| value | type | default | meaning |", "|---|---|---|---|", *rows)) + "\n"


def _render_row(schema: Schema, value: Value) -> str:
    cells = (f"`{'.'.join(value.path)}`", _name_type(find_schema(schema, value.path)), _show_default(value.default))
    return f"| {' | '.join(cells)} | {value.description.replace('|', chr(92) + '|')} |"


def _name_type(schema: Schema) -> str:
    if "enum" in schema:
        return " or ".join(f"`{choice}`" for choice in schema["enum"])
    if "$ref" in schema:
        return "text" if schema["$ref"].endswith("/name") else "object"
    return {"string": "text", "array": "list"}.get(schema["type"], str(schema["type"]))


def _show_default(default: object) -> str:
    shown = json.dumps(default)
    return f"`{shown}`" if len(shown) <= DEFAULT_CHARACTERS else "see values.yaml"


def insert_table(page: str, table: str) -> str:
    """Return the page with the table between its marks; raises ValueError when they are missing."""
    head, begin, rest = page.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"the page must hold the lines {BEGIN.strip()} and {END}")
    return f"{head}{begin}\n{table}\n{end}{tail}"


def render_documents() -> dict[Path, str]:
    """Return the files that this module writes, with their content."""
    path = CHART / "values.schema.json"
    values = read_values((CHART / "values.yaml").read_text())
    schema = describe_schema(json.loads(path.read_text()), values)
    return {
        path: json.dumps(schema, indent=2, ensure_ascii=False) + "\n",
        PAGE: insert_table(PAGE.read_text(), render_table(schema, values)),
    }


def main() -> None:
    """Write the schema's descriptions and the page's table."""
    for path, text in render_documents().items():
        path.write_text(text)


if __name__ == "__main__":
    main()
