"""Scorer of ONNX models (.onnx, with the files of its weights beside it; .ort), run by one of two engines.

Which of them is faster depends on CPU and model: with `auto`, both are timed on the manifest's example.
"""

from collections.abc import Mapping
from statistics import median
from time import perf_counter
from typing import Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict

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
)
from scoring_runtime.tensors import Signature, Tensors

TOLERANCE = 1e-3
"""How far another engine's outputs may lie from ONNX Runtime's, relative or absolute, whichever is more."""
SHARE = 0.9
"""Of ONNX Runtime's time, which another engine must not exceed: it takes twice the memory and starts later."""
RUNS = 5


class OnnxOptions(BaseModel):
    """Options of the format. `measured` is what packaging noted beside its choice; it is shown, not used."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    engine: Literal["onnxruntime", "openvino", "auto"] = "onnxruntime"
    precision: Precision = "float32"
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
        name = OnnxRuntimeEngine.name if options.engine == "auto" else options.engine
        self._use(_open(name, source), options)
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
        """Keep the faster engine of those that agree with the reference, ONNX Runtime; return the reference's outputs."""
        milliseconds, expected = measure(reference, batch)
        report: dict[str, Any] = {"milliseconds": {reference.name: milliseconds}}
        try:
            rival = OpenVinoEngine(source.path, _get_settings(source))
            rival_milliseconds, outputs = measure(rival, batch)
        except (ModuleNotFoundError, ModelInvalidError, RequestError) as error:
            self.report = {**self.report, **report, "refused": {OpenVinoEngine.name: str(error)}}
            return expected
        report["milliseconds"][rival.name] = rival_milliseconds
        difference = find_difference(expected, outputs)
        if difference is not None:
            report["refused"] = {rival.name: difference}
        elif rival_milliseconds < SHARE * milliseconds:
            self._use(rival, read_options(source, OnnxOptions))
        self.report = {**self.report, **report}
        return expected

    def _use(self, engine: Engine, options: OnnxOptions) -> None:
        self.model = self._engine = engine
        self.signature = engine.signature
        self.report = {"engine": engine.name, "device": engine.device, "precision": options.precision}


def measure(engine: Engine, batch: Tensors) -> tuple[float, Tensors]:
    """Return the milliseconds that a batch takes, the median of some runs after a first, and its outputs."""
    outputs = engine.run(batch)
    seconds = []
    for _ in range(RUNS):
        started = perf_counter()
        engine.run(batch)
        seconds.append(perf_counter() - started)
    return round(median(seconds) * 1000, 3), outputs


def find_difference(expected: Tensors, outputs: Tensors) -> str | None:
    """Return how outputs differ from the expected ones beyond TOLERANCE, or None."""
    for name, tensor in expected.items():
        if name not in outputs or outputs[name].shape != tensor.shape:
            return f"its output {name!r} is missing or has another shape"
        if tensor.dtype.kind in "OSUb":
            equal = bool(np.array_equal(tensor, outputs[name]))
        else:
            equal = np.allclose(outputs[name], tensor, rtol=TOLERANCE, atol=TOLERANCE)
        if not equal:
            return f"its output {name!r} differs by more than {TOLERANCE}"
    return None


def _open(name: str, source: ModelSource) -> Engine:
    try:
        return ENGINES[name](source.path, _get_settings(source))
    except ModuleNotFoundError as error:
        raise explain_missing_package(error, "onnx") from error


def _get_settings(source: ModelSource) -> EngineSettings:
    options = read_options(source, OnnxOptions)
    return EngineSettings(source.threads, options.optimisation, options.precision)


def _check_suffix(source: ModelSource, options: OnnxOptions) -> None:
    suffix = source.path.suffix.lower()
    if suffix not in (".onnx", ".ort") or not source.path.is_file():
        raise ModelInvalidError(f"{source.path.name} is no ONNX model file: name it .onnx or .ort.")
    if suffix == ".ort" and options.engine != "onnxruntime":
        raise ManifestInvalidError(
            f"manifest.json: options.engine is {options.engine!r}, but only onnxruntime reads .ort: choose it, or give .onnx."
        )
    if options.precision != "float32" and options.engine != "openvino":
        raise ManifestInvalidError(
            f"manifest.json: options.precision is {options.precision!r}, which only the engine openvino has: choose it."
        )
