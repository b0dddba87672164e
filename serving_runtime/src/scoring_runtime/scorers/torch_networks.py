"""Networks as the scorer runs them: from the arrays of a task to named outputs that numpy knows. For torch.py.

They are modules, so that what comes before and after the network is compiled or recorded with it.
"""

from collections.abc import Mapping, Sequence
from typing import TypeAlias

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from scoring_runtime.errors import ManifestInvalidError
from scoring_runtime.manifest import Preprocessing
from scoring_runtime.scorers.torch_batches import Outputs
from scoring_runtime.tensors import Signature, TensorSpec

_WHITE = 255
_IMAGE_AXES = 4
_HALVES = (torch.float16, torch.bfloat16)

RawOutputs: TypeAlias = torch.Tensor | Sequence[torch.Tensor] | Mapping[str, torch.Tensor]


class TensorNetwork(nn.Module):
    """A network that takes tensors in the signature's order and gives those that the signature names."""

    def __init__(
        self, network: nn.Module, signature: Signature, precision: torch.dtype | None, channels_last: bool
    ) -> None:
        super().__init__()
        self._network = network
        self._specs = signature.outputs
        self._precision = precision
        self._channels_last = channels_last

    def forward(self, *inputs: torch.Tensor) -> Outputs:
        """Return the named outputs. Raises ManifestInvalidError when the network has others."""
        return name_outputs(self._network(*(self._convert(tensor) for tensor in inputs)), self._specs)

    def _convert(self, tensor: torch.Tensor) -> torch.Tensor:
        if self._precision is not None and tensor.is_floating_point():
            tensor = tensor.to(self._precision)
        if self._channels_last and tensor.dim() == _IMAGE_AXES:
            tensor = tensor.contiguous(memory_format=torch.channels_last)
        return tensor


class ImageNetwork(nn.Module):
    """A network that takes pixels as they are decoded: uint8 (n, height, width, 3), normalised where the network runs.

    A quarter of the bytes travels to the device. The values are torchvision's, (pixel / 255 - mean) / std, within 1e-6.
    """

    def __init__(
        self, network: nn.Module, preprocessing: Preprocessing, precision: torch.dtype | None, channels_last: bool
    ) -> None:
        super().__init__()
        mean, std = (torch.tensor(colour, dtype=torch.float64) for colour in (preprocessing.mean, preprocessing.std))
        self._network = network
        self._precision = precision or torch.float32
        self._channels_last = channels_last
        self._scale = nn.Buffer((1 / (_WHITE * std)).float())
        self._offset = nn.Buffer((-mean / std).float())

    def forward(self, pixels: torch.Tensor) -> Outputs:
        """Return the network's only output in float32, such as the classes' logits: (n, classes)."""
        return {
            name: tensor.float() for name, tensor in name_outputs(self._network(self.normalise(pixels)), ()).items()
        }

    def normalise(self, pixels: torch.Tensor) -> torch.Tensor:
        """Return the network's input, (n, 3, height, width): computed in float32, then rounded to the precision."""
        numbers = pixels.float().mul_(self._scale).add_(self._offset).to(self._precision)
        # Seen as (n, 3, height, width), the memory of (n, height, width, 3) is what PyTorch calls channels_last.
        planes = numbers.permute(0, 3, 1, 2)
        return planes if self._channels_last else planes.contiguous()


def convert_network(network: nn.Module, precision: torch.dtype, channels_last: bool) -> None:
    """Convert weights in place; batch normalisation stays float32, since its statistics suffer most from rounding."""
    for module in network.modules():
        if not isinstance(module, _BatchNorm):
            _convert_own(module, precision)
    if channels_last:
        network.to(memory_format=torch.channels_last)


def name_outputs(raw: RawOutputs, specs: Sequence[TensorSpec]) -> Outputs:
    """Return a network's outputs by name: tensor, tuple or mapping; halves as float32 unless the signature says FP16.

    Without specs they are named `output`, or `output_0` and so on. Raises ManifestInvalidError when specs do not fit.
    """
    named = dict(raw) if isinstance(raw, Mapping) else _name_in_order(raw, specs)
    wanted = {spec.name: spec.datatype for spec in specs} or dict.fromkeys(named)
    absent = [name for name in wanted if name not in named]
    if absent:
        raise ManifestInvalidError(
            f"manifest.json: signature.outputs: {absent[0]!r} is no output of the network, which has {', '.join(named)}."
        )
    return {name: _widen(named[name], datatype == "FP16") for name, datatype in wanted.items()}


def _name_in_order(raw: torch.Tensor | Sequence[torch.Tensor], specs: Sequence[TensorSpec]) -> dict[str, torch.Tensor]:
    tensors = [raw] if isinstance(raw, torch.Tensor) else list(raw)
    if not specs:
        return {"output" if len(tensors) == 1 else f"output_{index}": item for index, item in enumerate(tensors)}
    if len(specs) != len(tensors):
        raise ManifestInvalidError(
            f"manifest.json: signature.outputs: the network gives {len(tensors)} tensors, {len(specs)} are named: "
            "name each, in their order."
        )
    return {spec.name: tensor for spec, tensor in zip(specs, tensors, strict=True)}


def _widen(tensor: torch.Tensor, to_half: bool) -> torch.Tensor:
    if tensor.dtype not in _HALVES:
        return tensor
    return tensor.to(torch.float16 if to_half else torch.float32)


def _convert_own(module: nn.Module, precision: torch.dtype) -> None:
    for parameter in module.parameters(recurse=False):
        parameter.data = parameter.data.to(precision)
    for name, buffer in module.named_buffers(recurse=False):
        if buffer.is_floating_point():
            setattr(module, name, buffer.to(precision))
