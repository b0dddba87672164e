"""Packs a fitted model for the serving runtime: the same data gives the same bytes, and so the same digest. Above `models`.

skops names parts of its archive after memory addresses and notes the time of day; both are replaced here.
"""

import hashlib
import io
import json
import re
import tarfile
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import skops.io

from samples.faq.entries import Entry
from samples.faq.models import Model
from samples.faq.pairs import Split

ARCHIVE = "javascript-faq.tar"
TEMPLATE = Path(__file__).with_name("scoringmodel.yaml")
TOP = 3

_EPOCH = (1980, 1, 1, 0, 0, 0)
_URI_LINE = re.compile(r"^(?P<indent> *)uri: .*$", re.MULTILINE)


@dataclass(frozen=True)
class Package:
    """What packaging wrote."""

    archive: Path
    digest: str  # sha256:<hex> of the archive
    scoring_model: Path  # the ScoringModel, with the digest
    answers: Path  # answer id -> title and answer, for showing matches
    held_out: Path  # the questions that the model has not seen


def write_package(model: Model, split: Split, version: str, folder: Path) -> Package:
    """Write the archive and what goes with it into `folder`, which is made when missing."""
    folder.mkdir(parents=True, exist_ok=True)
    archive = folder / ARCHIVE
    archive.write_bytes(_pack(_list_files(model, split, version)))
    digest = f"sha256:{hashlib.sha256(archive.read_bytes()).hexdigest()}"
    return Package(
        archive,
        digest,
        scoring_model=_write(folder / "scoringmodel.yaml", add_digest(TEMPLATE.read_text(encoding="utf-8"), digest)),
        answers=_write(folder / "answers.json", _to_json(_list_answers(split.entries))),
        held_out=_write(folder / "held-out.json", _to_json(list_held_out(split))),
    )


def list_held_out(split: Split) -> dict[str, Any]:
    """Return the seed and the held-out questions, each with its original's id."""
    questions = [
        {"id": pair.duplicate.id, "text": pair.duplicate.text, "originalId": pair.entry.id} for pair in split.test
    ]
    return {"seed": split.seed, "questions": questions}


def add_digest(manifest: str, digest: str) -> str:
    """Return the ScoringModel's YAML with a line for the digest below that of the URI."""
    return _URI_LINE.sub(rf"\g<0>\n\g<indent>digest: {digest}", manifest, count=1)


def _list_answers(entries: Iterable[Entry]) -> dict[str, Any]:
    return {str(entry.answer_id): {"title": entry.title, "answer": entry.answer} for entry in entries}


def _list_files(model: Model, split: Split, version: str) -> dict[str, bytes]:
    manifest = {
        "name": "javascript-faq",
        "version": version,
        "format": "sklearn",
        "task": "faq-matching",
        "model": "pipeline.skops",
        "parameters": {"originals": "originals.json", "top": TOP},
        "example": {"input": split.entries[0].title},
    }
    originals = [{"id": o.id, "answerId": o.answer_id, "text": o.text} for o in model.originals]
    return {
        "manifest.json": _to_json(manifest).encode(),
        "originals.json": _to_json(originals).encode(),
        "pipeline.skops": _repeat_exactly(skops.io.dumps(model.pipeline)),
    }


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
        found |= {int(Path(node["file"]).stem): None} if "file" in node else {}
        found |= {node["__id__"]: None} if "__id__" in node else {}
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
    if "__id__" in node:
        changed["__id__"] = numbers[node["__id__"]]
    if "file" in node:
        changed["file"] = _rename(node["file"], numbers)
    return changed


def _rename(name: str, numbers: dict[int, int]) -> str:
    path = Path(name)
    return f"{numbers[int(path.stem)]}{path.suffix}"


def _pack(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name in sorted(files):
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(files[name]), 0o644
            archive.addfile(member, io.BytesIO(files[name]))
    return buffer.getvalue()


def _to_json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, indent=1) + "\n"


def _write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path
