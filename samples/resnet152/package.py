"""Packages ResNet-152 (or another torchvision classifier) as an artifact of the serving runtime: one `.tar`.

Run by hand, before a ScoringModel is applied. What the archive holds: docs/runtime-contract.md. Whatever the format, the
manifest expects what torchvision itself answers to the example: a model that answers otherwise is not served.
"""

import base64
import json
import tempfile
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
import yaml
from torchvision.models import WeightsEnum

from samples.resnet152.checkpoint import EXAMPLE, HERE, Checkpoint, PackagingError, find_weights, read_checkpoint
from samples.resnet152.direct import Classifier
from samples.resnet152.formats import FORMATS, TOLERANCE, Engine, Format, FormatName, Precision, Running
from scoring_cli.artifacts import write_artifact

TOP = 3
LABELS = HERE / "labels.txt"


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


def render_manifest(
    checkpoint: Checkpoint, form: Format, options: dict[str, Any], tolerance: float = TOLERANCE
) -> dict[str, Any]:
    """Return the `manifest.json` of an image classifier, as docs/runtime-contract.md has it."""
    picture = EXAMPLE.read_bytes()
    classifier = Classifier(
        checkpoint.build_network(), checkpoint.weights.transforms(), LABELS.read_text(encoding="utf-8").splitlines()
    )
    return {
        "name": checkpoint.architecture,
        "version": checkpoint.version,
        "format": form.runtime_format,
        "task": "image-classification",
        "model": form.model,
        "options": options,
        "labels": LABELS.name,
        "parameters": {
            "top": TOP,
            "preprocessing": describe_preprocessing(checkpoint.weights),
            "layout": form.layout,
            "activation": "softmax",
        },
        "example": {"input": {"image": base64.b64encode(picture).decode()}},
        "expect": {"answer": {"image": classifier.classify(picture, TOP)}, "tolerance": tolerance},
    }


def render_scoring_model(template: Path, name: str, uri: str, form: Format, digest: str) -> str:
    """Return the sample ScoringModel in `template` as YAML, with the archive's place on the volume and its digest."""
    manifest = yaml.safe_load(template.read_text(encoding="utf-8"))
    manifest["metadata"]["name"] = name
    manifest["spec"]["model"] = {"uri": uri, "digest": digest, "format": form.runtime_format}
    text: str = yaml.safe_dump(manifest, sort_keys=False)
    return text


def write_archive(checkpoint: Checkpoint, name: FormatName, running: Running, output: Path) -> tuple[Path, str]:
    """Write `<architecture>-<format>.tar` into the folder `output`; return its path and digest."""
    form = FORMATS[name]
    archive = output / f"{checkpoint.architecture}-{name}.tar"
    with tempfile.TemporaryDirectory(dir=output, prefix=".packaging-") as folder:
        options = dict(form.write(checkpoint, Path(folder), running))
        parts = {path.name: path for path in Path(folder).iterdir()}
        manifest = render_manifest(checkpoint, form, options, running.tolerance)
        digest = write_artifact(archive, manifest, {LABELS.name: LABELS, **parts})
    return archive, digest


def write_scoring_models(architecture: str, name: FormatName, digest: str, output: Path) -> list[Path]:
    """Write the sample ScoringModels (CPU, and GPU where the format is for one), pinned to the digest, into `output`."""
    form = FORMATS[name]
    model = architecture if name == "onnx" else f"{architecture}-{name}"
    uri = f"pvc://models/{architecture}/{architecture}-{name}.tar"
    written = []
    for template in ("scoringmodel.yaml", "scoringmodel-gpu.yaml")[: 1 + form.on_gpu]:
        text = render_scoring_model(HERE / template, model.replace("_", "-"), uri, form, digest)
        (output / template).write_text(text, encoding="utf-8")
        written.append(output / template)
    return written


def package(
    checkpoint: Checkpoint, output: Path, name: FormatName = "onnx", running: Running | None = None
) -> dict[str, Any]:
    """Make the archive and the ScoringModels in `output`; return what was made, as it is printed."""
    try:
        output.mkdir(parents=True, exist_ok=True)
        archive, digest = write_archive(checkpoint, name, running or Running(), output)
        scoring_models = write_scoring_models(checkpoint.architecture, name, digest, output)
    except OSError as error:
        raise PackagingError(f"Cannot write into {output}: {error}") from error
    return {
        "archive": str(archive),
        "digest": digest,
        "bytes": archive.stat().st_size,
        "version": checkpoint.version,
        "scoring_model": str(scoring_models[0]),
        "scoring_models": [str(path) for path in scoring_models],
    }


def main(  # noqa: PLR0913, PLR0917  # one parameter per option of the command line
    source: Annotated[str, typer.Argument(help="pretrained, initialised, or a state dict (.safetensors, .pt, .pth).")],
    output: Annotated[Path, typer.Option(help="Folder for the archive and the ScoringModels; made when missing.")],
    architecture: Annotated[str, typer.Option(help="A classifier of torchvision.models.")] = "resnet152",
    weights: Annotated[str, typer.Option(help="torchvision's entry: pretrained weights, preprocessing.")] = "DEFAULT",
    model_format: Annotated[FormatName, typer.Option("--format", help="onnx for CPUs, torch for GPUs.")] = "onnx",
    engine: Annotated[Engine, typer.Option(help="What runs ONNX; auto measures on this machine.")] = "auto",
    precision: Annotated[Precision, typer.Option(help="Of ONNX; auto measures bfloat16 too.")] = "float32",
    tolerance: Annotated[float, typer.Option(help="How far probabilities may lie from torchvision's.")] = TOLERANCE,
    output_format: Annotated[Literal["text", "json"], typer.Option(help="How the result is printed.")] = "text",
) -> None:
    """Package a torchvision image classifier for the serving runtime."""
    try:
        checkpoint = read_checkpoint(source, architecture, find_weights(architecture, weights))
        result = package(checkpoint, output, model_format, Running(engine, precision, tolerance))
    except PackagingError as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(1) from error
    typer.echo(json.dumps(result) if output_format == "json" else _render_text(result))


def _render_text(result: dict[str, Any]) -> str:
    lines = [f"{name:<14} {value}" for name, value in result.items() if not name.startswith("scoring_model")]
    return "\n".join(lines + [f"{'scoring model':<14} {path}" for path in result["scoring_models"]])


if __name__ == "__main__":
    typer.run(main)
