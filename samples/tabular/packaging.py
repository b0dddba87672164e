"""Packs a trained pipeline for the serving runtime. Above `models`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from samples.pinning import write_scoring_model
from samples.tabular.models import Trained
from scoring_cli.artifacts import write_artifact
from scoring_cli.packaging.skops_files import dump_exactly

_HERE = Path(__file__).parent
_METHODS = ("predict", "predict_proba")


@dataclass(frozen=True)
class Package:
    """What packaging wrote: the archive, its `sha256:<hex>` digest, and the ScoringModel with that digest."""

    archive: Path
    digest: str
    scoring_model: Path


def write_package(trained: Trained, version: str, folder: Path) -> Package:
    """Write the archive and the ScoringModel into `folder`, which is made when missing."""
    archive = folder / f"{trained.name}.tar"
    digest = write_artifact(
        archive, _make_manifest(trained, version), {"pipeline.skops": dump_exactly(trained.pipeline)}
    )
    template = _HERE / f"scoringmodel-{trained.name}.yaml"
    return Package(archive, digest, write_scoring_model(template, folder / template.name, digest))


def _make_manifest(trained: Trained, version: str) -> dict[str, Any]:
    """Return the manifest. It has no signature: the pipeline tells its columns and their types itself."""
    return {
        "name": trained.name,
        "version": version,
        "format": "sklearn",
        "task": "prediction",
        "model": "pipeline.skops",
        "options": {"methods": _METHODS},
        "labels": trained.pipeline.classes_.tolist(),
        "example": {"input": trained.example},
        "expect": {"answer": _answer(trained)},
    }


def _answer(trained: Trained) -> dict[str, Any]:
    is_table = isinstance(trained.example[0], dict)
    items = pd.DataFrame(trained.example) if is_table else trained.example
    return {method: getattr(trained.pipeline, method)(items).tolist() for method in _METHODS}
