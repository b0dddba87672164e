"""Scorer of TensorFlow models: a SavedModel folder, by one of its signatures. keras.py sets up TensorFlow by it too."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from scoring_runtime.errors import ManifestInvalidError, ModelInvalidError, OutOfMemoryError, OverloadedError
from scoring_runtime.scorers import ModelSource, read_options
from scoring_runtime.tensors import ANY_SIZE, Signature, Tensors, TensorSpec, find_datatype

SavedModel: TypeAlias = Any
Function: TypeAlias = Any

MODEL_FILE = "saved_model.pb"
_STDERR = 2


@contextmanager
def _drop_banner() -> Iterator[None]:
    """Drop what the C++ libraries print while they are loaded, which no setting prevents: logs are lines of JSON."""
    stderr = os.dup(_STDERR)
    null = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(null, _STDERR)
        yield
    finally:
        os.dup2(stderr, _STDERR)
        os.close(stderr)
        os.close(null)


# Read by these libraries when they are loaded: warnings and mere notes are not logged.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
# Otherwise TensorFlow imports Keras at once, a sixth of its start, which no SavedModel needs: here it looks for Keras 2.
os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")
with _drop_banner():
    import tensorflow as tf


class TensorFlowOptions(BaseModel):
    """Options of the format: which of the SavedModel's signatures is served."""

    model_config = ConfigDict(frozen=True, extra="forbid", alias_generator=to_camel)

    signature_name: str = Field(default="serving_default", min_length=1)


class TensorFlowScorer:
    """A signature of a SavedModel, on the GPU where there is one; named tensors in, named tensors out."""

    model: Any = None
    signature: Signature | None = None

    def __init__(self) -> None:
        self.report: Mapping[str, Any] = {}

    def load(self, source: ModelSource) -> None:
        """Load the SavedModel. Raises ManifestInvalidError, ModelInvalidError or OutOfMemoryError."""
        options = read_options(source, TensorFlowOptions)
        self.report = {"device": prepare_devices(source.threads), "framework": f"tensorflow {tf.__version__}"}
        self.model = _load_saved_model(source.path)
        self._function = _find_function(self.model, options.signature_name)
        self._inputs: Mapping[str, Any] = self._function.structured_input_signature[1]
        self.signature = _describe_function(self._function)

    def score(self, tensors: Tensors) -> Tensors:
        """Return the signature's outputs for its inputs. Raises OverloadedError when the device's memory is full."""
        try:
            inputs = {name: tf.convert_to_tensor(tensors[name], spec.dtype) for name, spec in self._inputs.items()}
            return {name: output.numpy() for name, output in self._function(**inputs).items()}
        except tf.errors.ResourceExhaustedError as error:
            raise _explain_full_memory() from error


def prepare_devices(threads: int) -> str:
    """Limit TensorFlow's threads and let it take GPU memory as it needs it; return the device: `cuda` or `cpu`."""
    tf.get_logger().setLevel("ERROR")
    gpus = tf.config.list_physical_devices("GPU")
    # Refused where something else in this process has computed with TensorFlow already: it goes on with what it has then.
    with suppress(RuntimeError):
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(1)
        for gpu in gpus:
            tf.config.experimental.set_memory_growth(gpu, True)
    return "cuda" if gpus else "cpu"


def _explain_full_memory() -> OverloadedError:
    return OverloadedError(
        "The device has no memory left for this batch: send fewer items at once, or try again later."
    )


def _load_saved_model(folder: Path) -> SavedModel:
    if not (folder / MODEL_FILE).is_file():
        raise ModelInvalidError(
            f"{folder.name} is no SavedModel: name the folder that holds {MODEL_FILE} in the manifest's model "
            "(write it with tf.saved_model.save or model.export)."
        )
    try:
        return tf.saved_model.load(str(folder))
    except tf.errors.ResourceExhaustedError as error:
        raise OutOfMemoryError("The model does not fit into the device's memory: use a larger one.") from error


def _find_function(model: SavedModel, name: str) -> Function:
    if name not in model.signatures:
        known = ", ".join(sorted(model.signatures)) or "none: save it with signatures"
        raise ManifestInvalidError(
            f"manifest.json: options.signatureName: the SavedModel has no signature {name!r}; it has {known}."
        )
    return model.signatures[name]


def _describe_function(function: Function) -> Signature | None:
    """Return the signature, or None where an input has an open rank, no axis for the items, or a type without a name."""
    inputs = _describe_all(function.structured_input_signature[1])
    return Signature(inputs=inputs, outputs=_describe_all(function.structured_outputs)) if inputs else None


def _describe_all(specs: Mapping[str, Any]) -> tuple[TensorSpec, ...]:
    # TensorFlow keeps them in an order that changes from one process to the next; every pod has to tell the same.
    described = [_describe(name, spec.dtype, spec.shape) for name, spec in sorted(specs.items())]
    return tuple(spec for spec in described if spec) if all(described) else ()


def _describe(name: str, dtype: tf.DType, shape: tf.TensorShape) -> TensorSpec | None:
    if not shape.rank:
        return None
    try:
        datatype = find_datatype(np.empty(0, dtype.as_numpy_dtype))
    except KeyError:
        return None
    sizes = tuple(ANY_SIZE if size is None else size for size in shape.as_list())
    return TensorSpec(name=name, datatype=datatype, shape=sizes)
