"""Tasks: how requests are read and answers written. One file per task; between the protocols and a scorer."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from scoring_runtime.errors import EmptyInputError, MissingInputError, ScoringFailedError
from scoring_runtime.manifest import Manifest
from scoring_runtime.scorers import Scorer, explain_missing_package
from scoring_runtime.tensors import Signature, Tensors

# What a task reads from a request, and what it makes of it when it scores: each task says.
Inputs = Any
Outputs = Any
Json = Any

# Imported when chosen: each needs packages of the image variant of its format.
_TASKS = {
    "faq-matching": ("scoring_runtime.tasks.faq_matching", "FaqMatching"),
    "image-classification": ("scoring_runtime.tasks.image_classification", "ImageClassification"),
    "prediction": ("scoring_runtime.tasks.prediction", "Prediction"),
    "custom": ("scoring_runtime.tasks.custom", "Custom"),
}


@dataclass(frozen=True, slots=True)
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
    """Reads requests, scores them, writes answers. `file_types` are the content types read beside JSON.

    What is read on many threads at once are `read…` and `write…`; `score` is called on the scoring thread alone. A request
    holds one item or more. `max_batch_size` is how many items of several requests are scored at once unless the settings
    say otherwise; 1 where that cannot help.
    """

    file_types: tuple[str, ...]
    trusted_types: tuple[str, ...]
    classes: int | None
    max_batch_size: int

    @property
    def signature(self) -> Signature:
        """The tensors that `read_tensors` takes and `write_tensors` gives; known once a scorer is attached."""

    def attach(self, scorer: Scorer) -> None:
        """Use this loaded scorer from now on."""

    def make_example(self) -> RequestBody:
        """Return a request that must score: the manifest's example or one of the task's own."""

    def read(self, body: RequestBody) -> Inputs:
        """Return the inputs of a request to /score. Raises RequestError."""

    def read_tensors(self, tensors: Tensors) -> Inputs:
        """Return the inputs of a request of named tensors. Raises RequestError."""

    def count(self, inputs: Inputs) -> int:
        """Return how many items a request holds."""

    def score(self, requests: Sequence[Inputs]) -> Sequence[Outputs]:
        """Score the items of all requests as one batch; return the outputs of each request in their order."""

    def write(self, outputs: Outputs) -> Json:
        """Return the answer of /score, which orjson can dump (numpy arrays included)."""

    def write_tensors(self, outputs: Outputs) -> Tensors:
        """Return the answer as named tensors, the items along the first axis."""


def create_task(manifest: Manifest, format_name: str, folder: Path, limits: TaskLimits) -> Task:
    """Return the task of a manifest with its own files read. Raises ManifestInvalidError or FormatNotInstalledError."""
    module, name = _TASKS[manifest.task]
    try:
        task_class = getattr(import_module(module), name)
    except ModuleNotFoundError as error:
        raise explain_missing_package(error, manifest.format or format_name) from error
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
