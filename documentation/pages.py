"""The API reference: one page for each CRD, one section for each object in it, one row for each field.

crds/ is the only source, so what the page says is what the API server holds a manifest to.
"""

from collections.abc import Iterator
from pathlib import Path

import yaml

from documentation.schemas import RULES, Schema, describe_default, describe_limits, describe_type
from documentation.texts import code, escape, escape_cell

CRDS = Path(__file__).parents[1] / "crds"

GENERATED = "<!-- Generated from crds/ by `make crds`. Do not edit. -->\n"
GUIDES = {"ScoringModel": "../scoringmodel.md", "HardwareClass": "../hardware-classes.md"}
TABLE = "| field | type | default | limits | meaning |\n|---|---|---|---|---|\n"


def render_pages() -> dict[str, str]:
    """Return the Markdown of each kind's page by file name."""
    crds = [yaml.safe_load(path.read_text())["spec"] for path in sorted(CRDS.glob("*.yaml"))]
    return {f"{crd['names']['singular']}.md": render_page(crd) for crd in crds}


def render_page(crd: Schema) -> str:
    """Return the page of the CRD whose spec is `crd`."""
    (version,) = crd["versions"]
    root = version["schema"]["openAPIV3Schema"]
    objects = {path: schema for path, schema in find_objects(root, "") if path}
    sections = [render_section(path, schema, objects) for path, schema in objects.items()]
    return GENERATED + "\n".join([render_head(crd, version, root), *sections])


def render_head(crd: Schema, version: Schema, root: Schema) -> str:
    """Return the title, what the kind is, how it is named, and the rules for the whole object."""
    names = crd["names"]
    guide = GUIDES[names["kind"]]
    scope = "Namespaced" if crd["scope"] == "Namespaced" else "Cluster-scoped"
    columns = version["additionalPrinterColumns"]
    shown = ", ".join(column["name"] for column in columns if not column.get("priority"))
    wide = ", ".join(column["name"] for column in columns if column.get("priority"))
    return f"""# {names["kind"]}: every field

{root["description"]} What the fields are for, with examples, is in [the guide]({guide}).

- `apiVersion: {crd["group"]}/{version["name"]}`, `kind: {names["kind"]}`. {scope}; `{names["plural"]}`, short name `{names["shortNames"][0]}`.
- `kubectl get {names["shortNames"][0]}` shows {shown}; with `--output wide` also {wide}.
- An object that breaks a limit or a rule is refused by the API server, by `kubectl apply` with the rule's message.

{render_rules(root)}"""


def find_objects(schema: Schema, path: str) -> Iterator[tuple[str, Schema]]:
    """Yield each object in a schema with its path, such as `spec.autoscaling.metrics[]`, in the order of the fields."""
    if "properties" not in schema:
        inner = schema.get("items") or schema.get("additionalProperties")
        if isinstance(inner, dict):
            yield from find_objects(inner, path + ("[]" if "items" in schema else ".*"))
        return
    yield path, schema
    for name, field in schema["properties"].items():
        yield from find_objects(field, f"{path}.{name}".lstrip("."))


def render_section(path: str, schema: Schema, objects: dict[str, Schema]) -> str:
    """Return the section of one object: what it is, its rules, its fields."""
    description = schema.get("description", "")
    rows = "".join(render_row(path, name, schema, objects) for name in schema["properties"])
    return (
        f"## `{path}`\n\n"
        + (f"{escape(description)}\n\n" if description else "")
        + TABLE
        + rows
        + "\n"
        + render_rules(schema)
    )


def render_row(path: str, name: str, parent: Schema, objects: dict[str, Schema]) -> str:
    """Return the row of the field `name` of the object at `path`; a field that is an object links to its own section."""
    schema = parent["properties"][name]
    own = next((inner for inner, _ in find_objects(schema, f"{path}.{name}")), None)
    title = f"[`{name}`](#{make_anchor(own)})" if own in objects else f"`{name}`"
    default = "**required**" if name in parent.get("required", []) else describe_default(schema)
    cells = [title, describe_type(schema), default, describe_limits(schema), escape_cell(schema.get("description", ""))]
    return "| " + " | ".join(cells) + " |\n"


def render_rules(schema: Schema) -> str:
    """Return the CEL rules of an object, and of its fields that have no section of their own: the message of a refusal, and the rule."""
    fields = schema.get("properties", {}).items()
    rules = [("", rule) for rule in schema.get(RULES, [])] + [
        (f"{code(name)}: ", rule) for name, field in fields if "properties" not in field for rule in find_rules(field)
    ]
    lines = [f"- {field}{escape(rule['message'])}  \n  {code(one_line(rule['rule']))}\n" for field, rule in rules]
    return "Rules:\n\n" + "".join(lines) + "\n" if lines else ""


def find_rules(schema: Schema) -> list[Schema]:
    """Return the rules of a value, and of the items or values in it."""
    inner = schema.get("items") or schema.get("additionalProperties")
    of_items = inner.get(RULES, []) if isinstance(inner, dict) and "properties" not in inner else []
    return [*schema.get(RULES, []), *of_items]


def one_line(rule: str) -> str:
    """Return a rule on one line."""
    return " ".join(rule.split())


def make_anchor(path: str) -> str:
    """Return the anchor that GitHub and the site give a section's heading."""
    return "".join(letter for letter in path.lower() if letter.isalnum() or letter in "-_")
