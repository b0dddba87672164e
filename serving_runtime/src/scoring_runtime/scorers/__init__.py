"""Scorers: one plug-in per model format behind one small protocol, found by entry points. Used by loading.py.

A package of yours adds a format with an entry point in the group `scoring_runtime.formats`: a class like Scorer.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any, Protocol, TypeVar

from pydantic import BaseModel

from scoring_runtime.errors import FormatNotInstalledError, UnknownFormatError
from scoring_runtime.manifest import explain_invalid
from scoring_runtime.tensors import Signature

GROUP = "scoring_runtime.formats"
# The image whose variant is not named after the format.
_VARIANTS = {"keras": "tensorflow", "python": "sklearn"}

# What the task hands to its scorer and gets back. Tensors by name; a list of JSON values for the task `custom`.
Batch = Any
Scores = Any
Options = TypeVar("Options", bound=BaseModel)


@dataclass(frozen=True)
class ModelSource:
    """What a scorer loads.

    `path` is the verified model file or folder, `folder` the artifact's, `options` the manifest's options of the format,
    `signature` the manifest's, `trusted_types` the names of types that may be loaded beside the format's own, `classes`
    their number where the task knows it, `threads` the threads to compute with.
    """

    path: Path
    folder: Path
    options: Mapping[str, Any]
    signature: Signature | None = None
    trusted_types: tuple[str, ...] = ()
    classes: int | None = None
    threads: int = 1


class Scorer(Protocol):
    """A model in memory. Created without arguments; `load` is called once, then `score` from one thread at a time.

    `signature` is what the loaded model itself tells of its tensors, None where it tells nothing. `report` is what
    /version shows beside the format: the engine that was chosen, the precision, the device. A scorer that knows values
    which its model takes has them as `example` too: each input of its signature with a list of one item.
    """

    model: Any
    signature: Signature | None
    report: Mapping[str, Any]

    def load(self, source: ModelSource) -> None:
        """Load the model. Raises ModelInvalidError or ManifestInvalidError with what to do."""

    def score(self, batch: Batch) -> Scores:
        """Score a batch of named tensors, whose first axes have the same length n; return named tensors alike.

        Raises OverloadedError when the device has no memory left for this batch. (Of the task `custom`: lists of n
        JSON values.)
        """


def create_scorer(format_name: str) -> Scorer:
    """Return a new scorer of this format. Raises UnknownFormatError or FormatNotInstalledError."""
    known = {point.name: point for point in entry_points(group=GROUP)}
    if format_name not in known:
        installed = ", ".join(sorted(known)) or "none"
        raise UnknownFormatError(
            f"No scorer for the format {format_name!r}. Installed: {installed}. Correct spec.model.format."
        )
    return _import_scorer(known[format_name])()


def read_options(source: ModelSource, options: type[Options]) -> Options:
    """Return the manifest's options as the format's own. Raises ManifestInvalidError, naming the field."""
    return explain_invalid(options, source.options, "options.")


def _import_scorer(point: EntryPoint) -> Callable[[], Scorer]:
    try:
        scorer: Callable[[], Scorer] = point.load()
    except ModuleNotFoundError as error:
        raise explain_missing_package(error, point.name) from error
    return scorer


def explain_missing_package(error: ModuleNotFoundError, format_name: str) -> FormatNotInstalledError:
    """Return the error for an import that this image lacks, naming the variant of the image that has it."""
    variant = _VARIANTS.get(format_name, format_name)
    return FormatNotInstalledError(
        f"The format {format_name!r} needs the package {error.name!r}, which is not in this image. Use the image of the "
        f"variant {variant!r} (or install scoring-runtime[{format_name}])."
    )
