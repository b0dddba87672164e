"""manifest.json of an artifact, and the parameters of each task, as pydantic models. For loading.py and the tasks."""

from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from scoring_runtime.errors import ManifestInvalidError

FILE_NAME = "manifest.json"
TaskName = Literal["faq-matching", "image-classification"]
Parameters = TypeVar("Parameters", bound=BaseModel)


def _check_relative(value: str) -> str:
    path = PurePosixPath(value)
    if path.is_absolute() or ".." in path.parts or not path.parts or "\0" in value:
        raise ValueError("must be a path inside the artifact's folder")
    return value


RelativePath = Annotated[str, AfterValidator(_check_relative)]
Colour = Annotated[tuple[float, float, float], Field(description="red, green, blue")]


class Manifest(BaseModel):
    """manifest.json: what the model is and how it is served."""

    model_config = ConfigDict(frozen=True)

    name: str = Field(min_length=1)
    version: str = Field(min_length=1)
    format: str | None = None
    task: TaskName
    model: RelativePath
    parameters: dict[str, Any] = {}
    example: dict[str, Any] | None = None


class FaqParameters(BaseModel):
    """Parameters of faq-matching: the file of the originals, and how many matches to answer."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    originals: RelativePath
    top: int = Field(default=3, ge=1)


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
    """Parameters of image-classification with torch."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    architecture: str
    labels: RelativePath
    top: int = Field(default=3, ge=1)
    preprocessing: Preprocessing = Preprocessing()


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
    try:
        return parameters.model_validate(manifest.parameters)
    except ValidationError as error:
        raise ManifestInvalidError(_explain(error, "parameters.")) from None


def find_file(folder: Path, name: str, field: str) -> Path:
    """Return the path of a file that the manifest names in `field`. Raises ManifestInvalidError when there is none."""
    path = folder / name
    if not path.is_file():
        raise ManifestInvalidError(f"{FILE_NAME}: {field} names {name!r}, which is not a file of the artifact.")
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
