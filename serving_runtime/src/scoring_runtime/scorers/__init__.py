"""Scorers: one plug-in per model format behind one small protocol, found by entry points. Used by loading.py.

A package of yours adds a format with an entry point in the group `scoring_runtime.formats`: a class like Scorer.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any, Protocol

from scoring_runtime.errors import FormatNotInstalledError, UnknownFormatError

GROUP = "scoring_runtime.formats"

# What the task hands to its scorer and gets back: each task says.
Batch = Any
Scores = Any


@dataclass(frozen=True)
class ModelSource:
    """What a scorer loads.

    `path` is the verified model file, `parameters` the manifest's, `trusted_types` the names of types that may be
    loaded beside the format's own, `classes` their number where the task knows it, `threads` the threads to use.
    """

    path: Path
    parameters: Mapping[str, Any]
    trusted_types: tuple[str, ...]
    classes: int | None
    threads: int


class Scorer(Protocol):
    """A model in memory. Created without arguments; `load` is called once, then `score` from one thread at a time."""

    model: Any

    def load(self, source: ModelSource) -> None:
        """Load the model file. Raises ModelInvalidError or ManifestInvalidError with what to do."""

    def score(self, batch: Batch) -> Scores:
        """Score a batch; the task says what a batch is. Answers an array of shape (items, classes)."""


def create_scorer(format_name: str) -> Scorer:
    """Return a new scorer of this format. Raises UnknownFormatError or FormatNotInstalledError."""
    known = {point.name: point for point in entry_points(group=GROUP)}
    if format_name not in known:
        installed = ", ".join(sorted(known)) or "none"
        raise UnknownFormatError(
            f"No scorer for the format {format_name!r}. Installed: {installed}. Correct spec.model.format."
        )
    return _import_scorer(known[format_name])()


def _import_scorer(point: EntryPoint) -> Callable[[], Scorer]:
    try:
        scorer: Callable[[], Scorer] = point.load()
    except ModuleNotFoundError as error:
        raise explain_missing_package(error, point.name) from error
    return scorer


def explain_missing_package(error: ModuleNotFoundError, variant: str) -> FormatNotInstalledError:
    """Return the error for an import that this image lacks, naming the variant of the image that has it."""
    return FormatNotInstalledError(
        f"The format {variant!r} needs the package {error.name!r}, which is not in this image. Use the image of the "
        f"variant {variant!r} (or install scoring-runtime[{variant}])."
    )
