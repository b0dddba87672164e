"""Writes a torchvision network as a program of its own: TorchScript, or an exported program. Used by package.py.

Of ResNet-152's files, TorchScript is served soonest: 8 s of CPU time to the first answer, 11 s from a state dict, whose
import of torchvision takes 5 s, and 16 s from an exported program.
"""

import warnings
from collections.abc import Mapping
from pathlib import Path

import torch
import torchvision
from torch import Tensor, nn

EXAMPLE_PIXELS = 224
# More than one, lest the exported program takes a batch of one for the only size there is.
EXAMPLE_ITEMS = 2
LARGEST_BATCH = 1024


def write_torchscript(architecture: str, state: Mapping[str, Tensor], path: Path) -> None:
    """Write the network as frozen TorchScript (`.pt`): batch normalisation is folded into the convolutions.

    Its answers differ from the network's own by rounding alone, for any batch size.
    """
    with warnings.catch_warnings():
        # Deprecated in favour of torch.export, below; the format is what many people still have.
        warnings.filterwarnings("ignore", r"`torch\.jit\.\w+` is deprecated")
        traced = torch.jit.trace(_build_network(architecture, state), _make_example())  # type: ignore[no-untyped-call]
        torch.jit.freeze(traced).save(str(path))


def write_exported(architecture: str, state: Mapping[str, Tensor], path: Path) -> None:
    """Write the network as an exported program (`.pt2`), for batches of 1 to 1024 images; its answers are the network's own."""
    items = torch.export.Dim("items", min=1, max=LARGEST_BATCH)
    program = torch.export.export(
        _build_network(architecture, state), (_make_example(),), dynamic_shapes=({0: items},), strict=False
    )
    torch.export.save(program, path)


def _build_network(architecture: str, state: Mapping[str, Tensor]) -> nn.Module:
    with torch.device("meta"):
        network: nn.Module = torchvision.models.get_model(architecture, weights=None)
    network.load_state_dict(state, assign=True)
    return network.eval()


def _make_example() -> Tensor:
    return torch.zeros(EXAMPLE_ITEMS, 3, EXAMPLE_PIXELS, EXAMPLE_PIXELS)
