"""What a schema's keys become in words, and that nothing in a text is taken for markup."""

import pytest

from documentation.pages import find_objects, make_anchor, render_rules
from documentation.schemas import Schema, describe_default, describe_limits, describe_type
from documentation.texts import code, code_cell, escape, escape_cell


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ({"type": "boolean"}, "boolean"),
        ({"x-kubernetes-int-or-string": True, "anyOf": []}, "integer or string"),
        ({"type": "array", "items": {"type": "string"}}, "list of string"),
        ({"type": "object", "additionalProperties": {"type": "string"}}, "map of string"),
        ({"type": "string", "format": "date-time"}, "date"),
    ],
)
def test_type_is_told_as_a_reader_of_yaml_says_it(schema: Schema, words: str) -> None:
    assert describe_type(schema) == words


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ({}, ""),
        ({"minimum": 0, "maximum": 10_000}, "0 to 10,000"),
        ({"minimum": 1}, "at least 1"),
        ({"maxLength": 1}, "at most 1 character"),
        ({"minItems": 2, "maxItems": 2}, "2 items"),
        ({"enum": ["a", "b"]}, "`a`, `b`"),
        ({"pattern": "^(a|b)$"}, r"matches `^(a\|b)$`"),
        ({"items": {"maxLength": 63}, "maxItems": 4}, "at most 4 items; each: at most 63 characters"),
        ({"x-kubernetes-list-map-keys": ["name"]}, "no two with the same `name`"),
        ({"x-kubernetes-preserve-unknown-fields": True}, "handed on unchecked"),
    ],
)
def test_limits_are_told_in_words(schema: Schema, words: str) -> None:
    assert describe_limits(schema) == words


def test_default_is_told_as_yaml_has_it() -> None:
    assert describe_default({"default": False}) == "`false`"
    assert describe_default({"default": "a|b"}) == r'`"a\|b"`'
    assert describe_default({}) == ""


def test_text_of_a_field_is_no_markup_outside_of_code() -> None:
    assert escape("sha256:<64 digits> of *all*, `<name>`") == r"sha256:\<64 digits> of \*all\*, `<name>`"
    assert escape_cell("a | b") == r"a \| b"


def test_code_may_hold_what_markdown_would_read() -> None:
    assert code("a`b") == "`` a`b ``"
    assert code_cell("a|b") == r"`a\|b`"


def test_objects_in_lists_and_maps_have_paths_of_their_own() -> None:
    leaf = {"properties": {"x": {"type": "string"}}, "type": "object"}
    schema = {
        "properties": {
            "a": {"type": "array", "items": leaf},
            "b": {"type": "object", "additionalProperties": leaf},
            "c": {"type": "string"},
        }
    }
    assert [path for path, _ in find_objects(schema, "spec")] == ["spec", "spec.a[]", "spec.b.*"]
    assert make_anchor("spec.a[]") == "speca"


def test_rules_of_a_field_stand_with_those_of_its_object() -> None:
    def rule(name: str) -> Schema:
        return {"x-kubernetes-validations": [{"message": f"{name} is wrong", "rule": f"self ==\n  '{name}'"}]}

    inner = {"type": "string", **rule("item")}
    fields = {"uri": {"type": "string", **rule("uri")}, "list": {"type": "array", "items": inner}}
    lines = render_rules({"properties": {**fields, "own": {"properties": {}, **rule("own")}}, **rule("whole")})
    assert lines.splitlines()[2:-1] == [
        "- whole is wrong  ", "  `self == 'whole'`",
        "- `uri`: uri is wrong  ", "  `self == 'uri'`",
        "- `list`: item is wrong  ", "  `self == 'item'`",
    ]  # fmt: skip
