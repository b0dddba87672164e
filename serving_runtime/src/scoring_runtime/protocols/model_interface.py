"""The served model as clients address it: by name and version, with named inputs and outputs. For all tensor protocols."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, get_args

import numpy as np

from scoring_runtime.errors import EmptyInputError, InvalidInputError, MissingInputError, ModelNotFoundError
from scoring_runtime.json_tensors import TensorReader
from scoring_runtime.model import ServedModel
from scoring_runtime.service import ScoringService
from scoring_runtime.tasks import Task
from scoring_runtime.tensors import ANY_SIZE, DataType, Tensor, Tensors, TensorSpec, get_dtype, is_shape

Shape = tuple[int, ...]

_REFUSED = ("classification", "shared_memory_region")

DATATYPES: frozenset[str] = frozenset(get_args(DataType))


@dataclass(frozen=True)
class ModelInterface:
    """One served model: computed once, since requests ask for it again and again."""

    name: str
    version: str
    platform: str
    task: Task
    inputs: Mapping[str, TensorSpec]
    outputs: Mapping[str, TensorSpec]

    def get_input(self, name: object) -> TensorSpec:
        """Return the specification of an input. Raises InvalidInputError, naming the inputs that there are."""
        spec = self.inputs.get(name) if isinstance(name, str) else None
        if spec is None:
            raise InvalidInputError(f"There is no input {name!r}. The model takes: {_join(self.inputs)}.")
        return spec

    def check_output(self, name: object, given: Iterable[str]) -> str:
        """Return the name of an output. Raises InvalidInputError, naming those `given`, when it is none of them."""
        if not isinstance(name, str) or name not in given:
            raise InvalidInputError(f"There is no output {name!r}. The model gives: {_join(given)}.")
        return name

    def check_inputs(self, tensors: Tensors) -> Tensors:
        """Return the tensors. Raises MissingInputError or InvalidInputError unless all are there, with as many items each."""
        if len(tensors) < len(self.inputs):
            missing = _join(name for name in self.inputs if name not in tensors)
            raise MissingInputError(f"The request lacks the input {missing}: send {_join(self.inputs)}.")
        counts = {len(tensors[name]) for name, spec in self.inputs.items() if spec.shape[0] == ANY_SIZE}
        if len(counts) > 1:
            raise InvalidInputError(
                f"The inputs hold different numbers of items: {sorted(counts)}. Send as many rows in each."
            )
        return tensors


class ModelDirectory:
    """Finds the model that a request addresses: there is one, under the ScoringModel's name and the manifest's version."""

    def __init__(self, service: ScoringService) -> None:
        self.name = service.model_name
        self._service = service
        self._model: ServedModel | None = None
        self._interface: ModelInterface | None = None

    def find(self, name: str, version: str | None = None) -> ModelInterface:
        """Return the model of this name, and version if one is given. Raises ModelNotFoundError, NotReadyError."""
        self.check_name(name)
        interface = self.get()
        if version and version != interface.version:
            raise ModelNotFoundError(
                f"Model {self.name!r} has no version {version!r} here: version {interface.version!r} is served."
            )
        return interface

    def check_name(self, name: str) -> None:
        """Raise ModelNotFoundError, naming the model that is served, for any other name."""
        if name != self.name:
            raise ModelNotFoundError(f"There is no model {name!r} here: {self.name!r} is served.")

    def check_ready(self, name: str, version: str | None = None) -> ModelInterface:
        """Return the model when new requests should be sent here. Raises ModelNotFoundError, NotReadyError."""
        interface = self.find(name, version)
        self._service.slot.check_ready()
        return interface

    def get(self) -> ModelInterface:
        """Return the model that is served. Raises NotReadyError."""
        model = self._service.get_model()
        if self._interface is None or model is not self._model:
            self._interface, self._model = _describe(self.name, model), model
        return self._interface


def check_datatype(spec: TensorSpec, datatype: object) -> DataType:
    """Return the datatype that a client names, if the input holds all its values. Raises InvalidInputError.

    What is narrower than the model's is taken, as INT32 for INT64 or FP32 for FP64: nothing is lost. (numpy takes 64-bit
    integers for FP64 too, which rounds those beyond 2**53.)
    """
    if datatype == spec.datatype:
        return spec.datatype
    if isinstance(datatype, str) and datatype in DATATYPES and "BYTES" not in (datatype, spec.datatype):
        known: DataType = datatype  # type: ignore[assignment]  # one of DATATYPES
        if np.can_cast(get_dtype(known), get_dtype(spec.datatype), "safe"):
            return known
    raise InvalidInputError(f"Input {spec.name!r} is {spec.datatype}, not {datatype!r}: send {spec.datatype}.")


def fit_shape(spec: TensorSpec, shape: Shape) -> Shape:
    """Return the shape in which the model takes a tensor. Raises InvalidInputError, EmptyInputError.

    A last axis of length 1 may be there or not: clients send a column as [n] or as [n, 1].
    """
    fitting = _fit_column(spec, shape)
    if fitting is None:
        raise InvalidInputError(
            f"Input {spec.name!r} has the shape {list(shape)}; the model takes {list(spec.shape)} (-1: any size)."
        )
    if 0 in shape:
        raise EmptyInputError(f"Input {spec.name!r} is empty (shape {list(shape)}): send at least one item.")
    return fitting


def _fit_column(spec: TensorSpec, shape: Shape) -> Shape | None:
    if is_shape(shape, spec.shape):
        return shape
    if shape[-1:] == (1,) and is_shape(shape[:-1], spec.shape):
        return shape[:-1]
    if spec.shape[-1] == 1 and is_shape(shape, spec.shape[:-1]):
        return (*shape, 1)
    return None


def check_asked_once(names: Iterable[str]) -> None:
    """Raise InvalidInputError for an output that is asked for twice: a short request could ask for an answer of any length."""
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise InvalidInputError(f"Output {name!r} is asked for twice: name each once.")
        seen.add(name)


def refuse_extensions(parameters: Collection[str]) -> None:
    """Raise InvalidInputError for parameters that would change the answer's meaning, and that nobody reads here."""
    if parameters:
        for name in _REFUSED:
            if name in parameters:
                raise InvalidInputError(f"The parameter {name!r} is of an extension that is not served: leave it out.")


@lru_cache(maxsize=256)
def make_reader(name: str, datatype: DataType, shape: Shape, *, nullable: bool = False) -> TensorReader:
    """Return what reads JSON values as this tensor. Kept, since requests of one client are alike."""
    return TensorReader(TensorSpec(name=name, datatype=datatype, shape=shape, nullable=nullable))


def widen_tensor(spec: TensorSpec, tensor: Tensor) -> Tensor:
    """Return the tensor in the datatype of the input."""
    return tensor.astype(get_dtype(spec.datatype), copy=False)


def describe_tensors(specs: Iterable[TensorSpec]) -> list[dict[str, Any]]:
    """Return specifications in the words of the Open Inference Protocol."""
    return [{"name": spec.name, "datatype": spec.datatype, "shape": list(spec.shape)} for spec in specs]


def _describe(name: str, model: ServedModel) -> ModelInterface:
    signature = model.task.signature
    return ModelInterface(
        name,
        model.manifest.version,
        platform=model.format,
        task=model.task,
        inputs=_by_name(signature.inputs),
        outputs=_by_name(signature.outputs),
    )


def _by_name(specs: Sequence[TensorSpec]) -> dict[str, TensorSpec]:
    return {spec.name: spec for spec in specs}


def _join(names: Iterable[str]) -> str:
    return ", ".join(repr(name) for name in names) or "none"
