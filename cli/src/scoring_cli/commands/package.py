"""`scoring package`: an artifact of a trained model, with manifest and digest, tried by the runtime's own code."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
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
from scoring_runtime.artifacts.uris import MLMODEL
from scoring_runtime.manifest import Manifest, TaskName
from scoring_runtime.tensors import ANY_SIZE, Signature

LABELS = "labels.txt"
SUFFIX = ".tar"
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
    archive = choose_archive(wish)
    model = find_model(wish.model)
    if isinstance(model, Path) and archive.exists() and archive.samefile(model):
        raise InputInvalid(f"--to: {archive} is the model itself, which the archive would replace: name another file.")
    packed = pack(model, read_hints(wish))
    digest, trial = make_artifact(archive, wish, packed)
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


def choose_archive(wish: Wish) -> Path:
    """Return where the artifact is to lie. Raises InputInvalid for an ending by which the runtime would not open it as what it is."""
    archive = wish.to or Path(f"{wish.name}{SUFFIX}")
    if archive.suffix.lower() != SUFFIX:
        raise InputInvalid(f"--to: {archive} will be a tar, uncompressed: give it the ending {SUFFIX}.")
    return archive


def make_artifact(archive: Path, wish: Wish, packed: Packed) -> tuple[str, str]:
    """Write the artifact once its trial has passed; return its digest and how that went. Raises InputInvalid, and leaves what was there."""
    manifest = build_manifest(wish, packed)
    labels = {LABELS: wish.labels} if wish.labels else {}
    try:
        archive.parent.mkdir(parents=True, exist_ok=True)
        # Beside it, to take its place at once; under its own name, by which the trial tells of it.
        with TemporaryDirectory(dir=archive.parent, prefix=".unfinished-") as folder:
            unfinished = Path(folder, archive.name)
            digest = write_artifact(unfinished, manifest, {**packed.files, **labels})
            trial = run_trial(unfinished, digest, manifest) if wish.is_tried else "not tried, as asked for"
            unfinished.replace(archive)
    except OSError as error:
        raise InputInvalid(f"--to: {archive} cannot be written: {error.strerror}.") from error
    return digest, trial


def run_trial(archive: Path, digest: str, manifest: Mapping[str, Any]) -> str:
    """Return how the trial went. Raises InputInvalid, which names --example where another one may be all that is missing."""
    try:
        return try_artifact(archive, digest)
    except InputInvalid as error:
        shapes = [spec["shape"] for spec in manifest.get("signature", {}).get("inputs", ())]
        has_example = "example" in manifest or manifest["task"] != "prediction"
        if has_example or not any(ANY_SIZE in shape[1:] for shape in shapes):
            raise
        raise InputInvalid(
            f"{error} It was tried with 1 for each -1 of --signature: give --example for other sizes."
        ) from error


def find_model(name: str) -> object:
    """Return the path of a file, or the object that a name stands for."""
    if (Path(name) / MLMODEL).is_file():
        raise InputInvalid(
            f"MODEL: {name} is a model as MLflow saved it, which is an artifact already: write its ScoringModel by `scoring init {name}`."
        )
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
        signature=read_signature(wish.signature),
        example=example.get("input") if isinstance(example, dict) and wish.task == "prediction" else None,
        is_answer_given=wish.expect is not None,
        as_joblib=wish.as_joblib,
    )


def read_signature(path: Path | None) -> Signature | None:
    """Return the signature of a file. Raises InputInvalid, naming the field that is wrong."""
    if path is None:
        return None
    remedy = 'Write it as {"inputs": [{"name": "x", "datatype": "FP32", "shape": [-1, 4]}]}.'
    content = read_json(path, "--signature")
    if not isinstance(content, dict):
        raise InputInvalid(f"--signature: {path} does not hold an object. {remedy}")
    try:
        signature = Signature.model_validate(content)
    except ValidationError as error:
        raise InputInvalid(f"--signature: {path}: {describe_fields(error)}. {remedy}") from error
    for spec in (*signature.inputs, *signature.outputs):
        if not all(size == ANY_SIZE or size > 0 for size in spec.shape):
            raise InputInvalid(
                f"--signature: {path}: {spec.name}: the shape {list(spec.shape)} has a size that is neither -1, for any, nor 1 or more. {remedy}"
            )
    return signature


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
