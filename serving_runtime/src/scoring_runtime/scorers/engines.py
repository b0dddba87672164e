"""Programs that run an ONNX model: ONNX Runtime and OpenVINO, behind one small protocol. Used by onnx.py.

Of what could be set, only what was measured to help is: with ResNet-152, docs/adr has the numbers.
"""

import ctypes
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
import onnxruntime
import structlog
from onnxruntime.capi import onnxruntime_pybind11_state as failures

from scoring_runtime.errors import (
    InvalidInputError,
    ModelInvalidError,
    OutOfMemoryError,
    OverloadedError,
    ScoringFailedError,
)
from scoring_runtime.scorers.engine_signatures import (
    leave_out_scalars,
    list_port_names,
    list_session_outputs,
    read_ports,
    read_session,
)
from scoring_runtime.tensors import Signature, Tensor, Tensors, is_shape

Optimisation = Literal["none", "basic", "extended", "all"]
Precision = Literal["float32", "bfloat16"]

_LEVELS = {
    "none": onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL,
    "basic": onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC,
    "extended": onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED,
    "all": onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL,
}
_SEVERITY_FATAL = 4
_PRECISIONS = {"float32": "f32", "bfloat16": "bf16"}
_BFLOAT16 = "BF16"
"""OpenVINO's name among what a CPU can do."""

_MEMORY_WORDS = ("bad_alloc", "failed to allocate memory", "out of memory", "cannot allocate memory")
_SHOWN_CHARACTERS = 400
_REMEDIES = (
    (
        ("escapes model directory", "Absolute path not allowed", "outside the base directory"),
        "its weights lie outside the model's folder, where nothing is read: save them beside the model, and give the folder or an archive "
        "of it, since a single file is served without what lies beside it.",
    ),
    (
        ("External data path does not exist", "externally stored data", "out of bounds", "External initializer"),
        "a file with its weights is missing or too short: pack it beside the model, under the name it was saved with.",
    ),
    (
        ("No Op registered", "not a registered function", "No conversion rule"),
        "it has an operator that this engine does not know: export it with a lower opset, or choose another engine.",
    ),
    (
        ("Protobuf parsing failed", "No graph was found", "verification failed", "Unable to read the model"),
        "the file is damaged or no ONNX model: export it again and give the artifact's new digest.",
    ),
)

# glibc's mallopt: blocks from the first threshold on go back to the system when they are freed, as does what is free at the
# heap's end beyond the second. Left alone, both grow while a model is loaded, to the last values here.
_M_MMAP_THRESHOLD, _M_TRIM_THRESHOLD = -3, -1
_LOADING_THRESHOLD = 1 << 20
_SERVING_THRESHOLD = 32 << 20

_logger = structlog.stdlib.get_logger(__name__)


@dataclass(frozen=True)
class EngineSettings:
    """How an engine computes: CPU threads, what it makes of the graph (ONNX Runtime) and its precision (OpenVINO)."""

    threads: int = 1
    optimisation: Optimisation = "all"
    precision: Precision = "float32"


class Engine(Protocol):
    """A model ready to run. `device` is cpu or cuda."""

    name: str
    device: str
    signature: Signature

    def run(self, batch: Tensors) -> Tensors:
        """Return the model's outputs by name. Raises InvalidInputError, OverloadedError or ScoringFailedError."""


class OnnxRuntimeEngine:
    """ONNX Runtime, on the GPU where its build and the machine have one."""

    name = "onnxruntime"

    def __init__(self, path: Path, settings: EngineSettings) -> None:
        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = _LEVELS[settings.optimisation]
        options.intra_op_num_threads = settings.threads
        options.inter_op_num_threads = 1
        options.log_severity_level = _SEVERITY_FATAL  # errors are raised; this would print them too
        # Threads that spin while they wait use up a CPU limit: 405 instead of 255 ms of CPU per image on busy cores.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        wanted = ["CUDAExecutionProvider", "CPUExecutionProvider"]
        providers = [provider for provider in wanted if provider in onnxruntime.get_available_providers()]
        with _explain_failures(path), _return_memory():
            self._session = onnxruntime.InferenceSession(str(path), options, providers=providers)
        self.device = "cuda" if self._session.get_providers()[0].startswith("CUDA") else "cpu"
        self.signature = read_session(self._session)
        self._outputs = list_session_outputs(self._session)

    def run(self, batch: Tensors) -> Tensors:
        """Return the model's outputs by name. Raises InvalidInputError, OverloadedError or ScoringFailedError."""
        try:
            outputs = self._session.run(self._outputs, {name: _decode(tensor) for name, tensor in batch.items()})
        except (failures.InvalidArgument, ValueError) as error:
            raise InvalidInputError(f"The model does not take this input: {_shorten(error)}") from error
        except (failures.Fail, failures.RuntimeException, MemoryError) as error:
            raise _explain_run(error) from error
        return leave_out_scalars(dict(zip(self._outputs, outputs, strict=True)))


class OpenVinoEngine:
    """OpenVINO on the CPU. Raises ModuleNotFoundError where it is not installed."""

    name = "openvino"
    device = "cpu"

    def __init__(self, path: Path, settings: EngineSettings) -> None:
        openvino = import_module("openvino")
        if not computes_in(settings.precision):
            _logger.warning(
                "this CPU only imitates the precision: set options.precision to float32, or use another hardware class",
                precision=settings.precision,
            )
        properties = {
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_NUM_THREADS": settings.threads,
            # Its own choice would be bfloat16 on CPUs that have it, whose answers differ.
            "INFERENCE_PRECISION_HINT": _PRECISIONS[settings.precision],
        }
        with _explain_failures(path):
            core = openvino.Core()
            compiled = core.compile_model(core.read_model(str(path)), "CPU", properties)
        self._request = compiled.create_infer_request()
        self.signature = read_ports(compiled.inputs, compiled.outputs)
        self._outputs = list_port_names(compiled.outputs)

    def run(self, batch: Tensors) -> Tensors:
        """Return the model's outputs by name. Raises InvalidInputError, OverloadedError or ScoringFailedError."""
        _check_shapes(batch, self.signature)
        try:
            results = self._request.infer(dict(batch))
        except MemoryError as error:
            raise _explain_run(error) from error
        except (RuntimeError, TypeError, ValueError) as error:
            if _is_memory(error):
                raise _explain_run(error) from error
            raise InvalidInputError(f"The model does not take this input: {_shorten(error)}") from error
        return leave_out_scalars({name: np.asarray(results[row]) for row, name in enumerate(self._outputs)})


def computes_in(precision: Precision) -> bool:
    """Tell whether this CPU has a precision itself, as OpenVINO sees it; what it only imitates is several times slower than float32.

    Raises ModuleNotFoundError where OpenVINO is not installed.
    """
    if precision == "float32":
        return True
    return _BFLOAT16 in import_module("openvino").Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


ENGINES: Mapping[str, type[OnnxRuntimeEngine] | type[OpenVinoEngine]] = {
    OnnxRuntimeEngine.name: OnnxRuntimeEngine,
    OpenVinoEngine.name: OpenVinoEngine,
}


@contextmanager
def _return_memory() -> Iterator[None]:
    """Give back what loading frees: 310 instead of 428 MiB at the peak for the 229 MiB of ResNet-152, for 0.2 s of CPU."""
    library = ctypes.CDLL(None)
    if not hasattr(library, "mallopt"):  # not glibc
        yield
        return
    library.mallopt(_M_MMAP_THRESHOLD, _LOADING_THRESHOLD)
    try:
        yield
    finally:
        library.mallopt(_M_MMAP_THRESHOLD, _SERVING_THRESHOLD)
        library.mallopt(_M_TRIM_THRESHOLD, 2 * _SERVING_THRESHOLD)


@contextmanager
def _explain_failures(path: Path) -> Iterator[None]:
    """Turn what an engine raises while it loads into ModelInvalidError or OutOfMemoryError with a remedy."""
    try:
        yield
    except MemoryError as error:
        raise OutOfMemoryError(f"{path.name} does not fit into memory: raise the memory limit.") from error
    except ModuleNotFoundError:
        raise
    except Exception as error:  # pybind's classes share no other base
        if _is_memory(error):
            raise OutOfMemoryError(f"{path.name} does not fit into memory: raise the memory limit.") from error
        raise ModelInvalidError(
            f"{path.name} cannot be loaded: {_find_remedy(str(error))} ({_shorten(error)})"
        ) from error


def _find_remedy(text: str) -> str:
    """Return what to do about a failure, whose kind only its words tell."""
    for words, remedy in _REMEDIES:
        if any(word in text for word in words):
            return remedy
    return "export it again, and check it with onnx.checker."


def _explain_run(error: Exception) -> OverloadedError | ScoringFailedError:
    if isinstance(error, MemoryError) or _is_memory(error):
        return OverloadedError("No memory is left for this request: send fewer items at once, or try again later.")
    return ScoringFailedError(f"The model failed on this request: {_shorten(error)}")


def _is_memory(error: Exception) -> bool:
    return any(word in str(error).lower() for word in _MEMORY_WORDS)


def _shorten(error: Exception) -> str:
    return " ".join(str(error).split())[:_SHOWN_CHARACTERS]


def _check_shapes(batch: Tensors, signature: Signature) -> None:
    # OpenVINO computes something of any shape.
    for spec in signature.inputs:
        shape = batch[spec.name].shape if spec.name in batch else None
        if shape is None or not is_shape(shape, spec.shape):
            raise InvalidInputError(
                f"The model does not take this input: {spec.name} is {shape}, expected {spec.datatype} {spec.shape}."
            )


def _decode(tensor: Tensor) -> Tensor:
    """Return texts as ONNX Runtime takes them: str, not the bytes of the protocols."""
    if tensor.dtype.kind != "O":
        return tensor
    texts = [value.decode() if isinstance(value, bytes) else value for value in tensor.flat]
    return np.array(texts, dtype=object).reshape(tensor.shape)
