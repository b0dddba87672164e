"""Options of the format `torch`, and the plan that follows from them, the kind of file and the device. For torch.py."""

import os
from dataclasses import dataclass
from shutil import which
from typing import Literal

import structlog
import torch
from pydantic import BaseModel, ConfigDict, Field, PositiveInt
from pydantic.alias_generators import to_camel

from scoring_runtime.errors import ManifestInvalidError
from scoring_runtime.scorers.torch_device import PRECISIONS, warn_of_slow_precision
from scoring_runtime.scorers.torch_files import Kind

Compile = Literal["none", "cuda-graphs", "compile"]

# What torch.compile builds with, and the environment variable that names another: C++ for a CPU, C for a GPU.
_COMPILERS = {"cpu": ("CXX", "c++", "g++", "clang++"), "cuda": ("CC", "cc", "gcc", "clang")}

_logger = structlog.stdlib.get_logger(__name__)


class TorchOptions(BaseModel):
    """Options of the format `torch`. `architecture` and `precision` are for state dicts alone: other files hold their own.

    `batch_sizes` are those that a network is recorded or compiled at before it is ready. Without `compile`, state dicts
    are recorded as CUDA graphs on a GPU; what else a file holds may be no network that can be.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", alias_generator=to_camel)

    kind: Kind | None = None
    architecture: str | None = None
    precision: Literal["float32", "bfloat16", "float16"] = "float32"
    compile: Compile | None = None
    batch_sizes: tuple[PositiveInt, ...] = Field(default=(1, 2, 4, 8), min_length=1)
    channels_last: bool = True


@dataclass(frozen=True)
class Plan:
    """How a network is run: on which device, converted to which precision (None: as it is), recorded how."""

    device: torch.device
    precision: torch.dtype | None
    compile: Compile
    batch_sizes: tuple[int, ...]
    channels_last: bool


def make_plan(options: TorchOptions, kind: Kind, device: torch.device) -> Plan:
    """Return the plan. Raises ManifestInvalidError for an option that cannot be followed; warns of a slow one."""
    precision = PRECISIONS[options.precision] if kind == "state-dict" else None
    if kind != "state-dict":
        _check_program(options)
    elif precision is not None:
        warn_of_slow_precision(device, precision)
    compiling = _choose_compile(options.compile, kind, device)
    return Plan(device, precision, compiling, options.batch_sizes, options.channels_last)


def _check_program(options: TorchOptions) -> None:
    if options.architecture is not None:
        raise ManifestInvalidError(
            "manifest.json: options.architecture: the model file holds its own: leave architecture out."
        )
    if options.precision != "float32":
        raise ManifestInvalidError(
            f"manifest.json: options.precision: the model file keeps the one it was saved in: save it in "
            f"{options.precision}, and leave precision out."
        )


def _choose_compile(wanted: Compile | None, kind: Kind, device: torch.device) -> Compile:
    if wanted is None:
        return "cuda-graphs" if device.type == "cuda" and kind == "state-dict" else "none"
    if wanted == "cuda-graphs" and device.type != "cuda":
        _logger.warning("CUDA graphs need a GPU: the network is run without them")
        return "none"
    if wanted == "compile":
        _check_compilable(kind, device)
    return wanted


def _check_compilable(kind: Kind, device: torch.device) -> None:
    if kind == "torchscript":
        raise ManifestInvalidError(
            "manifest.json: options.compile: a TorchScript file is compiled already: set compile to none or cuda-graphs."
        )
    variable, *names = _COMPILERS[device.type]
    if not any(which(name) for name in (os.environ.get(variable), *names) if name):
        raise ManifestInvalidError(
            "manifest.json: options.compile: torch.compile needs a compiler, which this image lacks: set compile to none "
            "or cuda-graphs, or build an image of your own with gcc."
        )
