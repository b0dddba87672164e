"""Scorer of PyTorch models: a state dict (.safetensors, .pt, .pth) in an architecture of torchvision.models."""

import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torchvision
from numpy.typing import NDArray
from safetensors.torch import load_file

from scoring_runtime.errors import ManifestInvalidError, ModelInvalidError, OutOfMemoryError
from scoring_runtime.scorers import ModelSource

State = Mapping[str, torch.Tensor]
SHOWN_KEYS = 3


class TorchScorer:
    """A network in eval mode, on the GPU where there is one; a batch is a float tensor (n, channels, height, width)."""

    model: Any = None

    def __init__(self) -> None:
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")

    def load(self, source: ModelSource) -> None:
        """Build the architecture and fill it. Raises ManifestInvalidError, ModelInvalidError or OutOfMemoryError."""
        torch.set_num_threads(source.threads)
        model = _build_network(str(source.parameters.get("architecture")), source.classes)
        _fill_network(model, _read_state(source.path))
        try:
            self.model = model.to(self.device).eval()
        except torch.OutOfMemoryError as error:
            raise OutOfMemoryError(
                f"The model does not fit into the memory of {self.device}: use a larger GPU."
            ) from error

    def score(self, batch: torch.Tensor) -> NDArray[np.float32]:
        """Return the probabilities of the batch: shape (items, classes), each row adds up to 1."""
        with torch.inference_mode():
            outputs = self.model(batch.to(self.device))
            probabilities: NDArray[np.float32] = torch.softmax(outputs, dim=1).cpu().numpy()
        return probabilities


def _build_network(architecture: str, classes: int | None) -> torch.nn.Module:
    known = torchvision.models.list_models(module=torchvision.models)
    if architecture not in known:
        close = ", ".join(difflib.get_close_matches(architecture, known)) or "a name of torchvision.models"
        raise ManifestInvalidError(
            f"manifest.json: parameters.architecture: {architecture!r} is not known. Did you mean: {close}?"
        )
    options = {} if classes is None else {"num_classes": classes}
    # Without memory yet: the random start values would cost seconds and be thrown away.
    with torch.device("meta"):
        network: torch.nn.Module = torchvision.models.get_model(architecture, weights=None, **options)
    return network


def _read_state(path: Path) -> State:
    suffix = path.suffix.lower()
    if suffix == ".safetensors":
        return load_file(path)
    if suffix not in (".pt", ".pth"):
        raise ModelInvalidError(f"{path.name} is no PyTorch state dict: name it .safetensors, .pt or .pth.")
    state = torch.load(path, map_location="cpu", weights_only=True)
    if not isinstance(state, Mapping) or not all(isinstance(value, torch.Tensor) for value in state.values()):
        raise ModelInvalidError(
            f"{path.name} does not hold a state dict: save it with torch.save(model.state_dict(), path)."
        )
    return state


def _fill_network(network: torch.nn.Module, state: State) -> None:
    expected = network.state_dict()
    missing = [key for key in expected if key not in state]
    unexpected = [key for key in state if key not in expected]
    if missing or unexpected:
        raise ModelInvalidError(
            f"The weights are of another architecture: missing {_show(missing)}; unexpected {_show(unexpected)}."
        )
    wrong = [key for key in expected if expected[key].shape != state[key].shape]
    if wrong:
        key = wrong[0]
        raise ModelInvalidError(
            f"{len(wrong)} weights have another shape than architecture and labels ask for: {key} is "
            f"{tuple(state[key].shape)}, expected {tuple(expected[key].shape)}."
        )
    network.load_state_dict(state, assign=True)
    network.float()


def _show(keys: list[str]) -> str:
    if not keys:
        return "none"
    more = f" and {len(keys) - SHOWN_KEYS} more" if len(keys) > SHOWN_KEYS else ""
    return ", ".join(keys[:SHOWN_KEYS]) + more
