"""Packages ResNet-152 (or another torchvision classifier) as an artifact of the serving runtime: one `.tar`.

Run by hand, before a ScoringModel is applied. The weights are torchvision's pretrained ones, freshly initialised ones
(for tests; their answers mean nothing) or a state dict of your own. What the archive holds: docs/runtime-contract.md.
"""

import base64
import hashlib
import io
import json
import math
import tarfile
import tempfile
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import Annotated, Any, Literal

import safetensors.torch
import torch
import torchvision
import typer
import yaml
from PIL import Image
from safetensors import SafetensorError
from torch import Tensor, nn
from torchvision.models import WeightsEnum
from torchvision.models.resnet import BasicBlock, Bottleneck

HERE = Path(__file__).resolve().parent
SEED = 0
TOP = 3
EXAMPLE_PIXELS = 64
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
        state, version = read_state(Path(source)), _file_digest(Path(source))[:12]
    return Checkpoint(architecture, version, weights, fit_state(architecture, state))


def download_pretrained(weights: WeightsEnum) -> State:
    """Return torchvision's published state dict, from its cache (`TORCH_HOME`) or the internet, its hash checked."""
    try:
        state: State = weights.get_state_dict(progress=False, check_hash=True)
    except (OSError, HTTPException, RuntimeError) as error:
        name = weights.url.rsplit("/", 1)[-1]
        raise PackagingError(
            f"Cannot get {weights.url}: {error}. Download it where the internet can be reached and give the file "
            f"(package.py {name}), or take 'initialised' for a test."
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


def describe_preprocessing(weights: WeightsEnum) -> dict[str, Any]:
    """Return the contract's `preprocessing` (sizes in pixels), read from the weights' own transforms."""
    preset = weights.transforms()
    return {
        "resizeSize": preset.resize_size[0],
        "cropSize": preset.crop_size[0],
        "interpolation": preset.interpolation.value,
        "antialias": bool(preset.antialias),
        "mean": list(preset.mean),
        "std": list(preset.std),
    }


def render_manifest(checkpoint: Checkpoint) -> dict[str, Any]:
    """Return the `manifest.json` of an image classifier, as docs/runtime-contract.md has it."""
    return {
        "name": checkpoint.architecture,
        "version": checkpoint.version,
        "format": "torch",
        "task": "image-classification",
        "model": "model.safetensors",
        "parameters": {
            "architecture": checkpoint.architecture,
            "labels": "labels.txt",
            "top": TOP,
            "preprocessing": describe_preprocessing(checkpoint.weights),
        },
        "example": {"input": {"image": draw_example()}},
    }


def draw_example() -> str:
    """Return a small colourful JPEG, base64: the request that warms the model up."""
    ramp = Image.linear_gradient("L")
    image = Image.merge("RGB", (ramp, ramp.rotate(90), Image.radial_gradient("L")))
    jpeg = io.BytesIO()
    image.resize((EXAMPLE_PIXELS, EXAMPLE_PIXELS)).save(jpeg, "JPEG")
    return base64.b64encode(jpeg.getvalue()).decode()


def render_scoring_model(template: Path, architecture: str, digest: str) -> str:
    """Return the sample ScoringModel in `template` as YAML, with the archive's place on the volume and its digest."""
    manifest = yaml.safe_load(template.read_text(encoding="utf-8"))
    manifest["metadata"]["name"] = architecture.replace("_", "-")
    manifest["spec"]["model"] |= {"uri": f"pvc://models/{architecture}/{architecture}.tar", "digest": digest}
    text: str = yaml.safe_dump(manifest, sort_keys=False)
    return text


def write_archive(checkpoint: Checkpoint, output: Path) -> Path:
    """Write `<architecture>.tar` into the folder `output` and return its path; half an archive is never left there."""
    archive = output / f"{checkpoint.architecture}.tar"
    with tempfile.TemporaryDirectory(dir=output, prefix=".packaging-") as folder:
        parts, unfinished = Path(folder, "parts"), Path(folder, archive.name)
        parts.mkdir()
        manifest = json.dumps(render_manifest(checkpoint), indent=2, ensure_ascii=False)
        (parts / "manifest.json").write_text(manifest + "\n", encoding="utf-8")
        (parts / "labels.txt").write_bytes((HERE / "labels.txt").read_bytes())
        safetensors.torch.save_file(checkpoint.state, parts / "model.safetensors")
        with tarfile.open(unfinished, "w", format=tarfile.USTAR_FORMAT) as tar:
            for part in sorted(parts.iterdir()):
                _add_part(tar, part)
        unfinished.replace(archive)
    return archive


def _add_part(tar: tarfile.TarFile, part: Path) -> None:
    """Stream one file into the archive under a header without time, owner or this machine's permissions."""
    header = tarfile.TarInfo(part.name)
    header.size, header.mode = part.stat().st_size, 0o644
    with part.open("rb") as content:
        tar.addfile(header, content)


def _file_digest(path: Path) -> str:
    with path.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def write_scoring_models(architecture: str, digest: str, output: Path) -> list[Path]:
    """Write both sample ScoringModels (CPU and GPU), pinned to the digest, into `output` and return their paths."""
    written = []
    for name in ("scoringmodel.yaml", "scoringmodel-gpu.yaml"):
        (output / name).write_text(render_scoring_model(HERE / name, architecture, digest), encoding="utf-8")
        written.append(output / name)
    return written


def package(source: str, output: Path, architecture: str = "resnet152", weights: str = "DEFAULT") -> dict[str, Any]:
    """Make the archive and the ScoringModels in `output`; return file, digest, bytes, version and scoringModels."""
    checkpoint = read_checkpoint(source, architecture, find_weights(architecture, weights))
    try:
        output.mkdir(parents=True, exist_ok=True)
        archive = write_archive(checkpoint, output)
        digest = f"sha256:{_file_digest(archive)}"
        scoring_models = write_scoring_models(architecture, digest, output)
    except (OSError, SafetensorError) as error:
        raise PackagingError(f"Cannot write into {output}: {error}") from error
    return {
        "file": str(archive),
        "digest": digest,
        "bytes": archive.stat().st_size,
        "version": checkpoint.version,
        "scoringModels": [str(path) for path in scoring_models],
    }


def main(
    source: Annotated[str, typer.Argument(help="pretrained, initialised, or a state dict (.safetensors, .pt, .pth).")],
    output: Annotated[Path, typer.Option(help="Folder for the archive and the ScoringModels; made when missing.")],
    architecture: Annotated[str, typer.Option(help="A classifier of torchvision.models.")] = "resnet152",
    weights: Annotated[str, typer.Option(help="torchvision's entry: pretrained weights, preprocessing.")] = "DEFAULT",
    output_format: Annotated[Literal["text", "json"], typer.Option(help="How the result is printed.")] = "text",
) -> None:
    """Package a torchvision image classifier for the serving runtime."""
    try:
        result = package(source, output, architecture, weights)
    except PackagingError as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(1) from error
    typer.echo(json.dumps(result) if output_format == "json" else _render_text(result))


def _render_text(result: dict[str, Any]) -> str:
    lines = [f"{name:<14} {value}" for name, value in result.items() if name != "scoringModels"]
    return "\n".join(lines + [f"{'scoring model':<14} {path}" for path in result["scoringModels"]])


if __name__ == "__main__":
    typer.run(main)
