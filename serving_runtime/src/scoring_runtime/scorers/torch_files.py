"""Files of PyTorch models, and the networks made of them: state dicts, TorchScript, exported programs. For torch.py.

What differs is how much a file may do: a state dict is read as numbers alone, whereas TorchScript and exported programs
are programs. For those, artifacts/retrieval.py asks for a digest by the file's suffix, so that only the suffixes here are opened.
"""

import difflib
import warnings
import zipfile
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path, PurePosixPath
from typing import Any, Literal

import torch
from safetensors.torch import load_file
from torch.export.passes import move_to_device_pass

from scoring_runtime.errors import ManifestInvalidError, ModelInvalidError

Kind = Literal["state-dict", "torchscript", "exported"]
State = Mapping[str, torch.Tensor]

SHOWN_KEYS = 3
_SAFE_SUFFIX = ".safetensors"
_SUFFIXES: dict[Kind, tuple[str, ...]] = {
    "state-dict": (_SAFE_SUFFIX, ".pt", ".pth"),
    "torchscript": (".ts", ".pt", ".pth"),
    "exported": (".pt2",),
}
# Files that only an archive of this kind has, at its top or one folder below.
_MARKS: dict[str, Kind] = {"constants.pkl": "torchscript", "archive_format": "exported"}
_MARK_DEPTH = 2


def find_kind(path: Path, wanted: Kind | None = None) -> Kind:
    """Return what the file is: as wanted, or as it looks. Raises ModelInvalidError for a suffix that fits neither."""
    kind = wanted or _recognise(path)
    if path.suffix.lower() not in _SUFFIXES[kind]:
        raise ModelInvalidError(f"{path.name} is no {_describe(kind)}: name it {', '.join(_SUFFIXES[kind])}.")
    return kind


def read_state(path: Path) -> State:
    """Return a state dict without running code of the file. Raises ModelInvalidError when it holds something else."""
    if path.suffix.lower() == _SAFE_SUFFIX:
        return load_file(path)
    state = torch.load(path, map_location="cpu", weights_only=True)
    if not isinstance(state, Mapping) or not all(isinstance(value, torch.Tensor) for value in state.values()):
        raise ModelInvalidError(
            f"{path.name} does not hold a state dict: save it with torch.save(model.state_dict(), path)."
        )
    return state


def build_network(architecture: str | None, classes: int | None) -> torch.nn.Module:
    """Return an architecture of torchvision.models without memory for its weights. Raises ManifestInvalidError."""
    # Only state dicts need it, and importing it takes a good part of a start.
    models: Any = import_module("torchvision.models")
    known = models.list_models(module=models)
    if architecture not in known:
        close = ", ".join(difflib.get_close_matches(architecture or "", known)) or "a name of torchvision.models"
        problem = "is missing" if architecture is None else f"{architecture!r} is not known"
        raise ManifestInvalidError(f"manifest.json: options.architecture: {problem}. Did you mean: {close}?")
    options = {} if classes is None else {"num_classes": classes}
    # The random start values would cost seconds and be thrown away.
    with torch.device("meta"):
        network: torch.nn.Module = models.get_model(architecture, weights=None, **options)
    return network


def fill_network(network: torch.nn.Module, state: State) -> None:
    """Give the network its weights, in float32. Raises ModelInvalidError, naming the keys or shapes that do not fit."""
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


def load_torchscript(path: Path, device: torch.device) -> torch.nn.Module:
    """Return a TorchScript module on the device, in eval mode."""
    with warnings.catch_warnings():
        # Deprecated in favour of torch.export, which is served too; the files are still there to be served.
        warnings.filterwarnings("ignore", r"`torch\.jit\.load` is deprecated")
        module: torch.nn.Module = torch.jit.load(path, map_location=device)  # type: ignore[no-untyped-call]
    # A frozen module has no mode any more: it was frozen in eval mode.
    return module.eval() if hasattr(module, "training") else module


def load_exported(path: Path, device: torch.device) -> torch.nn.Module:
    """Return an exported program as a module on the device."""
    program = move_to_device_pass(torch.export.load(path), str(device))
    return program.module()


def _recognise(path: Path) -> Kind:
    if not zipfile.is_zipfile(path):
        return "state-dict"
    with zipfile.ZipFile(path) as archive:
        names = [PurePosixPath(name) for name in archive.namelist()]
    kinds = [_MARKS[name.name] for name in names if name.name in _MARKS and len(name.parts) <= _MARK_DEPTH]
    return kinds[0] if kinds else "state-dict"


def _describe(kind: Kind) -> str:
    return {"state-dict": "state dict", "torchscript": "TorchScript file", "exported": "exported program"}[kind]


def _show(keys: list[str]) -> str:
    if not keys:
        return "none"
    more = f" and {len(keys) - SHOWN_KEYS} more" if len(keys) > SHOWN_KEYS else ""
    return ", ".join(keys[:SHOWN_KEYS]) + more
