"""Command line of the FAQ sample: `python -m samples.faq train` and `… evaluate`, from the repository's root."""

import dataclasses
import json
from collections.abc import Iterable, Iterator
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from samples.faq.embeddings import EmbeddingModel, train_embeddings
from samples.faq.encoder import load_encoder
from samples.faq.errors import EncoderMissingError, SampleError
from samples.faq.evaluation import Evaluation, evaluate_model
from samples.faq.models import REFERENCE_TREES, Model, train_model, train_reference
from samples.faq.packaging import Package, write_package
from samples.faq.pairs import Split, split_by_words, split_duplicates
from samples.faq.sources import Selection, read_entries

HAND_WRITTEN = Path(__file__).with_name("data")
SEED = 2018

app = typer.Typer(no_args_is_help=True, add_completion=False)


class Format(StrEnum):
    """How results are printed."""

    TEXT = "text"
    JSON = "json"


class Form(StrEnum):
    """What the model goes by."""

    WORDS = "words"
    EMBEDDINGS = "embeddings"


class HeldOut(StrEnum):
    """Which questions a model is asked that it has not seen."""

    DRAWN = "drawn"
    NO_SHARED_WORD = "no-shared-word"


FormOption = Annotated[
    Form, typer.Option(help="What the model goes by: shared words, or meaning (sentence embeddings).")
]
OutputFormat = Annotated[Format, typer.Option(help="How results are printed.")]


@dataclasses.dataclass(frozen=True)
class Choice:
    """The options before the command: which data, and how it is split."""

    data: Path
    selection: Selection
    seed: int


@app.callback()
def choose(
    context: typer.Context,
    data: Annotated[
        Path, typer.Option(help="Folder of YAML files, of the reference's three .tsv.gz files, or of a dump's XML.")
    ] = HAND_WRITTEN,
    min_duplicates: Annotated[
        int | None, typer.Option(min=2, help="Duplicates an original needs; by default 8 for YAML, else 12.")
    ] = None,
    min_text: Annotated[
        int | None, typer.Option(min=1, help="Characters a question needs; by default 1 for YAML, else 150.")
    ] = None,
    tag: Annotated[str, typer.Option(help="Tag of the originals taken from a dump.")] = "javascript",
    seed: Annotated[int, typer.Option(help="Decides which questions are held out.")] = SEED,
) -> None:
    """Train, evaluate and package the FAQ matching model."""
    context.obj = Choice(data, Selection(min_duplicates, min_text, tag), seed)


@app.command()
def train(
    context: typer.Context,
    output: Annotated[Path, typer.Option(help="Folder to write the packaged model into.")],
    version: Annotated[str, typer.Option(help="Version of the model, shown by the endpoint.")] = "1.0.0",
    form: FormOption = Form.WORDS,
    output_format: OutputFormat = Format.TEXT,
) -> None:
    """Train on all but the held-out questions, and package the model with its manifest and digest."""
    split = _read(context.obj)
    package = write_package(_train(form, split), split, version, output)
    if output_format is Format.JSON:
        typer.echo(json.dumps({name: str(value) for name, value in dataclasses.asdict(package).items()}))
    else:
        _print_package(package, split)


@app.command()
def evaluate(
    context: typer.Context,
    form: FormOption = Form.WORDS,
    compare: Annotated[
        bool, typer.Option("--compare", help="Both forms, and the reference's model; takes longer.")
    ] = False,
    held_out: Annotated[
        HeldOut,
        typer.Option(help="Held out: drawn by the seed, or all that share no content word with their original."),
    ] = HeldOut.DRAWN,
    trees: Annotated[int, typer.Option(min=1, help="Trees of the reference's model.")] = REFERENCE_TREES,
    output_format: OutputFormat = Format.TEXT,
) -> None:
    """Train, and count how often the right original is among the first answers to the held-out questions."""
    split = _read(context.obj, held_out)
    models: Iterable[Model | EmbeddingModel] = _train_all(split, trees) if compare else [_train(form, split)]
    evaluations = [evaluate_model(model, split) for model in models]
    if output_format is Format.JSON:
        typer.echo(json.dumps([dataclasses.asdict(evaluation) for evaluation in evaluations]))
    else:
        _print_evaluations(evaluations, split)


def _read(choice: Choice, held_out: HeldOut = HeldOut.DRAWN) -> Split:
    split = split_duplicates if held_out is HeldOut.DRAWN else split_by_words
    try:
        return split(read_entries(choice.data, choice.selection), seed=choice.seed)
    except SampleError as error:
        raise _fail(error) from error


def _train(form: Form, split: Split) -> Model | EmbeddingModel:
    if form is Form.WORDS:
        return train_model(split)
    try:
        return train_embeddings(split, load_encoder())
    except EncoderMissingError as error:
        raise _fail(error) from error


def _train_all(split: Split, trees: int) -> Iterator[Model | EmbeddingModel]:
    yield train_model(split)
    try:
        yield train_embeddings(split, load_encoder())
    except EncoderMissingError as error:
        Console(stderr=True).print(f"Without the form embeddings: {error}", soft_wrap=True)
    yield train_reference(split, trees)


def _fail(error: SampleError) -> typer.Exit:
    Console(stderr=True).print(f"[red]Error:[/red] {error}", soft_wrap=True)
    return typer.Exit(1)


def _print_package(package: Package, split: Split) -> None:
    typer.echo(f"{len(split.entries)} originals, {len(split.train)} training questions, {len(split.test)} held out")
    typer.echo(f"archive       {package.archive}")
    typer.echo(f"digest        {package.digest}")
    typer.echo(f"ScoringModel  {package.scoring_model}")
    typer.echo(f"answers       {package.answers}")
    typer.echo(f"held out      {package.held_out}")


def _print_evaluations(evaluations: list[Evaluation], split: Split) -> None:
    table = Table(title=f"{len(split.test)} held-out questions, {len(split.entries)} originals, seed {split.seed}")
    table.add_column("model")
    for column in ("accuracy@1", "accuracy@2", "accuracy@3", "CPU ms per question"):
        table.add_column(column, justify="right")
    for evaluation in evaluations:
        shares = [f"{share:.1%}" for share in evaluation.accuracy]
        table.add_row(evaluation.model, *shares, f"{evaluation.milliseconds:.1f}")
    Console().print(table)


if __name__ == "__main__":
    app()
