"""Packs a fitted model for the serving runtime: the same data gives the same bytes, and so the same digest. Above `models`."""

import io
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from samples.faq.embeddings import EmbeddingModel
from samples.faq.entries import Entry
from samples.faq.models import Model
from samples.faq.pairs import Split
from samples.pinning import write_scoring_model
from scoring_cli.artifacts import render_json, write_artifact
from scoring_cli.packaging.skops_files import dump_exactly
from scoring_runtime.faq.embeddings import Known
from scoring_runtime.tasks.faq_matching import CANDIDATES, EXACT_ORIGINALS

TOP = 3
TOLERANCE = 1e-3
"""Of a probability: another machine's arithmetic units round in another order."""

_HERE = Path(__file__).parent
_EPOCH = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True)
class Package:
    """What packaging wrote."""

    archive: Path
    digest: str  # sha256:<hex> of the archive
    scoring_model: Path  # the ScoringModel, with the digest
    answers: Path  # answer id -> title and answer, for showing matches
    held_out: Path  # the questions that the model has not seen


@dataclass(frozen=True)
class _Form:
    """What distinguishes the artifacts of the two forms."""

    archive: str
    template: Path
    manifest: Mapping[str, Any]
    files: Mapping[str, bytes]


def write_package(model: Model | EmbeddingModel, split: Split, version: str, folder: Path) -> Package:
    """Write the archive and what goes with it into `folder`, which is made when missing."""
    form = _pack_embeddings(model) if isinstance(model, EmbeddingModel) else _pack_words(model)
    archive = folder / form.archive
    digest = write_artifact(
        archive, _make_manifest(model, form, split, version), {**_list_originals(model), **form.files}
    )
    return Package(
        archive,
        digest,
        scoring_model=write_scoring_model(form.template, folder / form.template.name, digest),
        answers=_write(folder / "answers.json", _list_answers(split.entries)),
        held_out=_write(folder / "held-out.json", list_held_out(split)),
    )


def list_held_out(split: Split) -> dict[str, Any]:
    """Return the seed and the held-out questions, each with its original's id."""
    questions = [
        {"id": pair.duplicate.id, "text": pair.duplicate.text, "originalId": pair.entry.id} for pair in split.test
    ]
    return {"seed": split.seed, "questions": questions}


def _list_answers(entries: Iterable[Entry]) -> dict[str, Any]:
    return {str(entry.answer_id): {"title": entry.title, "answer": entry.answer} for entry in entries}


def _list_originals(model: Model | EmbeddingModel) -> dict[str, bytes]:
    return {
        "originals.json": render_json([{"id": o.id, "answerId": o.answer_id, "text": o.text} for o in model.originals])
    }


def _make_manifest(model: Model | EmbeddingModel, form: _Form, split: Split, version: str) -> dict[str, Any]:
    question = split.entries[0].title
    own = {name: value for name, value in form.manifest.items() if name != "parameters"}
    return {
        **own,
        "version": version,
        "task": "faq-matching",
        "parameters": {"originals": "originals.json", "top": TOP, **form.manifest.get("parameters", {})},
        "example": {"input": question},
        "expect": {"answer": _answer(model, question), "tolerance": TOLERANCE},
    }


def _answer(model: Model | EmbeddingModel, question: str) -> list[list[int | str | float]]:
    # As the runtime will, whose answer to the example is compared with this one.
    candidates = CANDIDATES if len(model.originals) > EXACT_ORIGINALS else None
    rows, shares = model.make_matcher(candidates).score([question])[0].find_best(TOP)
    found = [model.originals[row] for row in rows]
    return [[one.id, one.answer_id, float(share)] for one, share in zip(found, shares, strict=True)]


def _pack_words(model: Model) -> _Form:
    manifest = {"name": "javascript-faq", "format": "sklearn", "model": "pipeline.skops"}
    files = {"pipeline.skops": dump_exactly(model.pipeline)}
    return _Form("javascript-faq.tar", _HERE / "scoringmodel.yaml", manifest, files)


def _pack_embeddings(model: EmbeddingModel) -> _Form:
    manifest = {
        "name": "javascript-faq-embeddings",
        "format": "onnx",
        "model": "encoder.onnx",
        "options": {"engine": "onnxruntime"},
        "parameters": {"embeddings": {"tokenizer": "tokenizer.json", "known": "known.npz"}},
    }
    files = {
        "encoder.onnx": model.encoder.model,
        "tokenizer.json": model.encoder.tokenizer,
        "known.npz": _save_known(model.known),
    }
    return _Form("javascript-faq-embeddings.tar", _HERE / "scoringmodel-embeddings.yaml", manifest, files)


def _save_known(known: Known) -> bytes:
    """Return the .npz file without the time of day that NumPy notes in it."""
    saved, target = io.BytesIO(), io.BytesIO()
    known.save(saved)
    with zipfile.ZipFile(saved) as source, zipfile.ZipFile(target, "w") as archive:
        for name in sorted(source.namelist()):
            archive.writestr(zipfile.ZipInfo(name, _EPOCH), source.read(name))
    return target.getvalue()


def _write(path: Path, value: object) -> Path:
    path.write_bytes(render_json(value))
    return path
