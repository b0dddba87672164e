"""Scorer of Keras 3 models: a `.keras` file without code of its own, on TensorFlow, PyTorch or JAX."""

import os
from collections.abc import Iterable, Mapping
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any, Literal, TypeAlias

import numpy as np
from pydantic import BaseModel, ConfigDict

from scoring_runtime.errors import FormatNotInstalledError, ModelInvalidError, OutOfMemoryError, OverloadedError
from scoring_runtime.scorers import ModelSource, explain_missing_package, read_options
from scoring_runtime.scorers.keras_backends import Model, is_sequential
from scoring_runtime.tensors import ANY_SIZE, DataType, Signature, Tensors, TensorSpec, find_datatype

Backend = Literal["tensorflow", "torch", "jax"]
# Keras and its backends are imported when a model is loaded: its manifest chooses the backend.
KerasTensor: TypeAlias = Any

BACKENDS: tuple[Backend, ...] = ("tensorflow", "torch", "jax")
SUFFIX = ".keras"
# Each backend has an exception of its own for it; JAX has it in the message.
_OUT_OF_MEMORY = ("ResourceExhaustedError", "OutOfMemoryError")
_OUT_OF_MEMORY_TEXT = "RESOURCE_EXHAUSTED"


class KerasOptions(BaseModel):
    """Options of the format: the library that Keras computes with; by default the first one installed."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    backend: Backend | None = None


class KerasScorer:
    """A Keras model with named inputs and outputs, on the GPU where its backend finds one."""

    model: Model = None
    signature: Signature | None = None

    def __init__(self) -> None:
        self.report: Mapping[str, Any] = {}

    def load(self, source: ModelSource) -> None:
        """Load the model. Raises ManifestInvalidError, ModelInvalidError, OutOfMemoryError or FormatNotInstalledError."""
        backend = read_options(source, KerasOptions).backend or _find_backend()
        _check_file(source.path)
        try:
            keras, engine = _import_backend(backend)
        except ModuleNotFoundError as error:
            raise explain_missing_package(error, "keras") from error
        self.report = {"device": engine.prepare(source.threads), "framework": f"keras {keras.__version__}, {backend}"}
        self.model = _load_model(keras, source.path)
        self.signature = _describe_model(self.model)
        self._function = engine.compile_model(self.model)

    def score(self, tensors: Tensors) -> Tensors:
        """Return the model's outputs for its inputs. Raises OverloadedError when the device's memory is full."""
        try:
            return dict(_name_outputs(self.model, self._function(tensors)))
        except Exception as error:
            if _is_out_of_memory(error):
                raise OverloadedError(
                    "The device has no memory left for this batch: send fewer items at once, or try again later."
                ) from error
            raise


def _find_backend() -> Backend:
    for backend in BACKENDS:
        if find_spec(backend):
            return backend
    raise FormatNotInstalledError(
        f"The format 'keras' needs one of the packages {', '.join(BACKENDS)}; none is in this image. Use the image of the "
        "variant 'tensorflow'."
    )


def _check_file(path: Path) -> None:
    # Keras reads .h5 files too, but there it runs the code in them without asking.
    if path.suffix.lower() != SUFFIX:
        raise ModelInvalidError(f"{path.name} is no Keras 3 model file: save it with model.save('model{SUFFIX}').")


def _import_backend(backend: Backend) -> tuple[ModuleType, ModuleType]:
    """Return Keras on this backend, and the module of keras_backends for it."""
    os.environ["KERAS_BACKEND"] = backend
    engine = import_module(f"scoring_runtime.scorers.keras_backends.{backend}")
    keras = import_module("keras")
    if keras.backend.backend() != backend:
        raise ModelInvalidError(f"Keras computes with {keras.backend.backend()} in this process, not with {backend}.")
    return keras, engine


def _load_model(keras: ModuleType, path: Path) -> Model:
    try:
        model = keras.saving.load_model(path, compile=False, safe_mode=True)
    except Exception as error:
        if _is_out_of_memory(error):
            raise OutOfMemoryError("The model does not fit into the device's memory: use a larger one.") from error
        raise _explain_refusal(path, error) from error
    if not getattr(model, "inputs", None):
        raise ModelInvalidError(f"{path.name} does not tell its inputs: save a Functional or a built Sequential model.")
    return model


def _explain_refusal(path: Path, error: Exception) -> ModelInvalidError:
    text = str(error)
    if "safe_mode" in text:
        return ModelInvalidError(
            f"{path.name} holds code (a lambda), which is not run: replace Lambda layers by layers of Keras and save again."
        )
    if "Could not locate" in text:
        return ModelInvalidError(
            f"{path.name} has a layer or function that is not Keras' own: save a model of Keras' layers, or serve your class "
            "with the format 'python'."
        )
    first_line = next(iter(text.splitlines()), "")
    return ModelInvalidError(f"{path.name} cannot be read by Keras: {type(error).__name__}: {first_line}")


def _is_out_of_memory(error: Exception) -> bool:
    return type(error).__name__ in _OUT_OF_MEMORY or _OUT_OF_MEMORY_TEXT in str(error)


def _describe_model(model: Model) -> Signature | None:
    inputs = _describe_all((tensor.name, tensor) for tensor in model.inputs)
    # `output` has the structure that a call returns; a Sequential model has a single one.
    outputs = _describe_all(_name_outputs(model, _get_outputs(model)))
    return Signature(inputs=inputs, outputs=outputs) if inputs else None


def _get_outputs(model: Model) -> KerasTensor:
    return model.outputs[0] if is_sequential(model) else model.output


def _name_outputs(model: Model, outputs: KerasTensor) -> Iterable[tuple[str, KerasTensor]]:
    """Pair each output with its key, or else with the name of the layer it comes from."""
    if isinstance(outputs, Mapping):
        return outputs.items()
    several = outputs if isinstance(outputs, list | tuple) else [outputs]
    names = [model.layers[-1].name] if is_sequential(model) else model.output_names
    if len(set(names)) < len(names):
        names = [f"output_{number}" for number in range(len(names))]
    return zip(names, several, strict=True)


def _describe_all(tensors: Iterable[tuple[str, KerasTensor]]) -> tuple[TensorSpec, ...]:
    described = [_describe(name, tensor) for name, tensor in tensors]
    return tuple(spec for spec in described if spec) if all(described) else ()


def _describe(name: str, tensor: KerasTensor) -> TensorSpec | None:
    datatype = _find_datatype(tensor.dtype)
    if datatype is None or not tensor.shape:
        return None
    shape = tuple(ANY_SIZE if size is None else size for size in tensor.shape)
    return TensorSpec(name=name, datatype=datatype, shape=shape)


def _find_datatype(dtype: str) -> DataType | None:
    try:
        return "BYTES" if dtype == "string" else find_datatype(np.empty(0, dtype))
    except (KeyError, TypeError):
        return None
