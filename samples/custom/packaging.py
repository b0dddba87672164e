"""Packs the redactor's rules: the artifact says what the model is, the image holds the class that runs."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from samples.pinning import write_scoring_model
from scoring_cli.artifacts import render_json, write_artifact

KINDS = ("EMAIL", "IBAN", "CARD", "IP", "PHONE")
EXAMPLE = "Write to ann@example.com or call +47 22 33 44 55; order 1234567890123."
ANSWER = {"text": "Write to [EMAIL] or call [PHONE]; order 1234567890123.", "found": {"EMAIL": 1, "PHONE": 1}}

_TEMPLATE = Path(__file__).with_name("scoringmodel.yaml")


@dataclass(frozen=True)
class Package:
    """What packaging wrote: the archive, its `sha256:<hex>` digest, and the ScoringModel with that digest."""

    archive: Path
    digest: str
    scoring_model: Path


def write_package(version: str, folder: Path) -> Package:
    """Write the archive and the ScoringModel into `folder`, which is made when missing."""
    archive = folder / "redactor.tar"
    digest = write_artifact(archive, make_manifest(version), {"rules.json": render_json({"kinds": KINDS})})
    return Package(archive, digest, write_scoring_model(_TEMPLATE, folder / _TEMPLATE.name, digest))


def make_manifest(version: str) -> dict[str, Any]:
    """Return the manifest."""
    return {
        "name": "redactor",
        "version": version,
        "format": "python",
        "task": "custom",
        "options": {"class": "plain_text.redactor:Redactor"},
        "example": {"input": EXAMPLE},
        "expect": {"answer": ANSWER},
    }
