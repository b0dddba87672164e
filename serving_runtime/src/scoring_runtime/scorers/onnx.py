"""Scorer of ONNX models (.onnx, with the files of its weights beside it; .ort), run by one of two engines.

Which of them is faster depends on CPU and model: with `auto`, both are timed on the manifest's example, and if that is wished in
bfloat16 too.
"""

from collections.abc import Iterator, Mapping
from statistics import median
from time import perf_counter
from typing import Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from scoring_runtime.errors import ManifestInvalidError, ModelInvalidError, RequestError
from scoring_runtime.scorers import ModelSource, explain_missing_package, read_options
from scoring_runtime.scorers.engines import (
    ENGINES,
    Engine,
    EngineSettings,
    OnnxRuntimeEngine,
    OpenVinoEngine,
    Optimisation,
    Precision,
    computes_in,
)
from scoring_runtime.tensors import Signature, Tensors

TOLERANCE = 1e-3
"""How far another engine's outputs may lie from ONNX Runtime's, relative or absolute, whichever is more, unless the options tell."""
SHARE = 0.9
"""Of the time of ONNX Runtime, or of float32, which another engine or precision must not exceed: it takes twice the memory, or differs."""
RUNS = 5

_ROUNDING = 1.06
"""What is told with two digits is never less than what it stands for."""


class OnnxOptions(BaseModel):
    """Options of the format. `tolerance` is for what `auto` chooses. `measured` is what packaging noted beside its choice; it is shown, not used."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    engine: Literal["onnxruntime", "openvino", "auto"] = "onnxruntime"
    precision: Precision | Literal["auto"] = "float32"
    tolerance: float = Field(default=TOLERANCE, gt=0, allow_inf_nan=False)
    optimisation: Optimisation = "all"
    measured: dict[str, Any] = {}


class OnnxScorer:
    """A model in one engine; a batch has the model's own inputs by their names."""

    model: Any = None
    signature: Signature | None = None

    def __init__(self) -> None:
        self.report: Mapping[str, Any] = {}
        self._engine: Engine | None = None
        self._undecided: ModelSource | None = None

    def load(self, source: ModelSource) -> None:
        """Load the model. Raises ModelInvalidError, ManifestInvalidError, FormatNotInstalledError or OutOfMemoryError."""
        options = read_options(source, OnnxOptions)
        _check_suffix(source, options)
        _check_precision(options)
        name = OnnxRuntimeEngine.name if options.engine == "auto" else options.engine
        precision = "float32" if options.precision == "auto" else options.precision
        self._use(_open(name, source, precision), precision)
        self._undecided = source if options.engine == "auto" and self.report["device"] == "cpu" else None

    def score(self, batch: Tensors) -> Tensors:
        """Return the model's outputs by name; the first call chooses the engine where the options leave it open.

        Raises InvalidInputError, OverloadedError or ScoringFailedError.
        """
        if self._engine is None:
            raise ModelInvalidError("No model is loaded.")
        if self._undecided is not None:
            source, self._undecided = self._undecided, None
            return self._choose(self._engine, source, batch)
        return self._engine.run(batch)

    def _choose(self, reference: Engine, source: ModelSource, batch: Tensors) -> Tensors:
        """Keep the fastest of the engines that agree with the reference, ONNX Runtime; return its outputs."""
        options = read_options(source, OnnxOptions)
        fastest, expected = measure(reference, batch)
        chosen = expected
        milliseconds, refused = {reference.name: fastest}, dict[str, str]()
        for name, precision in _list_rivals(options):
            try:
                rival = _open_rival(source, precision)
                milliseconds[name], outputs = measure(rival, batch)
            except (ModuleNotFoundError, ModelInvalidError, RequestError) as error:
                refused[name] = str(error)
                continue
            difference = find_difference(expected, outputs, options.tolerance)
            if difference is not None:
                refused[name] = difference
            elif milliseconds[name] < SHARE * fastest:
                self._use(rival, precision)
                fastest, chosen = milliseconds[name], outputs
            del rival  # Before the next is loaded: it may be hundreds of MiB.
        self.report = {**self.report, "milliseconds": milliseconds, **({"refused": refused} if refused else {})}
        return chosen

    def _use(self, engine: Engine, precision: Precision) -> None:
        self.model = self._engine = engine
        self.signature = engine.signature
        self.report = {"engine": engine.name, "device": engine.device, "precision": precision}


def _list_rivals(options: OnnxOptions) -> Iterator[tuple[str, Precision]]:
    """Yield what is measured beside ONNX Runtime: how the report names it, and its precision."""
    yield OpenVinoEngine.name, "float32"
    if options.precision == "auto":
        yield f"{OpenVinoEngine.name} bfloat16", "bfloat16"


def _open_rival(source: ModelSource, precision: Precision) -> Engine:
    """Return the model in OpenVINO. Raises ModuleNotFoundError or ModelInvalidError, also where the CPU has no such precision."""
    if not computes_in(precision):
        raise ModelInvalidError(f"this CPU has no {precision}")
    return OpenVinoEngine(source.path, _get_settings(source, precision))


def measure(engine: Engine, batch: Tensors) -> tuple[float, Tensors]:
    """Return the milliseconds that a batch takes, the median of some runs after a first, and its outputs."""
    outputs = engine.run(batch)
    seconds = []
    for _ in range(RUNS):
        started = perf_counter()
        engine.run(batch)
        seconds.append(perf_counter() - started)
    return round(median(seconds) * 1000, 3), outputs


def find_difference(expected: Tensors, outputs: Tensors, tolerance: float = TOLERANCE) -> str | None:
    """Return how outputs differ from the expected ones by more than `tolerance`, relative or absolute, or None."""
    for name, tensor in expected.items():
        if name not in outputs or outputs[name].shape != tensor.shape:
            return f"its output {name!r} is missing or has another shape"
        if tensor.dtype.kind in "OSUb":
            if not np.array_equal(tensor, outputs[name]):
                return f"its output {name!r} is another"
        elif not np.allclose(outputs[name], tensor, rtol=tolerance, atol=tolerance):
            needed = np.max(np.abs(outputs[name] - tensor) / (1 + np.abs(tensor))) * _ROUNDING
            return f"its output {name!r} differs by more than {tolerance:g}: a tolerance of {needed:.2g} would take it"
    return None


def _open(name: str, source: ModelSource, precision: Precision) -> Engine:
    try:
        return ENGINES[name](source.path, _get_settings(source, precision))
    except ModuleNotFoundError as error:
        raise explain_missing_package(error, "onnx") from error


def _get_settings(source: ModelSource, precision: Precision) -> EngineSettings:
    return EngineSettings(source.threads, read_options(source, OnnxOptions).optimisation, precision)


def _check_suffix(source: ModelSource, options: OnnxOptions) -> None:
    suffix = source.path.suffix.lower()
    if suffix not in (".onnx", ".ort") or not source.path.is_file():
        raise ModelInvalidError(f"{source.path.name} is no ONNX model file: name it .onnx or .ort.")
    if suffix == ".ort" and options.engine != "onnxruntime":
        raise ManifestInvalidError(
            f"manifest.json: options.engine is {options.engine!r}, but only onnxruntime reads .ort: choose it, or give .onnx."
        )


def _check_precision(options: OnnxOptions) -> None:
    if options.precision == "bfloat16" and options.engine != "openvino":
        raise ManifestInvalidError(
            "manifest.json: options.precision is 'bfloat16', which only the engine openvino has: choose it."
        )
    if options.precision == "auto" and options.engine != "auto":
        raise ManifestInvalidError(
            f"manifest.json: options.precision is 'auto', but options.engine is {options.engine!r}: both are chosen together; set "
            "options.engine to 'auto', or name the precision."
        )
