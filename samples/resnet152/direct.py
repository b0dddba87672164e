"""Classifies a picture with torchvision alone: the yardstick for the served model's answers.

Weights and labels come from the packaged archive, the rest from torchvision; the serving runtime has no part in it.
"""

import io
import json
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import safetensors.torch
import torch
import torchvision
import typer
from PIL import Image
from torch import nn


@dataclass(frozen=True)
class Classifier:
    """A torchvision model in evaluation mode, its transforms, and one label per class."""

    model: nn.Module
    transforms: Any
    labels: list[str]

    def classify(self, picture: bytes, top: int = 3) -> list[tuple[str, float]]:
        """Return the `top` best labels of an encoded picture, best first, each with its probability (0 to 1)."""
        with Image.open(io.BytesIO(picture)) as image:
            batch = self.transforms(image.convert("RGB")).unsqueeze(0)
        with torch.inference_mode():
            best = self.model(batch).softmax(dim=1)[0].topk(top)
        return [
            (self.labels[index], probability)
            for probability, index in zip(best.values.tolist(), best.indices.tolist(), strict=True)
        ]


def load_classifier(archive: Path, weights: str = "DEFAULT") -> Classifier:
    """Load a `.tar` of package.py; `weights` names the torchvision entry whose transforms are applied."""
    with tarfile.open(archive) as tar:
        manifest = json.loads(_read_part(tar, "manifest.json"))
        labels = _read_part(tar, manifest["parameters"]["labels"]).decode().splitlines()
        state = safetensors.torch.load(_read_part(tar, manifest["model"]))
    architecture = manifest["parameters"]["architecture"]
    model: nn.Module = torchvision.models.get_model(architecture, weights=None).eval()
    model.load_state_dict(state)
    entry = torchvision.models.get_model_weights(architecture)[weights]
    return Classifier(model, entry.transforms(), labels)


def _read_part(tar: tarfile.TarFile, name: str) -> bytes:
    part = tar.extractfile(name)
    if part is None:
        raise tarfile.ReadError(f"{name} is not a file in the archive")
    return part.read()


def main(
    archive: Annotated[Path, typer.Argument(help="The archive that package.py wrote.", exists=True, dir_okay=False)],
    picture: Annotated[Path, typer.Argument(help="A JPEG, PNG or other picture.", exists=True, dir_okay=False)],
    top: Annotated[int, typer.Option(help="How many labels.", min=1, max=1000)] = 3,
    weights: Annotated[str, typer.Option(help="torchvision's entry whose transforms are applied.")] = "DEFAULT",
) -> None:
    """Print the most probable labels of a picture as JSON: [[label, probability], …]."""
    typer.echo(json.dumps(load_classifier(archive, weights).classify(picture.read_bytes(), top)))


if __name__ == "__main__":
    typer.run(main)
