"""The task prediction: tensors in, tensors out, for a model of any format. What they are stands in the signature."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from scoring_runtime.errors import ManifestInvalidError, ScoringFailedError
from scoring_runtime.inputs import InputReader
from scoring_runtime.json_tensors import write_tensor
from scoring_runtime.manifest import Manifest, read_parameters
from scoring_runtime.scorers import Scorer
from scoring_runtime.tasks import Json, RequestBody, TaskLimits, check_finite, get_input
from scoring_runtime.tensors import ANY_SIZE, DataType, Signature, Tensor, Tensors, TensorSpec, find_datatype, get_dtype

MAX_ITEMS = 10_000
"""In one request: a batch holds the model while others wait, and a table this long takes most models some 0.1 s."""
BATCH_SIZE = 64
"""Where a call costs much and an item little, as with tables: gathering is free when the model is idle."""
LARGE_BATCH_SIZE = 8
LARGE_ITEM = 16_384
"""Values of an item, such as an image, from which computing it dwarfs the call: larger batches only cost memory and latency."""


class PredictionParameters(BaseModel):
    """Parameters of prediction: the most items of one request."""

    model_config = ConfigDict(frozen=True, extra="forbid", alias_generator=to_camel)

    max_items: int = Field(default=MAX_ITEMS, ge=1)


class Prediction:
    """Reads named tensors by the signature: the manifest's, or what the model tells of itself."""

    file_types: tuple[str, ...] = ()
    trusted_types: tuple[str, ...] = ()
    classes: int | None = None
    max_batch_size = 1

    def __init__(self, manifest: Manifest, _folder: Path, _limits: TaskLimits) -> None:
        self._max_items = read_parameters(manifest, PredictionParameters).max_items
        self._example = manifest.example
        self._signature = manifest.signature
        self._promised: Sequence[TensorSpec] = ()
        self._varies = False
        self._known_values: Mapping[str, Json] = {}

    @property
    def signature(self) -> Signature:
        """The inputs of the manifest, else of the model; the outputs too, or what was learned of them from the first answer.

        Raises ManifestInvalidError when neither tells the inputs.
        """
        if self._signature is None:
            raise ManifestInvalidError(
                "manifest.json: signature is missing, and the model does not tell its inputs itself: add signature.inputs."
            )
        return self._signature

    def attach(self, scorer: Scorer) -> None:
        """Use this loaded scorer. Raises ManifestInvalidError when neither manifest nor model tell the inputs."""
        self._scorer = scorer
        if self._signature is None:
            self._known_values = getattr(scorer, "example", None) or {}
        self._signature = _complete(self._signature, scorer.signature)
        self._inputs = InputReader(self.signature, self._max_items)
        self._promised = self.signature.outputs
        self._varies = any(ANY_SIZE in spec.shape[1:] for spec in self.signature.inputs)
        self.max_batch_size = _choose_batch_size(self.signature)

    def make_example(self) -> RequestBody:
        """Return the manifest's example, or one item of values that the scorer knows, else of zeros and texts."""
        if self._example is not None:
            return RequestBody(payload=self._example)
        values = {spec.name: _make_values(spec).tolist() for spec in self.signature.inputs}
        known = {name: item for name, item in self._known_values.items() if name in values}
        return RequestBody(payload={"input": {**values, **known}})

    def read(self, body: RequestBody) -> Tensors:
        """Return the tensors of `input`: a list of items or objects, or an object of lists. Raises RequestError."""
        return self._inputs.read(get_input(body.payload))

    def read_tensors(self, tensors: Tensors) -> Tensors:
        """Return the tensors, checked against the signature. Raises RequestError."""
        return self._inputs.check(tensors)

    def count(self, inputs: Tensors) -> int:
        """Return how many items a request holds."""
        return _count_items(inputs)

    def score(self, requests: Sequence[Tensors]) -> list[Tensors]:
        """Return each request's outputs. Raises ScoringFailedError for NaN, and for outputs other than the signature's.

        All are scored as one batch, but for items whose shapes differ.
        """
        if len(requests) == 1:
            return [self._score(requests[0])]
        if not self._varies:
            return self._score_together(requests)
        outputs: list[Tensors] = [{}] * len(requests)
        for places in _group_by_shape(requests):
            for place, own in zip(places, self._score_together([requests[place] for place in places]), strict=True):
                outputs[place] = own
        return outputs

    def write(self, outputs: Tensors) -> Json:
        """Return the list of the one output, or an object of lists by output name."""
        if len(outputs) == 1:
            return write_tensor(next(iter(outputs.values())))
        return {name: write_tensor(tensor) for name, tensor in outputs.items()}

    def write_tensors(self, outputs: Tensors) -> Tensors:
        """Return the outputs."""
        return outputs

    def _score_together(self, requests: Sequence[Tensors]) -> list[Tensors]:
        outputs = self._score({name: np.concatenate([own[name] for own in requests]) for name in requests[0]})
        start = 0
        split: list[Tensors] = []
        for inputs in requests:
            end = start + _count_items(inputs)
            split.append({name: tensor[start:end] for name, tensor in outputs.items()})
            start = end
        return split

    def _score(self, inputs: Tensors) -> Tensors:
        answer = self._scorer.score(inputs)
        if not isinstance(answer, Mapping) or not answer:
            raise ScoringFailedError(
                f"The model answered {type(answer).__name__}: its score must return a dict of arrays."
            )
        if self._promised:
            outputs = {spec.name: _take_promised(answer, spec) for spec in self._promised}
        else:
            outputs = {str(name): _take_native(value) for name, value in answer.items()}
        items = _count_items(inputs)
        for name, tensor in outputs.items():
            _check_output(tensor, name, items)
        if not self.signature.outputs:
            self._learn_outputs(outputs)
        return outputs

    def _learn_outputs(self, outputs: Tensors) -> None:
        """Complete the signature, for those who ask for it, from the first answer: that to the example."""
        specs = tuple(_describe_output(name, tensor, varies=self._varies) for name, tensor in outputs.items())
        self._signature = self.signature.model_copy(update={"outputs": specs})


def _complete(manifest: Signature | None, model: Signature | None) -> Signature | None:
    """Return the manifest's signature, completed by the model's own outputs where it names none."""
    if manifest is None or manifest.outputs or model is None:
        return manifest or model
    return manifest.model_copy(update={"outputs": model.outputs})


def _choose_batch_size(signature: Signature) -> int:
    if not signature.is_batched():
        return 1
    values = sum(abs(math.prod(spec.shape[1:])) for spec in signature.inputs)
    return LARGE_BATCH_SIZE if values >= LARGE_ITEM else BATCH_SIZE


def _count_items(inputs: Tensors) -> int:
    for tensor in inputs.values():
        return len(tensor)
    return 0


def _group_by_shape(requests: Sequence[Tensors]) -> list[list[int]]:
    """Return the places of the requests that can be joined: their items have the same shapes."""
    groups: dict[tuple[tuple[int, ...], ...], list[int]] = {}
    for place, inputs in enumerate(requests):
        groups.setdefault(tuple(tensor.shape[1:] for tensor in inputs.values()), []).append(place)
    return list(groups.values())


def _make_values(spec: TensorSpec) -> Tensor:
    shape = [1 if size == ANY_SIZE else size for size in spec.shape]
    return np.full(shape, "text" if spec.datatype == "BYTES" else 0, dtype=get_dtype(spec.datatype))


def _take_promised(answer: Mapping[str, object], spec: TensorSpec) -> Tensor:
    """Return an output in the signature's datatype. Raises ScoringFailedError when it is missing or of another kind."""
    if spec.name not in answer:
        raise ScoringFailedError(f"The model gave no output {spec.name!r}, which the signature promises.")
    tensor = np.asarray(answer[spec.name])
    dtype = get_dtype(spec.datatype)
    if tensor.dtype == dtype:
        return tensor
    try:
        promised = tensor.astype(dtype, casting="same_kind")
    except TypeError as error:
        raise ScoringFailedError(
            f"The model's output {spec.name!r} is {tensor.dtype}, but the signature says {spec.datatype}: correct one."
        ) from error
    if promised.dtype.kind in "iu" and not np.array_equal(promised, tensor):
        raise ScoringFailedError(
            f"The model's output {spec.name!r} has a number that is too large for {spec.datatype}, which the signature says: correct it."
        )
    return promised


def _take_native(value: object) -> Tensor:
    """Return an output in this machine's byte order, in which orjson and clients want it."""
    tensor = np.asarray(value)
    return tensor.astype(tensor.dtype.newbyteorder("="), copy=False)


def _check_output(tensor: Tensor, name: str, items: int) -> None:
    if tensor.ndim == 0 or len(tensor) != items:
        raise ScoringFailedError(
            f"The model's output {name!r} has the shape {tensor.shape} for {items} items: its first axis must count the items."
        )
    if tensor.dtype.kind == "f":
        check_finite(tensor)


def _describe_output(name: str, tensor: Tensor, *, varies: bool) -> TensorSpec:
    sizes = [ANY_SIZE] * (tensor.ndim - 1) if varies else tensor.shape[1:]
    return TensorSpec(name=name, datatype=_find_datatype(tensor, name), shape=(ANY_SIZE, *sizes))


def _find_datatype(tensor: Tensor, name: str) -> DataType:
    try:
        return find_datatype(tensor)
    except KeyError as error:
        raise ScoringFailedError(
            f"The model's output {name!r} is {tensor.dtype}, which no answer can carry: return numbers, booleans or texts."
        ) from error
