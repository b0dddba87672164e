"""Saves a pipeline as a .skops file that is the same bytes for the same pipeline. Below `packaging`.

skops names parts of its archive after memory addresses and notes the time of day; both are replaced here.
"""

import io
import json
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import skops.io

_EPOCH = (1980, 1, 1, 0, 0, 0)


def dump_exactly(pipeline: object) -> bytes:
    """Return the skops file of a fitted pipeline."""
    return _repeat_exactly(skops.io.dumps(pipeline))


def _repeat_exactly(saved: bytes) -> bytes:
    """Return a skops file with its objects numbered in order of appearance, and without times."""
    with zipfile.ZipFile(io.BytesIO(saved)) as source:
        schema = json.loads(source.read("schema.json"))
        numbers = {identity: number for number, identity in enumerate(_list_identities(schema))}
        contents = {_rename(name, numbers): source.read(name) for name in source.namelist() if name != "schema.json"}
    contents["schema.json"] = json.dumps(_renumber(schema, numbers)).encode()
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        for name in sorted(contents):
            archive.writestr(zipfile.ZipInfo(name, _EPOCH), contents[name])
    return target.getvalue()


def _list_identities(node: object) -> dict[int, None]:
    """Return the identities of a schema in order, each once. A file is named after one."""
    found: dict[int, None] = {}
    children: Iterable[object] = ()
    if isinstance(node, dict):
        found |= {int(Path(node["file"]).stem): None} if _names_file(node) else {}
        found |= {node["__id__"]: None} if isinstance(node.get("__id__"), int) else {}
        children = node.values()
    elif isinstance(node, list):
        children = node
    for child in children:
        found |= _list_identities(child)
    return found


def _renumber(node: Any, numbers: dict[int, int]) -> Any:  # noqa: ANN401  # JSON
    if isinstance(node, list):
        return [_renumber(child, numbers) for child in node]
    if not isinstance(node, dict):
        return node
    changed = {name: _renumber(child, numbers) for name, child in node.items()}
    if isinstance(node.get("__id__"), int):
        changed["__id__"] = numbers[node["__id__"]]
    if _names_file(node):
        changed["file"] = _rename(node["file"], numbers)
    return changed


def _names_file(node: dict[str, Any]) -> bool:
    # A vocabulary's terms are keys too, and "file" may be one: its value is no name then.
    return isinstance(node.get("file"), str)


def _rename(name: str, numbers: dict[int, int]) -> str:
    path = Path(name)
    return f"{numbers[int(path.stem)]}{path.suffix}"
