"""Scorer of the format `python`: a class with `load` and `score` from a package in the image, never from the artifact."""

from collections.abc import Mapping
from importlib import import_module
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from scoring_runtime.errors import FormatNotInstalledError, ManifestInvalidError, ModelInvalidError
from scoring_runtime.scorers import Batch, ModelSource, Scores, read_options
from scoring_runtime.tensors import Signature


class PythonOptions(BaseModel):
    """Options of the format: the class, as `package.module:Class`."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    class_path: str = Field(alias="class", pattern=r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*$")


class PythonScorer:
    """An instance of the class that the manifest names, made without arguments.

    `load(path)` gets the path of the artifact's model (its folder unless the manifest names a file). `score(batch)` gets and
    returns named tensors, or lists of JSON values for the task `custom`. `signature`, a dict, may tell the tensors.
    """

    model: Any = None
    signature: Signature | None = None

    def __init__(self) -> None:
        self.report: Mapping[str, Any] = {}

    def load(self, source: ModelSource) -> None:
        """Make and load the instance. Raises FormatNotInstalledError, ManifestInvalidError or ModelInvalidError."""
        path = read_options(source, PythonOptions).class_path
        self.model = _find_class(path)()
        for name in ("load", "score"):
            if not callable(getattr(self.model, name, None)):
                raise ModelInvalidError(f"{path} has no method {name}: give the class load(path) and score(batch).")
        self.model.load(source.path)
        self.signature = _read_signature(self.model, path)
        self.report = {"class": path}

    def score(self, batch: Batch) -> Scores:
        """Return what the instance answers."""
        return self.model.score(batch)


def _find_class(path: str) -> Any:  # noqa: ANN401  # a class of any kind
    module_name, _, class_name = path.partition(":")
    try:
        module = import_module(module_name)
    except ModuleNotFoundError as error:
        raise FormatNotInstalledError(
            f"manifest.json: options.class is {path!r}, but there is no module {error.name!r} in this image: name in "
            "spec.runtime.image an image that has it (a class is never taken from the artifact)."
        ) from error
    found = getattr(module, class_name, None)
    if not isinstance(found, type):
        raise ManifestInvalidError(f"manifest.json: options.class: {module_name} has no class {class_name!r}.")
    return found


def _read_signature(model: object, path: str) -> Signature | None:
    """Return the class's own signature, read after `load`, which may set it."""
    values = getattr(model, "signature", None)
    if values is None:
        return None
    try:
        return Signature.model_validate(values)
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        field = ".".join(str(part) for part in ("signature", *problem["loc"]))
        raise ModelInvalidError(f"{path}: {field}: {problem['msg']}. Correct the class.") from None
