"""Command line of the MLflow sample: `python -m samples.mlflow`, from the repository's root."""

import dataclasses
import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from samples.mlflow.packaging import write_package
from samples.tabular.models import train_table

SEED = 2018


class Format(StrEnum):
    """How results are printed."""

    TEXT = "text"
    JSON = "json"


def train(
    output: Annotated[Path, typer.Option(help="Folder to write the packaged model into.")],
    version: Annotated[str, typer.Option(help="Version of the model, shown by the endpoint.")] = "1.0.0",
    output_format: Annotated[Format, typer.Option(help="How results are printed.")] = Format.TEXT,
) -> None:
    """Train the pipeline of samples/tabular, save it with MLflow, and package the folder."""
    package = write_package(train_table(SEED), version, output)
    if output_format is Format.JSON:
        typer.echo(json.dumps({name: str(path) for name, path in dataclasses.asdict(package).items()}))
        return
    typer.echo(f"archive       {package.archive}")
    typer.echo(f"digest        {package.digest}")
    typer.echo(f"ScoringModel  {package.scoring_model}")


if __name__ == "__main__":
    typer.run(train)
