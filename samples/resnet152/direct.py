"""Classifies a picture with torchvision alone: the yardstick for the served model's answers, in whatever format it is packaged.

Weights, labels and transforms are those that package.py packs; the serving runtime has no part in it.
"""

import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from PIL import Image
from torch import nn

from samples.resnet152.checkpoint import HERE, PackagingError, find_weights, read_checkpoint


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


def load_classifier(source: str, architecture: str = "resnet152", weights: str = "DEFAULT") -> Classifier:
    """Return the classifier of what package.py packs of the same arguments. Raises PackagingError."""
    checkpoint = read_checkpoint(source, architecture, find_weights(architecture, weights))
    labels = (HERE / "labels.txt").read_text(encoding="utf-8").splitlines()
    return Classifier(checkpoint.build_network(), checkpoint.weights.transforms(), labels)


def main(
    source: Annotated[str, typer.Argument(help="As for package: pretrained, initialised, or a state dict.")],
    picture: Annotated[Path, typer.Argument(help="A JPEG, PNG or other picture.", exists=True, dir_okay=False)],
    top: Annotated[int, typer.Option(help="How many labels.", min=1, max=1000)] = 3,
    architecture: Annotated[str, typer.Option(help="A classifier of torchvision.models.")] = "resnet152",
    weights: Annotated[str, typer.Option(help="torchvision's entry: pretrained weights, transforms.")] = "DEFAULT",
) -> None:
    """Print the most probable labels of a picture as JSON: [[label, probability], …]."""
    try:
        classifier = load_classifier(source, architecture, weights)
    except PackagingError as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(1) from error
    typer.echo(json.dumps(classifier.classify(picture.read_bytes(), top)))


if __name__ == "__main__":
    typer.run(main)
