"""manifest.json of an artifact, and the parameters of each task, as pydantic models. For loading.py and the tasks."""

from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from scoring_runtime.errors import ManifestInvalidError
from scoring_runtime.tensors import Signature

FILE_NAME = "manifest.json"
TaskName = Literal["faq-matching", "image-classification", "prediction", "custom"]
Parameters = TypeVar("Parameters", bound=BaseModel)


def _check_relative(value: str) -> str:
    path = PurePosixPath(value)
    if path.is_absolute() or ".." in path.parts or not value or "\0" in value:
        raise ValueError("must be a path inside the artifact's folder")
    return value


RelativePath = Annotated[str, AfterValidator(_check_relative)]
Colour = Annotated[tuple[float, float, float], Field(description="red, green, blue")]


class Expectation(BaseModel):
    """What the model answers to the manifest's example: checked before the model is served.

    Numbers may differ by `tolerance`, relative or absolute, whichever is more; all else must be equal.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    answer: Any
    tolerance: float = Field(default=1e-3, ge=0)


class Manifest(BaseModel):
    """manifest.json: what the model is and how it is served."""

    model_config = ConfigDict(frozen=True)

    name: str = Field(min_length=1)
    version: str = Field(min_length=1)
    format: str | None = None
    task: TaskName
    model: RelativePath = "."
    options: dict[str, Any] = {}
    parameters: dict[str, Any] = {}
    signature: Signature | None = None
    labels: RelativePath | tuple[str, ...] | None = None
    example: dict[str, Any] | None = None
    expect: Expectation | None = None


class Preprocessing(BaseModel):
    """How an image becomes the model's input; the names and defaults are torchvision's ImageClassification preset."""

    model_config = ConfigDict(frozen=True, extra="forbid", alias_generator=to_camel)

    resize_size: int = Field(default=256, ge=1, le=4096)
    crop_size: int = Field(default=224, ge=1, le=4096)
    interpolation: Literal["nearest", "bilinear", "bicubic", "box", "hamming", "lanczos"] = "bilinear"
    antialias: bool = True
    mean: Colour = (0.485, 0.456, 0.406)
    std: Colour = (0.229, 0.224, 0.225)


class ImageParameters(BaseModel):
    """Parameters of image-classification.

    `layout` is the order of the axes that the model takes, `activation` what turns its outputs into probabilities.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    top: int = Field(default=3, ge=1)
    preprocessing: Preprocessing = Preprocessing()
    layout: Literal["NCHW", "NHWC"] = "NCHW"
    activation: Literal["softmax", "none"] = "softmax"


def read_manifest(folder: Path) -> Manifest:
    """Read `folder`/manifest.json. Raises ManifestInvalidError, naming the field."""
    try:
        text = (folder / FILE_NAME).read_bytes()
    except FileNotFoundError as error:
        raise ManifestInvalidError(_explain_missing(folder)) from error
    except OSError as error:
        raise ManifestInvalidError(f"{FILE_NAME} cannot be read: {error.strerror}.") from error
    try:
        return Manifest.model_validate_json(text)
    except ValidationError as error:
        raise ManifestInvalidError(_explain(error, "")) from None


def read_parameters(manifest: Manifest, parameters: type[Parameters]) -> Parameters:
    """Return the manifest's parameters as the task's own. Raises ManifestInvalidError, naming the field."""
    return explain_invalid(parameters, manifest.parameters, "parameters.")


def explain_invalid(model: type[Parameters], values: Mapping[str, Any], prefix: str) -> Parameters:
    """Return values of the manifest as `model`. Raises ManifestInvalidError, naming the field below `prefix`."""
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise ManifestInvalidError(_explain(error, prefix)) from None


def read_labels(folder: Path, manifest: Manifest) -> tuple[str, ...] | None:
    """Return the labels in class order, listed in the manifest or in the file it names; None without any.

    Raises ManifestInvalidError for a file that is not one label per line.
    """
    if manifest.labels is None or isinstance(manifest.labels, tuple):
        return manifest.labels
    path = find_file(folder, manifest.labels, "labels")
    try:
        labels = path.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise ManifestInvalidError(f"{path.name} is not UTF-8: save the labels as UTF-8, one per line.") from error
    if not labels or not all(label.strip() for label in labels):
        raise ManifestInvalidError(f"{path.name} is empty or has an empty line: one label per line, in class order.")
    return tuple(labels)


def find_file(folder: Path, name: str, field: str) -> Path:
    """Return the path of a file that the manifest names in `field`. Raises ManifestInvalidError when there is none."""
    path = folder / name
    if not path.is_file():
        raise ManifestInvalidError(f"{FILE_NAME}: {field} names {name!r}, which is not a file of the artifact.")
    return path


def find_model(folder: Path, name: str) -> Path:
    """Return the path of the model's file or folder. Raises ManifestInvalidError when there is none."""
    path = folder / name
    if not path.exists():
        raise ManifestInvalidError(f"{FILE_NAME}: model names {name!r}, which is not in the artifact.")
    return path


def _explain(error: ValidationError, prefix: str) -> str:
    problem = error.errors(include_url=False)[0]
    field = prefix + ".".join(str(part) for part in problem["loc"])
    where = f"{FILE_NAME}: {field}: " if problem["loc"] else f"{FILE_NAME}: "
    return f"{where}{problem['msg']}. Correct it and give the artifact's new digest."


def _explain_missing(folder: Path) -> str:
    nested = sorted(folder.glob(f"*/{FILE_NAME}"))
    if nested:
        inner = nested[0].parent.name
        return f"{FILE_NAME} is in the folder {inner!r} of the artifact: pack the contents of {inner!r} instead."
    return f"The artifact has no {FILE_NAME} at its top: add one that names the task, the format and the model file."
