"""Tasks: how requests are read and answers written. One file per task; between app.py and a scorer."""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from scoring_runtime.errors import EmptyInputError, MissingInputError, ScoringFailedError
from scoring_runtime.manifest import Manifest
from scoring_runtime.scorers import Scorer, explain_missing_package

# What a task reads from a request, and hands to `score` later: each task says.
Inputs = Any
Json = Any

# Imported when chosen: each needs packages of the image variant of its format.
_TASKS = {
    "faq-matching": ("scoring_runtime.tasks.faq_matching", "FaqMatching", "sklearn"),
    "image-classification": ("scoring_runtime.tasks.image_classification", "ImageClassification", "torch"),
}


@dataclass(frozen=True)
class RequestBody:
    """A request as a task reads it: the parsed JSON, or `files` as (name, bytes) pairs in their order."""

    payload: Json = None
    files: tuple[tuple[str, bytes], ...] | None = None


@dataclass(frozen=True)
class TaskLimits:
    """Limits of the settings that tasks keep."""

    max_image_pixels: int
    decoding_threads: int


class Task(Protocol):
    """Reads requests and writes answers. `file_types` are the content types read beside JSON."""

    file_types: tuple[str, ...]
    trusted_types: tuple[str, ...]
    classes: int | None

    def attach(self, scorer: Scorer) -> None:
        """Use this loaded scorer from now on."""

    def make_example(self) -> RequestBody:
        """Return a request that must score: the manifest's example or one of the task's own."""

    def read(self, body: RequestBody) -> Inputs:
        """Return the inputs of a request. Raises RequestError; called on many threads at once."""

    def score(self, inputs: Inputs) -> Json:
        """Return the answer to inputs as JSON types; called on the scoring thread."""


def create_task(manifest: Manifest, folder: Path, limits: TaskLimits) -> Task:
    """Return the task of a manifest with its own files read. Raises ManifestInvalidError or FormatNotInstalledError."""
    module, name, variant = _TASKS[manifest.task]
    try:
        task_class = getattr(import_module(module), name)
    except ModuleNotFoundError as error:
        raise explain_missing_package(error, variant) from error
    task: Task = task_class(manifest, folder, limits)
    return task


def get_input(payload: Json) -> Json:
    """Return the value of `input` in a JSON body. Raises MissingInputError."""
    if not isinstance(payload, Mapping) or "input" not in payload:
        raise MissingInputError('The body has no input: send a JSON object such as {"input": …}.')
    return payload["input"]


def check_finite(scores: NDArray[Any]) -> None:
    """Raise ScoringFailedError when a score is NaN or infinite, which JSON cannot say and no order can place."""
    if not np.isfinite(scores).all():
        raise ScoringFailedError("The model answered NaN or an infinite number: train it anew, or repair its weights.")


def check_not_empty(value: object, message: str) -> None:
    """Raise EmptyInputError with this message when the value is empty."""
    if not value:
        raise EmptyInputError(message)
