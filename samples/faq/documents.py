"""Reads the hand-written FAQ: a folder of YAML files. Beside `tables` and `dump`, below `sources`."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from samples.faq.entries import Duplicate, Entry
from samples.faq.errors import SourceError

_ID = (int, str)
_FIELDS = {"id": _ID, "title": str, "question": str, "answer": str, "answer_id": _ID, "duplicates": list}
_DUPLICATE_FIELDS = {"id": _ID, "text": str}
_NAMES: dict[Any, str] = {
    _ID: "a whole number or a text",
    str: "a text, in quotes if it looks like a number",
    list: "a list",
}


def read_documents(folder: Path) -> Iterator[Entry]:
    """Yield the entries of every `*.yaml` in `folder`, by file name. Raises SourceError naming the entry that is wrong."""
    for path in sorted(folder.glob("*.yaml")):
        try:
            documents = yaml.safe_load(path.read_text(encoding="utf-8"))
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise SourceError(path, "", f"not YAML in UTF-8 ({error})", "correct the place it names") from error
        if not isinstance(documents, list):
            raise SourceError(path, "", "not a list", "write one list item per original")
        for number, document in enumerate(documents, start=1):
            yield _read_entry(path, number, document)


def _read_entry(path: Path, number: int, document: object) -> Entry:
    place = f"original {number}"
    fields = _check(path, place, document, _FIELDS)
    duplicates = [
        _check(path, f"{place}, duplicate {position}", duplicate, _DUPLICATE_FIELDS)
        for position, duplicate in enumerate(fields["duplicates"], start=1)
    ]
    return Entry(
        id=fields["id"],
        answer_id=fields["answer_id"],
        title=fields["title"].strip(),
        question=fields["question"].strip(),
        answer=fields["answer"].strip(),
        duplicates=tuple(Duplicate(duplicate["id"], duplicate["text"].strip()) for duplicate in duplicates),
    )


def _check(path: Path, place: str, document: object, fields: dict[str, Any]) -> dict[str, Any]:
    """Return the mapping, whose fields are there and of their types."""
    if not isinstance(document, dict):
        raise SourceError(path, place, "not a mapping", f"give the fields {', '.join(fields)}")
    for name, kind in fields.items():
        value = document.get(name)
        if not isinstance(value, kind) or isinstance(value, bool) or value == "":
            raise SourceError(
                path, place, f"the field `{name}` is missing or of the wrong type", f"give {_NAMES[kind]}"
            )
    return document
