"""Reads the MLmodel file of an MLflow model folder, without MLflow, which takes seconds to import. For scorers/mlflow.py.

Gives the signature in the words of the Open Inference Protocol, and a manifest for a folder that has none of its own.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import yaml
from pydantic import BaseModel, ConfigDict, Field, Json, TypeAdapter, ValidationError

from scoring_runtime.artifacts.uris import MLMODEL
from scoring_runtime.errors import ManifestInvalidError
from scoring_runtime.tensors import ANY_SIZE, DataType, Signature, TensorSpec, find_datatype

INPUT = "input"
"""Name of an only input without a name."""

_COLUMN_TYPES: Mapping[str, DataType] = {
    "boolean": "BOOL",
    "integer": "INT32",
    "long": "INT64",
    "float": "FP32",
    "double": "FP64",
    "string": "BYTES",
}


class TensorField(BaseModel):
    """Datatype and shape of a tensor: numpy's name, and -1 for a size that varies."""

    dtype: str
    shape: tuple[int, ...] = Field(min_length=1)


class Column(BaseModel):
    """One entry of a signature: a column, whose type may be nested, or a tensor."""

    type: Any
    name: str | None = None
    required: bool = True
    tensor: TensorField | None = Field(default=None, alias="tensor-spec")


class Schemas(BaseModel):
    """The signature: inputs as JSON text within the YAML."""

    inputs: Json[tuple[Column, ...]] | None = None


class ExampleFile(BaseModel):
    """Where the input example lies, and how it is written."""

    artifact_path: str
    type: Literal["dataframe", "ndarray", "json_object"] | str = "json_object"
    pandas_orient: str | None = None


class MlModel(BaseModel):
    """What is read of an MLmodel file."""

    model_config = ConfigDict(protected_namespaces=())

    flavors: dict[str, dict[str, Any]]
    signature: Schemas | None = None
    artifact_path: str | None = None
    model_uuid: str = "unknown"
    example: ExampleFile | None = Field(default=None, alias="saved_input_example_info")


def read_mlmodel(folder: Path) -> MlModel:
    """Read `folder`/MLmodel. Raises ManifestInvalidError, naming the field."""
    path = folder / MLMODEL
    if not path.is_file():
        raise ManifestInvalidError(f"There is no {MLMODEL} in the model's folder: save it with mlflow.….save_model.")
    try:
        return MlModel.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ManifestInvalidError(f"{MLMODEL} is not YAML: save the model anew.") from error
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        field = ".".join(str(part) for part in problem["loc"])
        raise ManifestInvalidError(f"{MLMODEL}: {field}: {problem['msg']}. Save the model anew.") from None


def derive_signature(model: MlModel) -> Signature | None:
    """Return the inputs; None when the model was saved without a signature. Raises ManifestInvalidError for other types.

    Outputs are left out: MLflow writes down their types only.
    """
    columns = model.signature.inputs if model.signature else None
    if not columns:
        return None
    return Signature(
        inputs=tuple(_describe_column(column, place, len(columns)) for place, column in enumerate(columns))
    )


def make_manifest(folder: Path) -> dict[str, Any]:
    """Return the manifest of an MLflow folder that has none: the task prediction, with MLflow's input example."""
    model = read_mlmodel(folder)
    name = Path(model.artifact_path).name if model.artifact_path else "mlflow-model"
    manifest = {"name": name, "version": model.model_uuid, "format": "mlflow", "task": "prediction", "model": "."}
    example = _read_example(folder, model.example) if model.example else None
    return manifest if example is None else {**manifest, "example": {"input": example}}


def _describe_column(column: Column, place: int, count: int) -> TensorSpec:
    name = column.name or (INPUT if count == 1 else str(place))
    if column.tensor is not None:
        shape = tuple(ANY_SIZE if size < 0 else size for size in column.tensor.shape)
        return TensorSpec(name=name, datatype=_find_tensor_type(column.tensor.dtype, name), shape=shape)
    datatype = _COLUMN_TYPES.get(column.type) if isinstance(column.type, str) else None
    if datatype is None:
        raise _explain_type(column.type, name)
    return TensorSpec(
        name=name, datatype=datatype, shape=(ANY_SIZE,), nullable=datatype == "BYTES" and not column.required
    )


def _find_tensor_type(dtype: str, name: str) -> DataType:
    # numpy takes more than names: what has commas or brackets in it is several types to it, or no Python.
    if not dtype.isidentifier():
        raise _explain_type(dtype, name)
    try:
        return find_datatype(np.empty(0, dtype=np.dtype(dtype)))
    except (KeyError, TypeError) as error:
        raise _explain_type(dtype, name) from error


def _explain_type(kind: object, name: str) -> ManifestInvalidError:
    known = ", ".join(_COLUMN_TYPES)
    return ManifestInvalidError(
        f"{MLMODEL}: the input {name!r} is of the type {kind!r}; those that can be served are {known} and tensors of "
        "numbers, booleans and texts. Save the model with a signature of these."
    )


def _read_example(folder: Path, example: ExampleFile) -> Any:  # noqa: ANN401  # JSON
    """Return the example as `input` of a request; None when it is missing or written in another way."""
    path = folder / Path(example.artifact_path).name
    if not path.is_file():
        return None
    try:
        content = json.loads(path.read_bytes())
    except ValueError:
        return None
    if example.type == "dataframe":
        return _read_frame(content)
    return content if example.type == "ndarray" and isinstance(content, list) else None


def _read_frame(content: Any) -> Sequence[Mapping[str, Any]] | None:  # noqa: ANN401  # JSON
    """Return the rows of a DataFrame in pandas' orientation `split`."""
    try:
        frame = _FRAME.validate_python(content)
    except ValidationError:
        return None
    return [dict(zip(frame.columns, row, strict=True)) for row in frame.data if len(row) == len(frame.columns)] or None


class _Frame(BaseModel):
    """pandas' orientation `split`."""

    columns: list[str]
    data: list[list[Any]]


_FRAME = TypeAdapter(_Frame)
