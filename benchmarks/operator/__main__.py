"""Command line: `python -m benchmarks.operator models|report`, from the repository's root."""

import asyncio
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer

from benchmarks.operator.models import measure
from benchmarks.operator.options import Options
from benchmarks.operator.results import RESULTS, Circumstances, write_report, write_result
from benchmarks.serving.errors import BenchmarkError

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=__doc__)
Output = Annotated[Path, typer.Option(help="Folder for the results.")]


@app.command()
def models(  # noqa: PLR0913, PLR0917 - one parameter for each option of the command
    counts: Annotated[list[int], typer.Argument(min=1, help="Numbers of models, each measured on a fresh cluster.")],
    samples: Annotated[int, typer.Option(min=1, help="How often each single change is measured.")] = 20,
    idle_seconds: Annotated[float, typer.Option(min=1, help="How long the operator is watched at rest.")] = 60.0,
    rounds: Annotated[int, typer.Option(min=1, help="How often floor and operator make all at once, in turns.")] = 3,
    class_edit_models: Annotated[
        int, typer.Option(help="Up to so many models, their class is edited, which rolls all of them out.")
    ] = 1000,
    floor: Annotated[bool, typer.Option(help="Measure the floor too, on a cluster of its own before.")] = True,
    cluster: Annotated[
        str, typer.Option(help="Name of the cluster, which is taken down and brought up.")
    ] = "benchmark",
    work: Annotated[
        Path | None, typer.Option(help="Folder for the operator's logs, kept; else a temporary one.")
    ] = None,
    output: Output = RESULTS,
) -> None:
    """Measure the operator beside the floor with each number of models; writes models-<number>.json, then the report."""
    with TemporaryDirectory() as temporary:
        folder = (work or Path(temporary)).resolve()
        folder.mkdir(parents=True, exist_ok=True)
        options = Options(
            cluster=cluster,
            samples=samples,
            idle_seconds=idle_seconds,
            rounds=rounds,
            class_edit_models=class_edit_models,
            with_floor=floor,
            work=folder,
            progress=lambda text: typer.echo(text, err=True),
        )
        for count in counts:
            circumstances = Circumstances(_describe_command(count, options))
            write_result(circumstances, asyncio.run(measure(options, count)), output)
    report(output)


@app.command()
def report(output: Output = RESULTS) -> None:
    """Render all results of the folder as one table, and draw time and memory against the number of models."""
    typer.echo(write_report(output).read_text(encoding="utf-8"))


def _describe_command(count: int, options: Options) -> str:
    words = f"python -m benchmarks.operator models {count} --samples {options.samples} --idle-seconds {options.idle_seconds:g} --rounds {options.rounds}"
    return words if options.with_floor else f"{words} --no-floor"


if __name__ == "__main__":
    try:
        app()
    except BenchmarkError as error:
        typer.echo(f"error: {error}", err=True)
        sys.exit(1)
