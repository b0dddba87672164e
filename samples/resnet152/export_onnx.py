"""Writes a torchvision network as ONNX, and finds the engine that runs it fastest on this machine. Used by formats.py.

The weights lie in a file beside the model: ONNX Runtime maps that instead of copying it, which halves the memory it needs.
"""

import os
import platform
import warnings
from pathlib import Path
from typing import Any, Literal

import numpy as np
import onnx
import torch
from torch import nn

from samples.resnet152.checkpoint import Checkpoint, PackagingError
from scoring_runtime.scorers import ModelSource
from scoring_runtime.scorers.onnx import OnnxScorer

Engine = Literal["auto", "onnxruntime", "openvino"]

MODEL = "model.onnx"
WEIGHTS = "model.weights"
INPUT = "image"
OUTPUT = "logits"
OPSET = 17
# Smaller tensors stay in the model's own file.
MAPPED_BYTES = 1024
SIZE = 224


def write_onnx(checkpoint: Checkpoint, folder: Path, size: int = SIZE) -> None:
    """Write `model.onnx` and `model.weights` into `folder`: `size` x `size` images (n, 3, size, size) in, logits out.

    Batch normalisation is folded into the convolutions. The same weights give the same bytes.
    """
    _export(checkpoint.build_network(), size, folder / MODEL)
    onnx.save_model(
        onnx.load(folder / MODEL),
        folder / MODEL,
        save_as_external_data=True,
        all_tensors_to_one_file=True,
        location=WEIGHTS,
        size_threshold=MAPPED_BYTES,
    )


def choose_engine(engine: Engine, folder: Path, size: int = SIZE) -> dict[str, Any]:
    """Return the scorer's options for the model in `folder`: the engine, and for `auto` what was measured to find it.

    Raises PackagingError when the engine cannot run it.
    """
    if engine != "auto":
        return {"engine": engine}
    threads = len(os.sched_getaffinity(0))
    scorer = OnnxScorer()
    scorer.load(ModelSource(folder / MODEL, folder, {"engine": "auto"}, threads=threads))
    scorer.score({INPUT: np.zeros((1, 3, size, size), np.float32)})
    report = scorer.report
    if report.get("refused"):
        raise PackagingError(f"An engine was refused: {report['refused']}. Name one: --engine onnxruntime.")
    measured = {"milliseconds": report["milliseconds"], "threads": threads, "machine": _describe_machine()}
    return {"engine": report["engine"], "measured": measured}


def _export(network: nn.Module, size: int, path: Path) -> None:
    axes = {INPUT: {0: "items"}, OUTPUT: {0: "items"}}
    with warnings.catch_warnings():
        # The newer exporter needs another package (onnxscript) and gives the same graph.
        warnings.filterwarnings("ignore", "You are using the legacy TorchScript-based ONNX export", DeprecationWarning)
        warnings.filterwarnings("ignore", "The feature will be removed", DeprecationWarning)
        torch.onnx.export(
            network,
            (torch.zeros(1, 3, size, size),),
            path,
            dynamo=False,
            input_names=[INPUT],
            output_names=[OUTPUT],
            dynamic_axes=axes,
            opset_version=OPSET,
        )


def _describe_machine() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()
