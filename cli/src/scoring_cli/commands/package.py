"""`scoring package`: an artifact of a trained model, with manifest and digest, tried by the runtime's own code."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import click
from pydantic import ValidationError

from scoring_cli.artifacts import write_artifact
from scoring_cli.errors import InputInvalid
from scoring_cli.files import read_text
from scoring_cli.options import output_option
from scoring_cli.output import print_document, print_table, tell
from scoring_cli.packaging import Hints, Packed, pack
from scoring_cli.python_objects import load_object
from scoring_cli.trial import try_artifact
from scoring_operator.api.base import describe_fields
from scoring_runtime.manifest import Manifest, TaskName

LABELS = "labels.txt"
File = click.Path(exists=True, dir_okay=False, path_type=Path)


@dataclass(frozen=True)
class Wish:
    """What the user has asked for."""

    model: str
    name: str
    version: str
    task: str
    to: Path | None
    method: tuple[str, ...]
    architecture: str | None
    option: tuple[str, ...]
    labels: Path | None
    signature: Path | None
    parameters: Path | None
    example: Path | None
    expect: Path | None
    as_joblib: bool
    is_tried: bool


@click.command("package")
@click.argument("model")
@click.option("--name", required=True, help="Name of the model, for its manifest.")
@click.option("--version", default="1", show_default=True, help="Version of the model, for its manifest.")
@click.option(
    "--task", type=click.Choice(get_args(TaskName)), default="prediction", show_default=True, help="What it is for."
)
@click.option("--to", type=click.Path(dir_okay=False, path_type=Path), help="The artifact; left out, NAME.tar.")
@click.option(
    "--method",
    multiple=True,
    metavar="NAME",
    help="Of an estimator: predict (default), predict_proba …; may be repeated.",
)
@click.option(
    "--architecture", metavar="NAME", help="Of a torch module or its weights: its name in torchvision.models."
)
@click.option("--option", multiple=True, metavar="KEY=VALUE", help="One of the format's options; may be repeated.")
@click.option("--labels", type=File, help="Names of the classes, one a line.")
@click.option("--signature", type=File, help="JSON: the tensors that the model takes and gives.")
@click.option("--parameters", type=File, help="JSON: parameters of the task.")
@click.option("--example", type=File, help='JSON: a request that must score, such as {"input": [[5.1, 3.5]]}.')
@click.option("--expect", type=File, help="JSON: the answer to it. An estimator in memory is asked itself.")
@click.option(
    "--joblib", "as_joblib", is_flag=True, help="Save an estimator by joblib, which may hold any type and run code."
)
@click.option("--try/--no-try", "is_tried", default=True, help="Load it and score the example by the runtime's code.")
@output_option
def command(form: str, **given: Any) -> None:
    """Make an artifact of MODEL: a file, or an object of your code as module:attribute or file.py:attribute.

    \b
    scoring package train.py:pipeline --name churn --example example.json
    scoring package resnet.onnx --name resnet --task image-classification --labels labels.txt

    A scikit-learn estimator becomes a .skops file, a torch module .safetensors (by --architecture) or an exported program, a Keras model a
    .keras file. Files are packed as they are; nothing of them is loaded, but for the trial.
    """
    wish = Wish(**given)
    archive = wish.to or Path(f"{wish.name}.tar")
    model = find_model(wish.model)
    if isinstance(model, Path) and archive.exists() and archive.samefile(model):
        raise InputInvalid(f"--to: {archive} is the model itself, which the archive would replace: name another file.")
    packed = pack(model, read_hints(wish))
    manifest = build_manifest(wish, packed)
    labels = {LABELS: wish.labels} if wish.labels else {}
    try:
        digest = write_artifact(archive, manifest, {**packed.files, **labels})
    except OSError as error:
        raise InputInvalid(f"--to: {archive} cannot be written: {error.strerror}.") from error
    trial = try_artifact(archive, digest) if wish.is_tried else "not tried, as asked for"
    result = {
        "archive": str(archive),
        "digest": digest,
        "bytes": archive.stat().st_size,
        "format": packed.format,
        "task": wish.task,
        "trial": trial,
    }
    if form == "table":
        print_table(("field", "value"), result.items())
    else:
        print_document(result, form)
    if packed.note:
        tell(f"note: {packed.note}")


def find_model(name: str) -> object:
    """Return the path of a file, or the object that a name stands for."""
    if Path(name).is_file():
        return Path(name)
    if ":" in name:
        return load_object(name)
    raise InputInvalid(f"MODEL: there is no file {name}: name one, or an object as module:attribute.")


def read_hints(wish: Wish) -> Hints:
    """Return what the options say of the model itself."""
    example = read_json(wish.example, "--example")
    return Hints(
        methods=wish.method,
        architecture=wish.architecture,
        signature=read_json(wish.signature, "--signature"),
        example=None if wish.expect or not isinstance(example, dict) else example.get("input"),
        as_joblib=wish.as_joblib,
    )


def build_manifest(wish: Wish, packed: Packed) -> dict[str, Any]:
    """Return the manifest. Raises InputInvalid, naming the field that is wrong."""
    expect = read_json(wish.expect, "--expect")
    options = {**packed.fields.get("options", {}), **read_options(wish.option)}
    fields = {
        "name": wish.name,
        "version": wish.version,
        "format": packed.format,
        "task": wish.task,
        "model": packed.model,
        **packed.fields,
        **({"options": options} if options else {}),
        "parameters": read_json(wish.parameters, "--parameters"),
        "signature": read_json(wish.signature, "--signature"),
        "labels": LABELS if wish.labels else None,
        "example": read_json(wish.example, "--example"),
        **({} if expect is None else {"expect": {"answer": expect}}),
    }
    manifest = {name: value for name, value in fields.items() if value is not None}
    try:
        Manifest.model_validate(manifest)
    except ValidationError as error:
        raise InputInvalid(f"The manifest would be wrong: {describe_fields(error)}.") from error
    return manifest


def read_options(words: tuple[str, ...]) -> Mapping[str, Any]:
    """Return KEY=VALUE words; a value that is JSON is read as such."""
    options = {}
    for word in words:
        key, equals, text = word.partition("=")
        if not equals or not key:
            raise InputInvalid(f"--option: {word!r} is not KEY=VALUE, such as engine=openvino.")
        try:
            options[key] = json.loads(text)
        except ValueError:
            options[key] = text
    return options


def read_json(path: Path | None, option: str) -> Any:  # noqa: ANN401  # JSON
    """Return what a file holds, None without one. Raises InputInvalid, naming the option."""
    if path is None:
        return None
    try:
        return json.loads(read_text(path, option))
    except ValueError as error:
        raise InputInvalid(f"{option}: {path} is no JSON: {error}.") from error
