"""The task custom: any JSON in, any JSON out, for a class of yours (format python) that knows what both mean."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import orjson
from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from scoring_runtime.errors import (
    EmptyInputError,
    InvalidInputError,
    MissingInputError,
    ScoringFailedError,
    TooManyItemsError,
)
from scoring_runtime.manifest import Manifest, read_parameters
from scoring_runtime.scorers import Scorer
from scoring_runtime.tasks import Json, RequestBody, TaskLimits, get_input
from scoring_runtime.tensors import ANY_SIZE, Signature, Tensors, TensorSpec

MAX_ITEMS = 1_000
"""In one request of tensors, which holds the model while others wait: what an item costs is not known here."""


class CustomParameters(BaseModel):
    """Parameters of custom: how many items the class is given at once, and the most items of one request."""

    model_config = ConfigDict(frozen=True, extra="forbid", alias_generator=to_camel)

    max_batch_size: int = Field(default=1, ge=1)
    max_items: int = Field(default=MAX_ITEMS, ge=1)


class Custom:
    """Hands the JSON values of requests to the class, and its answers back. One value in /score, n in a tensor of texts.

    The class may raise scoring_runtime.errors.InvalidInputError, which is answered with status 400.
    """

    file_types: tuple[str, ...] = ()
    trusted_types: tuple[str, ...] = ()
    classes: int | None = None

    def __init__(self, manifest: Manifest, _folder: Path, _limits: TaskLimits) -> None:
        parameters = read_parameters(manifest, CustomParameters)
        self.max_batch_size = parameters.max_batch_size
        self._max_items = parameters.max_items
        self._example = manifest.example

    @property
    def signature(self) -> Signature:
        """One JSON text per item, in and out."""
        return Signature(
            inputs=(TensorSpec(name="input", datatype="BYTES", shape=(ANY_SIZE,)),),
            outputs=(TensorSpec(name="output", datatype="BYTES", shape=(ANY_SIZE,)),),
        )

    def attach(self, scorer: Scorer) -> None:
        """Use this loaded scorer."""
        self._scorer = scorer

    def make_example(self) -> RequestBody:
        """Return the manifest's example, or an empty text."""
        return RequestBody(payload=self._example or {"input": ""})

    def read(self, body: RequestBody) -> list[Json]:
        """Return the one value of `input`. Raises MissingInputError."""
        return [get_input(body.payload)]

    def read_tensors(self, tensors: Tensors) -> list[Json]:
        """Return the values of the JSON texts in the tensor `input` (n). Raises RequestError."""
        if tensors.keys() != {"input"}:
            raise MissingInputError("Send one tensor named input: JSON texts as BYTES of the shape [n].")
        texts = tensors["input"]
        if texts.dtype.kind not in "OSU" or texts.ndim != 1:
            raise InvalidInputError("The tensor input is not BYTES of the shape [n]: send one JSON text per item.")
        if not texts.size:
            raise EmptyInputError("The tensor input is empty: send at least one JSON text.")
        if len(texts) > self._max_items:
            raise TooManyItemsError(
                f"The request holds {len(texts)} items; at most {self._max_items} are scored at once. Send several requests."
            )
        return [_parse(text, row) for row, text in enumerate(texts)]

    def count(self, inputs: list[Json]) -> int:
        """Return how many items a request holds."""
        return len(inputs)

    def score(self, requests: Sequence[list[Json]]) -> list[list[Json]]:
        """Return the answers to each request's items. Raises ScoringFailedError unless there is one for each."""
        items = [item for inputs in requests for item in inputs]
        answers = self._scorer.score(items)
        if not isinstance(answers, list | tuple) or len(answers) != len(items):
            found = f"{len(answers)} answers" if isinstance(answers, list | tuple) else type(answers).__name__
            raise ScoringFailedError(
                f"The class answered {found} to a list of {len(items)}: score must return a list as long."
            )
        rest = iter(answers)
        return [[next(rest) for _ in inputs] for inputs in requests]

    def write(self, outputs: list[Json]) -> Json:
        """Return the one answer. Raises ScoringFailedError when it is no JSON."""
        return orjson.Fragment(_dump(outputs[0]))

    def write_tensors(self, outputs: list[Json]) -> Tensors:
        """Return the answers as JSON texts: `output`, BYTES (n). Raises ScoringFailedError when one is no JSON."""
        texts = np.empty(len(outputs), dtype=np.object_)
        texts[:] = [_dump(answer).decode() for answer in outputs]
        return {"output": texts}


def _parse(text: Any, row: int) -> Json:  # noqa: ANN401  # str or bytes, or what else a client sent
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise InvalidInputError(f"input[{row}] is no JSON: {error}. Send one JSON text per item.") from error


def _dump(answer: Json) -> bytes:
    """Return JSON; numpy's arrays and numbers are written too, and NaN as null."""
    try:
        return orjson.dumps(answer, option=orjson.OPT_SERIALIZE_NUMPY)
    except TypeError as error:
        raise ScoringFailedError(
            f"The class's answer is no JSON: {error}. Let score return dicts, lists, texts, numbers, booleans and None."
        ) from error
