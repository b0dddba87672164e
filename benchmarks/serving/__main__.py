"""Command line: `python -m benchmarks.serving trivial|faq|resnet|starts|overload|front_door|gpu`, from the repository's root."""

import sys
from enum import StrEnum
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer

from benchmarks.serving.comparisons import Options
from benchmarks.serving.errors import BenchmarkError, NothingToMeasure
from benchmarks.serving.results import RESULTS, Circumstances, write_results


class Benchmark(StrEnum):
    """The benchmarks; each is the module of its name."""

    TRIVIAL = "trivial"
    FAQ = "faq"
    RESNET = "resnet"
    STARTS = "starts"
    OVERLOAD = "overload"
    FRONT_DOOR = "front_door"
    GPU = "gpu"


def main(
    benchmark: Annotated[Benchmark, typer.Argument(help="What to measure.")],
    seconds: Annotated[float | None, typer.Option(min=0.5, help="Length of each window of load.")] = None,
    peers: Annotated[str, typer.Option(help="Names with commas between them; all without any.")] = "",
    output: Annotated[Path, typer.Option(help="Folder for the results.")] = RESULTS,
    work: Annotated[Path | None, typer.Option(help="Folder for models and logs, kept; else a temporary one.")] = None,
) -> None:
    """Measure the serving runtime beside its peers, and keep results, report and plots."""
    circumstances = Circumstances(benchmark, _describe_command(benchmark, seconds, peers))
    with TemporaryDirectory() as temporary:
        options = Options(
            peers=[name.strip() for name in peers.split(",") if name.strip()],
            seconds=seconds,
            work=(work or Path(temporary)).resolve(),
            progress=lambda text: typer.echo(text, err=True),
        )
        try:
            report = import_module(f"benchmarks.serving.{benchmark}").run(options)
            typer.echo(write_results(circumstances, report, output).read_text(encoding="utf-8"))
        except NothingToMeasure as error:
            typer.echo(f"{benchmark}: {error}")
        except BenchmarkError as error:
            typer.echo(f"error: {error}", err=True)
            sys.exit(1)


def _describe_command(benchmark: str, seconds: float | None, peers: str) -> str:
    words = ["python -m benchmarks.serving", benchmark]
    words += [f"--seconds {seconds:g}"] if seconds else []
    words += [f"--peers {peers}"] if peers else []
    return " ".join(words)


if __name__ == "__main__":
    typer.run(main)
