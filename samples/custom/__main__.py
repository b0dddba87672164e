"""Command line of the custom sample: `python -m samples.custom`, from the repository's root."""

import dataclasses
import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from samples.custom.packaging import write_package


class Format(StrEnum):
    """How results are printed."""

    TEXT = "text"
    JSON = "json"


def package(
    output: Annotated[Path, typer.Option(help="Folder to write the packaged model into.")],
    version: Annotated[str, typer.Option(help="Version of the model, shown by the endpoint.")] = "1.0.0",
    output_format: Annotated[Format, typer.Option(help="How results are printed.")] = Format.TEXT,
) -> None:
    """Package the redactor's rules with a manifest that names its class."""
    written = write_package(version, output)
    if output_format is Format.JSON:
        typer.echo(json.dumps({name: str(path) for name, path in dataclasses.asdict(written).items()}))
        return
    typer.echo(f"archive       {written.archive}")
    typer.echo(f"digest        {written.digest}")
    typer.echo(f"ScoringModel  {written.scoring_model}")


if __name__ == "__main__":
    typer.run(package)
