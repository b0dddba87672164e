"""Command line: `python -m benchmarks.operator models|peer|report`, from the repository's root."""

import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer

from benchmarks.operator.contenders import Contender
from benchmarks.operator.kserve import KSERVE
from benchmarks.operator.models import measure
from benchmarks.operator.options import Options
from benchmarks.operator.ours import OURS
from benchmarks.operator.results import (
    MODELS,
    PEER,
    RESULTS,
    Circumstances,
    write_peer_report,
    write_report,
    write_result,
)
from benchmarks.serving.errors import BenchmarkError

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=__doc__)
Counts = Annotated[list[int], typer.Argument(min=1, help="Numbers of models, each measured on a fresh cluster.")]
Samples = Annotated[int, typer.Option(min=1, help="How often each single change is measured.")]
Rounds = Annotated[int, typer.Option(min=1, help="How often all at once are made, by floor and operators in turns.")]
IdleSeconds = Annotated[float, typer.Option(min=1, help="How long the operator is watched at rest.")]
Name = Annotated[str, typer.Option(help="Name of the cluster, which is taken down and brought up.")]
Work = Annotated[Path | None, typer.Option(help="Folder for the operator's logs, kept; else a temporary one.")]
Output = Annotated[Path, typer.Option(help="Folder for the results.")]


@app.command()
def models(  # noqa: PLR0913, PLR0917 - one parameter for each option of the command
    counts: Counts,
    samples: Samples = 20,
    idle_seconds: IdleSeconds = 60.0,
    rounds: Rounds = 3,
    class_edit_models: Annotated[
        int, typer.Option(help="Up to so many models, their class is edited, which rolls all of them out.")
    ] = 1000,
    floor: Annotated[bool, typer.Option(help="Measure the floor too, on a cluster of its own before.")] = True,
    cluster: Name = "benchmark",
    work: Work = None,
    output: Output = RESULTS,
) -> None:
    """Measure the operator beside the floor with each number of models; writes models-<number>.json, then the report."""
    options = Options(cluster, samples, idle_seconds, rounds, class_edit_models, floor, _tell)
    _measure(MODELS, (OURS,), counts, options, work, output)
    report(output)


@app.command()
def peer(  # noqa: PLR0913, PLR0917 - one parameter for each option of the command
    counts: Counts,
    samples: Samples = 20,
    idle_seconds: IdleSeconds = 60.0,
    rounds: Rounds = 3,
    cluster: Name = "benchmark",
    work: Work = None,
    output: Output = RESULTS,
) -> None:
    """Measure floor, KServe and ours with each number of models in one run; writes peer-<number>.json, then peer.md."""
    options = Options(cluster, samples, idle_seconds, rounds, class_edit_models=0, with_floor=True, progress=_tell)
    _measure(PEER, (KSERVE, OURS), counts, options, work, output)
    typer.echo(write_peer_report(output).read_text(encoding="utf-8"))


@app.command()
def report(output: Output = RESULTS) -> None:
    """Render all results of the folder as one table, and draw time and memory against the number of models."""
    typer.echo(write_report(output).read_text(encoding="utf-8"))


def _measure(
    benchmark: str,
    contenders: Sequence[Contender],
    counts: Sequence[int],
    options: Options,
    work: Path | None,
    output: Path,
) -> None:
    with TemporaryDirectory() as temporary:
        folder = (work or Path(temporary)).resolve()
        folder.mkdir(parents=True, exist_ok=True)
        for count in counts:
            circumstances = Circumstances(benchmark, _describe_command(benchmark, count, options))
            write_result(circumstances, asyncio.run(measure(options, contenders, count, folder)), output)


def _tell(text: str) -> None:
    typer.echo(text, err=True)


def _describe_command(benchmark: str, count: int, options: Options) -> str:
    words = f"python -m benchmarks.operator {benchmark} {count} --samples {options.samples} --idle-seconds {options.idle_seconds:g} --rounds {options.rounds}"
    return words if options.with_floor else f"{words} --no-floor"


if __name__ == "__main__":
    try:
        app()
    except BenchmarkError as error:
        typer.echo(f"error: {error}", err=True)
        sys.exit(1)
