"""The formats that a classifier can be packaged in: one row per format, with how its files are written. Used by package.py."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Literal

import safetensors.torch

from samples.resnet152.checkpoint import Checkpoint

FormatName = Literal["onnx", "torch", "torchscript", "exported", "tensorflow", "keras"]
Engine = Literal["auto", "onnxruntime", "openvino"]
Precision = Literal["auto", "float32", "bfloat16"]

TOLERANCE = 1e-3


@dataclass(frozen=True)
class Running:
    """What runs an ONNX model, in which precision: `auto` is measured on this machine. Other formats have no choice.

    tolerance: how far probabilities may lie from those of torchvision, which computes in float32.
    """

    engine: Engine = "auto"
    precision: Precision = "float32"
    tolerance: float = TOLERANCE


@dataclass(frozen=True)
class Format:
    """A row: the runtime's format, the model's name in the archive, the order of its axes, and whether a GPU is for it.

    `write` writes the model's files into a folder and returns the manifest's options.
    """

    runtime_format: str
    model: str
    write: Callable[[Checkpoint, Path, Running], Mapping[str, Any]]
    layout: Literal["NCHW", "NHWC"] = "NCHW"
    on_gpu: bool = False


def _write_onnx(checkpoint: Checkpoint, folder: Path, running: Running) -> Mapping[str, Any]:
    exporter = import_module("samples.resnet152.export_onnx")
    exporter.write_onnx(checkpoint, folder)
    options: Mapping[str, Any] = exporter.choose_engine(running, checkpoint, folder)
    return options


def _write_state(checkpoint: Checkpoint, folder: Path, _running: Running) -> Mapping[str, Any]:
    safetensors.torch.save_file(checkpoint.state, folder / "model.safetensors")
    return {"architecture": checkpoint.architecture}


def _call(
    module: str, function: str, model: str, options: Mapping[str, Any]
) -> Callable[[Checkpoint, Path, Running], Mapping[str, Any]]:
    """Return a writer that calls module.function(architecture, state, path); imported then, for its libraries are large."""

    def write(checkpoint: Checkpoint, folder: Path, _running: Running) -> Mapping[str, Any]:
        exporter = getattr(import_module(f"samples.resnet152.{module}"), function)
        exporter(checkpoint.architecture, checkpoint.state, folder / model)
        return options

    return write


FORMATS: Mapping[FormatName, Format] = {
    "onnx": Format("onnx", "model.onnx", _write_onnx),
    "torch": Format("torch", "model.safetensors", _write_state, on_gpu=True),
    "torchscript": Format("torch", "model.pt", _call("export_torch", "write_torchscript", "model.pt", {}), on_gpu=True),
    "exported": Format("torch", "model.pt2", _call("export_torch", "write_exported", "model.pt2", {}), on_gpu=True),
    "tensorflow": Format(
        "tensorflow", "model", _call("keras_network", "write_saved_model", "model", {}), layout="NHWC"
    ),
    "keras": Format("keras", "model.keras", _call("keras_network", "write_keras", "model.keras", {}), layout="NHWC"),
}
