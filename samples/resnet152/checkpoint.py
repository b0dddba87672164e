"""Where a classifier's weights come from, and what is asked of them. Below package.py and direct.py.

The weights are torchvision's pretrained ones, freshly initialised ones (for tests; their answers mean nothing) or a state
dict of one's own.
"""

import hashlib
import math
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path

import safetensors.torch
import torch
import torchvision
from PIL import Image
from torch import Tensor, nn
from torchvision.models import WeightsEnum
from torchvision.models.resnet import BasicBlock, Bottleneck

HERE = Path(__file__).resolve().parent
EXAMPLE = HERE / "example.jpg"
"""The manifest's example: the photograph, small."""

SEED = 0
RESIDUAL_SCALE = 0.1
LOGIT_DEVIATION = 3.0
MESSAGE_CHARACTERS = 500

State = dict[str, Tensor]


class PackagingError(Exception):
    """The artifact cannot be made; the message says why and what to do."""


@dataclass(frozen=True)
class Checkpoint:
    """A state dict that fits its architecture, and where its preprocessing is written down."""

    architecture: str
    version: str
    weights: WeightsEnum
    state: State

    def build_network(self) -> nn.Module:
        """Return torchvision's network with these weights, in evaluation mode: the reference for every answer."""
        network: nn.Module = torchvision.models.get_model(self.architecture, weights=None).eval()
        network.load_state_dict(self.state)
        return network


def find_weights(architecture: str, name: str) -> WeightsEnum:
    """Return torchvision's entry `name` (such as DEFAULT or IMAGENET1K_V1) of a classifier; nothing is downloaded."""
    if architecture not in torchvision.models.list_models(module=torchvision.models):
        raise PackagingError(f"{architecture!r} is not a classifier of torchvision.models; try resnet152 or resnet18.")
    entries = torchvision.models.get_model_weights(architecture)
    if name not in entries.__members__:
        known = ", ".join(entries.__members__)
        raise PackagingError(f"torchvision has no weights {name!r} of {architecture}; it has {known}.")
    return entries[name]


def read_checkpoint(source: str, architecture: str, weights: WeightsEnum) -> Checkpoint:
    """Return the checkpoint that `source` names: `pretrained`, `initialised`, or the path of a state dict."""
    if source == "pretrained":
        state, version = download_pretrained(weights), weights.name
    elif source == "initialised":
        state, version = initialise_state(architecture, weights), f"initialised-{SEED}"
    else:
        state, version = read_state(Path(source)), _digest(Path(source))[:12]
    return Checkpoint(architecture, version, weights, fit_state(architecture, state))


def download_pretrained(weights: WeightsEnum) -> State:
    """Return torchvision's published state dict, from its cache (`TORCH_HOME`) or the internet, its hash checked."""
    try:
        state: State = weights.get_state_dict(progress=False, check_hash=True)
    except (OSError, HTTPException, RuntimeError) as error:
        name = weights.url.rsplit("/", 1)[-1]
        raise PackagingError(
            f"Cannot get {weights.url}: {error}. Download it where the internet can be reached and give the file "
            f"(python -m samples.resnet152.package {name} …), or take 'initialised' for a test."
        ) from error
    return state


def initialise_state(architecture: str, weights: WeightsEnum) -> State:
    """Return a random state dict, the same for the same versions of torch and torchvision."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        model: nn.Module = torchvision.models.get_model(architecture, weights=None).eval()
    _soften_residuals(model)
    with Image.open(HERE / "photograph.jpg") as photograph:
        _spread_logits(model, weights.transforms()(photograph).unsqueeze(0))
    return model.state_dict()


def _soften_residuals(model: nn.Module) -> None:
    """Let shortcuts outweigh blocks: untrained, fifty full blocks give every picture the same order of classes."""
    for block in model.modules():
        if isinstance(block, Bottleneck):
            nn.init.constant_(block.bn3.weight, RESIDUAL_SCALE)
        elif isinstance(block, BasicBlock):
            nn.init.constant_(block.bn2.weight, RESIDUAL_SCALE)


@torch.no_grad()
def _spread_logits(model: nn.Module, batch: Tensor) -> None:
    """Scale the last layer so that the best classes of `batch` (1, 3, height, width) have distinct probabilities.

    The factor is a power of two: rounding errors of one machine or another do not change it.
    """
    deviation = model(batch).std().item()
    if not 0 < deviation < math.inf:
        raise PackagingError("An initialised model of this architecture cannot tell classes apart; give a checkpoint.")
    factor = 2.0 ** round(math.log2(LOGIT_DEVIATION / deviation))
    head = [layer for layer in model.modules() if isinstance(layer, nn.Linear | nn.Conv2d)][-1]
    for parameter in head.parameters():
        parameter.mul_(factor)


def read_state(path: Path) -> State:
    """Return the state dict in a `.safetensors`, `.pt` or `.pth` file; nothing in the file is run."""
    if path.suffix not in {".safetensors", ".pt", ".pth"}:
        raise PackagingError(f"{path}: give 'pretrained', 'initialised' or a .safetensors, .pt or .pth file.")
    try:
        if path.suffix == ".safetensors":
            return safetensors.torch.load_file(path)
        state: State = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise PackagingError(f"{path} does not exist.") from error
    except Exception as error:  # a damaged file makes torch's reader raise a dozen unrelated types
        raise PackagingError(f"{path} cannot be read as a state dict: {_shorten(error)}") from error
    return state


def fit_state(architecture: str, state: State) -> State:
    """Return `state` as the architecture itself holds it (names, shapes, types), or say why it does not fit."""
    if not isinstance(state, Mapping) or not all(isinstance(value, Tensor) for value in state.values()):
        raise PackagingError("The file holds something other than a state dict: save model.state_dict() alone.")
    model: nn.Module = torchvision.models.get_model(architecture, weights=None)
    try:
        model.load_state_dict(state)
    except RuntimeError as error:
        raise PackagingError(f"The state dict does not fit {architecture}: {_shorten(error)}") from error
    fitted: State = model.state_dict()
    broken = [name for name, tensor in fitted.items() if not torch.isfinite(tensor).all()]
    if broken:
        raise PackagingError(f"The state dict has values that are not finite numbers, first in {broken[0]}.")
    return fitted


def _shorten(error: Exception) -> str:
    return textwrap.shorten(str(error), MESSAGE_CHARACTERS, placeholder=" …")


def _digest(path: Path) -> str:
    with path.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()
