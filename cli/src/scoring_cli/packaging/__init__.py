"""Models of every framework as files and manifest fields of an artifact. Each framework is imported only when its model is packed.

`pack` takes what a training script has in its hands, or a file that it has saved. Above it, `commands/package.py`.
"""

import importlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

from scoring_cli.errors import InputInvalid
from scoring_runtime.tensors import Signature


@dataclass(frozen=True)
class Packed:
    """What of an artifact follows from the model: its format, its files by their names, and fields of the manifest."""

    format: str
    model: str
    files: Mapping[str, bytes | Path]
    fields: Mapping[str, Any] = field(default_factory=dict)
    note: str | None = None


@dataclass(frozen=True)
class Hints:
    """What the user says of a model beside the model itself."""

    methods: tuple[str, ...] = ()
    """Of an estimator: what is asked of it."""

    architecture: str | None = None
    """Of a torch module: its name in torchvision.models."""

    signature: Signature | None = None
    """Of the tensors that it takes and gives."""

    example: Any = None
    """The `input` of a request of the task prediction."""

    is_answer_given: bool = False
    """The user knows the answer to the example: an estimator in memory is not asked for it."""

    as_joblib: bool = False
    """Save an estimator as joblib does, which loads any type, and runs code."""


FRAMEWORKS = {
    "sklearn": "estimators",
    "lightgbm": "estimators",
    "torch": "networks",
    "keras": "keras_models",
}
"""Module here that packs objects whose class, or one of its bases, is of a package."""

FORMATS = {
    ".skops": "sklearn",
    ".joblib": "sklearn",
    ".pkl": "sklearn",
    ".pickle": "sklearn",
    ".safetensors": "torch",
    ".pt": "torch",
    ".pth": "torch",
    ".pt2": "torch",
    ".ts": "torch",
    ".keras": "keras",
    ".onnx": "onnx",
}
"""Format of a file that is packed as it is, by its ending."""


def pack(model: object, hints: Hints) -> Packed:
    """Return a model in memory, or the path of a file, as files. Raises InputInvalid when it cannot be packed."""
    if isinstance(model, Path):
        return pack_file(model, hints)
    roots = [base.__module__.partition(".")[0] for base in type(model).__mro__]
    name = next((FRAMEWORKS[root] for root in roots if root in FRAMEWORKS), None)
    if name is None and hasattr(model, "predict"):
        name = "estimators"
    if name is None:
        raise InputInvalid(
            f"A {type(model).__module__}.{type(model).__qualname__} cannot be packed: give a scikit-learn estimator, a torch or Keras "
            "module, or a file of one; serve other code as format python (docs/formats.md)."
        )
    packed: Packed = load_packer(name).pack(model, hints)
    return packed


def load_packer(name: str) -> ModuleType:
    """Return a module here. Raises InputInvalid, naming the package that it needs, when that is not installed."""
    try:
        return importlib.import_module(f"scoring_cli.packaging.{name}")
    except ModuleNotFoundError as error:
        raise InputInvalid(
            f"Packing this needs the package {error.name}, which is not installed here: pip install {error.name}."
        ) from error


def pack_file(path: Path, hints: Hints) -> Packed:
    """Return a saved model as it is: nothing of it is loaded, and so no code of it runs."""
    suffix = path.suffix.lower()
    found = FORMATS.get(suffix)
    if found is None:
        raise InputInvalid(
            f"{path.name}: the ending is none of {', '.join(FORMATS)}: save the model as one of these, or name its object."
        )
    options: dict[str, Any] = {"methods": list(hints.methods)} if hints.methods else {}
    options |= {"architecture": hints.architecture} if hints.architecture else {}
    fields = {"options": options} if options else {}
    files: dict[str, bytes | Path] = {path.name: path}
    if found == "onnx":
        files |= load_packer("onnx_files").list_external_files(path)
    note = None
    if suffix in {".joblib", ".pkl", ".pickle"}:
        note = f"{path.name} can run code when it is loaded; a .skops file cannot: name the estimator itself, as module:attribute, to get one."
    return Packed(found, path.name, files, fields, note)
