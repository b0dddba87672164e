"""Writes a torchvision network as ONNX, and finds the engine that runs it fastest on this machine. Used by formats.py.

The weights lie in a file beside the model: ONNX Runtime maps that instead of copying it, which halves the memory it needs.
"""

import os
import platform
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import onnx
import torch
from PIL import Image
from torch import Tensor, nn

from samples.resnet152.checkpoint import EXAMPLE, Checkpoint, PackagingError
from samples.resnet152.formats import Running
from scoring_runtime.errors import ManifestInvalidError
from scoring_runtime.scorers import ModelSource
from scoring_runtime.scorers.engines import OpenVinoEngine
from scoring_runtime.scorers.onnx import OnnxScorer

MODEL = "model.onnx"
WEIGHTS = "model.weights"
INPUT = "image"
OUTPUT = "logits"
OPSET = 17
# Smaller tensors stay in the model's own file.
MAPPED_BYTES = 1024
LOGIT_TOLERANCE = 0.1
"""In bfloat16 logits lie as far from float32's, which moves probabilities by a hundredth of that; those are what is judged here."""


def write_onnx(checkpoint: Checkpoint, folder: Path) -> None:
    """Write `model.onnx` and `model.weights` into `folder`: images (n, 3, size, size) of the weights' size in, logits out.

    Batch normalisation is folded into the convolutions. The same weights give the same bytes.
    """
    _export(checkpoint.build_network(), checkpoint.weights.transforms().crop_size[0], folder / MODEL)
    onnx.save_model(
        onnx.load(folder / MODEL),
        folder / MODEL,
        save_as_external_data=True,
        all_tensors_to_one_file=True,
        location=WEIGHTS,
        size_threshold=MAPPED_BYTES,
    )


def choose_engine(running: Running, checkpoint: Checkpoint, folder: Path) -> dict[str, Any]:
    """Return the scorer's options for the model in `folder`: engine and precision, and for `auto` what was measured to find them.

    Raises PackagingError when the engine cannot run it, or answers the example otherwise than torchvision does.
    """
    threads = len(os.sched_getaffinity(0))
    scorer = _load(running, folder, threads)
    example = _read_example(checkpoint)
    logits = torch.from_numpy(scorer.score({INPUT: example.numpy()})[OUTPUT])
    report = scorer.report
    refused = dict(report.get("refused", {}))
    if OpenVinoEngine.name in refused:
        raise PackagingError(f"An engine was refused: {refused}. Name one: --engine onnxruntime.")
    distance = _find_distance(checkpoint, example, logits)
    if distance > running.tolerance and running.precision == "auto" and report["precision"] != "float32":
        exact = choose_engine(replace(running, precision="float32"), checkpoint, folder)
        return {**exact, "measured": {**exact["measured"], "refused": {report["precision"]: _describe(distance)}}}
    if distance > running.tolerance:
        raise PackagingError(
            f"{report['engine']} in {report['precision']}: {_describe(distance)}. Give --tolerance, or choose otherwise."
        )
    chosen = {"engine": report["engine"], "precision": report["precision"]}
    if running.engine != "auto":
        return chosen
    measured = {"milliseconds": report["milliseconds"], "threads": threads, "machine": _describe_machine()}
    return {**chosen, "measured": measured | ({"refused": refused} if refused else {})}


def _load(running: Running, folder: Path, threads: int) -> OnnxScorer:
    """Return the model, its engine as wished or yet to be measured. Raises PackagingError."""
    options = {"engine": running.engine, "precision": running.precision, "tolerance": LOGIT_TOLERANCE}
    scorer = OnnxScorer()
    try:
        scorer.load(ModelSource(folder / MODEL, folder, options, threads=threads))
    except ManifestInvalidError as error:
        raise PackagingError(str(error).replace("manifest.json: options.", "--")) from error
    return scorer


def _find_distance(checkpoint: Checkpoint, example: Tensor, logits: Tensor) -> float:
    """Return how far the probabilities of logits lie from torchvision's own, at most."""
    with torch.inference_mode():
        expected = checkpoint.build_network()(example)
    return float((logits.softmax(1) - expected.softmax(1)).abs().max())


def _describe(distance: float) -> str:
    return f"its probabilities lie up to {distance:.2g} from torchvision's"


def _read_example(checkpoint: Checkpoint) -> Tensor:
    """Return the manifest's example as the model takes it: a precision is judged by what it answers to a real picture."""
    with Image.open(EXAMPLE) as picture:
        batch: Tensor = checkpoint.weights.transforms()(picture.convert("RGB")).unsqueeze(0)
    return batch


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
