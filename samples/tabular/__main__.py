"""Command line of the tabular sample: `python -m samples.tabular`, from the repository's root."""

import dataclasses
import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from samples.tabular.models import train_table, train_text
from samples.tabular.packaging import write_package

SEED = 2018


class Format(StrEnum):
    """How results are printed."""

    TEXT = "text"
    JSON = "json"


class Kind(StrEnum):
    """Which of the two models is trained."""

    TABLE = "table"
    TEXT = "text"


_TRAININGS = {Kind.TABLE: train_table, Kind.TEXT: train_text}


def train(
    output: Annotated[Path, typer.Option(help="Folder to write the packaged model into.")],
    kind: Annotated[Kind, typer.Option(help="A classifier of rows of a table, or of texts.")] = Kind.TABLE,
    version: Annotated[str, typer.Option(help="Version of the model, shown by the endpoint.")] = "1.0.0",
    seed: Annotated[int, typer.Option(help="Decides the made-up rows and which are held out.")] = SEED,
    output_format: Annotated[Format, typer.Option(help="How results are printed.")] = Format.TEXT,
) -> None:
    """Train a scikit-learn pipeline and package it with its manifest and digest."""
    trained = _TRAININGS[kind](seed)
    package = write_package(trained, version, output)
    measured = {"accuracy": round(trained.accuracy, 3), "baseline": round(trained.baseline, 3)}
    if output_format is Format.JSON:
        typer.echo(json.dumps({**{name: str(path) for name, path in dataclasses.asdict(package).items()}, **measured}))
        return
    typer.echo(
        f"accuracy      {trained.accuracy:.1%} of items not seen; always the most frequent: {trained.baseline:.1%}"
    )
    typer.echo(f"archive       {package.archive}")
    typer.echo(f"digest        {package.digest}")
    typer.echo(f"ScoringModel  {package.scoring_model}")


if __name__ == "__main__":
    typer.run(train)
