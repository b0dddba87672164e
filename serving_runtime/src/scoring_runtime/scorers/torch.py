"""Scorer of PyTorch models: state dicts of torchvision's architectures, TorchScript files and exported programs.

What is read stands in torch_files.py, what is decided in torch_plan.py, and how it is run in torch_networks.py,
torch_batches.py and torch_device.py.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from scoring_runtime.errors import InvalidInputError, ManifestInvalidError
from scoring_runtime.manifest import Preprocessing
from scoring_runtime.scorers import ModelSource, read_options
from scoring_runtime.scorers import torch_files as files
from scoring_runtime.scorers.torch_batches import (
    CudaGraphRecorder,
    DirectRunner,
    Forward,
    RecordedRunner,
    Recorder,
    Runner,
    record_call,
)
from scoring_runtime.scorers.torch_device import choose_device, describe_device, guard_loading, guard_scoring
from scoring_runtime.scorers.torch_networks import ImageNetwork, TensorNetwork, convert_network
from scoring_runtime.scorers.torch_plan import Plan, TorchOptions, make_plan
from scoring_runtime.tensors import ANY_SIZE, Signature, Tensor, Tensors, TensorSpec

_GUARD_FAILED = "Guard failed"
"""How torch begins what it says of a size that an exported program does not take."""


class TorchScorer:
    """A network in eval mode, on the GPU where there is one."""

    model: Any = None
    signature: Signature | None = None
    report: Mapping[str, Any] = {}

    def __init__(self) -> None:
        self._device = choose_device()
        self._plan = Plan(self._device, None, "none", (1,), channels_last=True)
        self._tensor_runner: Runner | None = None
        self._image_runners: dict[Preprocessing, Runner] = {}

    def load(self, source: ModelSource) -> None:
        """Read the file and put its network on the device.

        Raises ManifestInvalidError, ModelInvalidError, OutOfMemoryError or DeviceLostError.
        """
        options = read_options(source, TorchOptions)
        torch.set_num_threads(source.threads)
        kind = files.find_kind(source.path, options.kind)
        self._plan = make_plan(options, kind, self._device)
        with guard_loading(self._device):
            self.model = _load_network(source, options, kind, self._plan)
        self.signature = source.signature or _find_signature(kind, source.classes)
        if self.signature is not None:
            _check_signature(self.signature)
            network = TensorNetwork(self.model, self.signature, self._plan.precision, self._plan.channels_last)
            self._tensor_runner = _create_runner(network, self._plan)
        self.report = {
            "device": describe_device(self._device),
            "file": kind,
            "precision": options.precision if kind == "state-dict" else "of the file",
            "compile": self._plan.compile,
        }

    def score(self, batch: Tensors) -> Tensors:
        """Return the outputs that the signature names. Raises OverloadedError, DeviceLostError, ManifestInvalidError, InvalidInputError."""
        if self._tensor_runner is None or self.signature is None:
            raise ManifestInvalidError(
                "manifest.json: signature is missing, and this file does not tell it: name the inputs in the order "
                "in which the network takes them, and the outputs."
            )
        return self._run(self._tensor_runner, [batch[spec.name] for spec in self.signature.inputs])

    def score_images(self, pixels: NDArray[np.uint8], preprocessing: Preprocessing) -> NDArray[np.float32]:
        """Return the network's raw outputs, float32 (n, classes), of images of one size: (n, height, width, 3), 0 to 255.

        Raises OverloadedError, DeviceLostError, ManifestInvalidError.
        """
        if preprocessing not in self._image_runners:
            network = ImageNetwork(self.model, preprocessing, self._plan.precision, self._plan.channels_last)
            self._image_runners[preprocessing] = _create_runner(network.to(self._device), self._plan)
        outputs = list(self._run(self._image_runners[preprocessing], [pixels]).values())
        if len(outputs) != 1:
            raise ManifestInvalidError(
                f"manifest.json: task: the network gives {len(outputs)} tensors, of which image-classification does not "
                "know the classes: give a network with one output, or take the task prediction."
            )
        return outputs[0]

    def _run(self, runner: Runner, arrays: list[Tensor]) -> Tensors:
        with torch.inference_mode(), guard_scoring(self._device, len(arrays[0])):
            try:
                return runner(arrays)
            except AssertionError as error:
                # What an exported program asks of sizes that the signature leaves open.
                if not str(error).startswith(_GUARD_FAILED):
                    raise
                raise InvalidInputError(f"The model does not take tensors of these sizes: {error}") from error


def _load_network(source: ModelSource, options: TorchOptions, kind: files.Kind, plan: Plan) -> torch.nn.Module:
    if kind == "torchscript":
        return files.load_torchscript(source.path, plan.device)
    if kind == "exported":
        return files.load_exported(source.path, plan.device)
    network = files.build_network(options.architecture, source.classes)
    files.fill_network(network, files.read_state(source.path))
    convert_network(network, plan.precision or torch.float32, plan.channels_last)
    return network.to(plan.device).eval()


def _find_signature(kind: files.Kind, classes: int | None) -> Signature | None:
    """Return the signature of a network for images: torchvision's are, and whatever has classes; None for others."""
    if kind != "state-dict" and classes is None:
        return None
    images = TensorSpec(name="image", datatype="FP32", shape=(ANY_SIZE, 3, ANY_SIZE, ANY_SIZE))
    logits = TensorSpec(name="output", datatype="FP32", shape=(ANY_SIZE, classes or ANY_SIZE))
    return Signature(inputs=(images,), outputs=(logits,))


def _check_signature(signature: Signature) -> None:
    for spec in (*signature.inputs, *signature.outputs):
        if spec.datatype == "BYTES":
            raise ManifestInvalidError(
                f"manifest.json: signature: {spec.name!r} is BYTES, of which PyTorch has no tensors: let the client send numbers."
            )


def _create_runner(network: torch.nn.Module, plan: Plan) -> Runner:
    recorder = _choose_recorder(plan)
    if recorder is None:
        return DirectRunner(network, plan.device)
    # With batches of few sizes it pays to try which algorithm is fastest for each.
    torch.backends.cudnn.benchmark = plan.device.type == "cuda"
    return RecordedRunner(network, plan.device, plan.batch_sizes, recorder)


def _choose_recorder(plan: Plan) -> Recorder | None:
    if plan.compile == "none":
        return None
    record: Recorder = CudaGraphRecorder() if plan.device.type == "cuda" else record_call
    return record if plan.compile == "cuda-graphs" else _compile_before(record)


def _compile_before(record: Recorder) -> Recorder:
    # The sizes are few and fixed: kernels for any size would be slower.
    return lambda forward, inputs: record(_compile(forward), inputs)


def _compile(forward: Forward) -> Forward:
    compiled: Forward = torch.compile(forward, dynamic=False)
    return compiled
