"""TensorFlow Serving's REST shape: `POST /v1/models/<name>:predict` with rows (`instances`) or columns (`inputs`)."""

import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
import orjson

from scoring_runtime.errors import InvalidInputError, MissingInputError
from scoring_runtime.json_tensors import Place, write_tensor
from scoring_runtime.protocols import Handler, HttpAnswer, HttpRequest
from scoring_runtime.protocols.model_interface import ModelDirectory, ModelInterface, fit_shape, make_reader
from scoring_runtime.protocols.texts import BASE64_OBJECT, decode_base64
from scoring_runtime.service import ScoringService
from scoring_runtime.tensors import DataType, Tensor, Tensors, TensorSpec

SIGNATURE_NAME = "serving_default"

_PREDICT = re.compile(r"/v1/models/([^/:]+)(?:/versions/([^/:]+))?:predict")
_FORMS = 'send {"instances": [<one value per item>]} or {"inputs": {"<name>": [<one value per item>]}}'

_TYPES: dict[DataType, str] = {
    "BOOL": "DT_BOOL",
    "UINT8": "DT_UINT8",
    "UINT16": "DT_UINT16",
    "UINT32": "DT_UINT32",
    "UINT64": "DT_UINT64",
    "INT8": "DT_INT8",
    "INT16": "DT_INT16",
    "INT32": "DT_INT32",
    "INT64": "DT_INT64",
    "FP16": "DT_HALF",
    "FP32": "DT_FLOAT",
    "FP64": "DT_DOUBLE",
    "BYTES": "DT_STRING",
}

Json = Any


class PredictProtocol:
    """Scores rows or columns of JSON values."""

    name = "predict"

    def __init__(self, service: ScoringService, directory: ModelDirectory) -> None:
        self._service = service
        self._directory = directory
        path = f"/v1/models/{directory.name}:predict"
        self.routes: Mapping[str, Handler] = {path: partial(self.predict, directory.name, None)}

    def find(self, path: str) -> Handler | None:
        """Return the handler of a path that names a version, or another model; None for a path of no scoring."""
        match = _PREDICT.fullmatch(path)
        return partial(self.predict, match[1], match[2]) if match else None

    def predict(self, name: str, version: str | None, request: HttpRequest) -> HttpAnswer:
        """Score the values of a request; answer in the form in which they came. Raises RequestError."""
        interface = self._directory.find(name, version)
        request.check_length()
        forms: list[str] = []

        def read() -> Any:  # noqa: ANN401  # the inputs of any task
            form, values = _read_form(request.read_json())
            forms.append(form)
            return interface.task.read_tensors(_READERS[form](interface, values))

        tensors = interface.task.write_tensors(self._service.score(interface.task, read))
        return HttpAnswer(orjson.dumps(_WRITERS[forms[0]](tensors), option=orjson.OPT_SERIALIZE_NUMPY))


def _read_form(payload: Json) -> tuple[str, Json]:
    """Return the form of a request, `instances` or `inputs`, and its values."""
    forms = [form for form in _READERS if isinstance(payload, dict) and form in payload]
    if len(forms) != 1:
        raise MissingInputError(
            f"The body has {'both instances and' if forms else 'neither instances nor'} inputs: {_FORMS}."
        )
    if payload.get("signature_name", SIGNATURE_NAME) not in (SIGNATURE_NAME, ""):
        raise InvalidInputError(f"The model has one signature: leave signature_name out, or send {SIGNATURE_NAME!r}.")
    return forms[0], payload[forms[0]]


def _read_rows(interface: ModelInterface, rows: Json) -> Tensors:
    """Return the tensors of rows: of each row the value of the one input, or an object of all inputs by name."""
    if not isinstance(rows, list):
        raise MissingInputError(f"instances must be a list: {_FORMS}.")
    if not rows or not _is_named(rows[0]):
        return _read_only(interface, rows, "instances")
    names = rows[0].keys()
    if not all(_is_named(row) and row.keys() == names for row in rows):
        raise InvalidInputError("The instances name different inputs: name the same ones in each.")
    columns = {name: [row[name] for row in rows] for name in names}
    return _read_named(interface, columns, lambda name: Place("instances", f".{name}"))


def _read_columns(interface: ModelInterface, columns: Json) -> Tensors:
    """Return the tensors of columns: the values of the one input, or an object of all inputs' values by name."""
    if not _is_named(columns):
        return _read_only(interface, columns, "inputs")
    return _read_named(interface, columns, lambda name: Place(f"inputs.{name}"))


def _read_named(interface: ModelInterface, columns: Mapping[str, Json], find_place: Callable[[str], Place]) -> Tensors:
    specs = {name: interface.get_input(name) for name in columns}
    tensors = {name: _read_values(spec, columns[name], find_place(name)) for name, spec in specs.items()}
    return interface.check_inputs(tensors)


def _read_only(interface: ModelInterface, values: Json, form: str) -> Tensors:
    """Return the tensor of the one input. Raises MissingInputError when the model has several."""
    if len(interface.inputs) > 1:
        names = ", ".join(repr(name) for name in interface.inputs)
        raise MissingInputError(f"The model has several inputs, {names}: name them in each instance, or in inputs.")
    spec = next(iter(interface.inputs.values()))
    return {spec.name: _read_values(spec, values, Place(form))}


def _is_named(value: Json) -> bool:
    """Tell whether a value is an object of inputs by name: one of b64 is bytes."""
    return isinstance(value, dict) and value.keys() != BASE64_OBJECT


def _read_values(spec: TensorSpec, values: Json, place: Place) -> Tensor:
    if spec.datatype != "BYTES":
        return make_reader(spec.name, spec.datatype, spec.shape).read(values, place)
    found = np.array(values, dtype=np.object_)
    # First: numpy goes through no array of very many axes, as deep nesting makes it.
    fitting = fit_shape(spec, found.shape)
    texts = np.empty(found.size, np.object_)
    texts[:] = [value if value is None and spec.nullable else _read_text(spec.name, value) for value in found.flat]
    return texts.reshape(fitting)


def _read_text(name: str, value: Json) -> str | bytes:
    if isinstance(value, str):
        return value
    if isinstance(value, dict) and value.keys() == BASE64_OBJECT:
        return decode_base64(name, value["b64"])
    raise InvalidInputError(
        f'Input {name!r} holds other values than texts: send texts, or bytes as {{"b64": "<base64>"}}.'
    )


def _write_rows(tensors: Tensors) -> Json:
    """Return the items: of one output its values, of several an object of them by name."""
    values = {name: write_tensor(tensor) for name, tensor in tensors.items()}
    if len(values) == 1:
        return {"predictions": next(iter(values.values()))}
    return {"predictions": [dict(zip(values, row, strict=True)) for row in zip(*values.values(), strict=True)]}


def _write_columns(tensors: Tensors) -> Json:
    values = {name: write_tensor(tensor) for name, tensor in tensors.items()}
    return {"outputs": next(iter(values.values())) if len(values) == 1 else values}


def describe_signature(interface: ModelInterface) -> Json:
    """Return the model's signature as TensorFlow Serving's metadata has it."""
    described = {
        "inputs": {spec.name: _describe_tensor(spec) for spec in interface.inputs.values()},
        "outputs": {spec.name: _describe_tensor(spec) for spec in interface.outputs.values()},
        "method_name": "tensorflow/serving/predict",
    }
    return {
        "model_spec": {"name": interface.name, "signature_name": "", "version": interface.version},
        "metadata": {"signature_def": {"signature_def": {SIGNATURE_NAME: described}}},
    }


def _describe_tensor(spec: TensorSpec) -> Json:
    # int64 stands as text in the JSON of a protobuf message.
    sizes = [{"size": str(size), "name": ""} for size in spec.shape]
    return {"dtype": _TYPES[spec.datatype], "tensor_shape": {"dim": sizes, "unknown_rank": False}, "name": spec.name}


_READERS = {"instances": _read_rows, "inputs": _read_columns}
_WRITERS = {"instances": _write_rows, "inputs": _write_columns}
