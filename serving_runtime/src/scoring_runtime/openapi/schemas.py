"""JSON schemas of requests and answers, from a model's signature and task. Below document.py."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from scoring_runtime.model import ServedModel
from scoring_runtime.protocols.model_interface import DATATYPES, ModelInterface
from scoring_runtime.tensors import ANY_SIZE, Tensor, TensorSpec, get_dtype

JSON_TYPE = "application/json"

Json = Any

# A longer example hides what it should show.
_MAX_EXAMPLE_VALUES = 64
_TEXT = {"type": "string"}
_ANY: Json = {}
_ROWS_OF_MATCHES = {
    "type": "array",
    "description": "The best matches, most probable first: id, answer id and probability.",
    "items": {"type": "array", "prefixItems": [{}, {}, {"type": "number"}], "minItems": 3, "maxItems": 3},
}
_LABELS_BY_IMAGE = {
    "type": "object",
    "description": "Of each image by its name, the most probable labels, most probable first.",
    "additionalProperties": {
        "type": "array",
        "items": {"type": "array", "prefixItems": [_TEXT, {"type": "number"}], "minItems": 2, "maxItems": 2},
    },
}


def describe_score(model: ServedModel, interface: ModelInterface) -> tuple[Json, Json]:
    """Return the content of a request to /score, by media type, and the schema of its answer."""
    described = {
        "faq-matching": ({"type": "string", "description": "The question.", "minLength": 1}, _ROWS_OF_MATCHES),
        "image-classification": (_describe_images(), _LABELS_BY_IMAGE),
        "prediction": (_describe_items(interface), _describe_answer(interface)),
    }
    wanted, answer = described.get(model.manifest.task, (_ANY, _ANY))
    schema = {"type": "object", "properties": {"input": wanted}, "required": ["input"]}
    content: Json = {JSON_TYPE: {"schema": schema}}
    example = model.task.make_example().payload
    if example is not None:
        content[JSON_TYPE]["example"] = example
    for media_type in model.task.file_types:
        content[media_type] = {"schema": _describe_file(media_type)}
    time = {"type": "string", "description": "How long it took: Computed in X ms."}
    result = {"type": "array", "prefixItems": [answer, time], "minItems": 2, "maxItems": 2}
    return content, {"type": "object", "properties": {"result": result}, "required": ["result"]}


def describe_inference_request(interface: ModelInterface) -> Json:
    """Return the schema of an infer request. (With the binary extension, bytes follow the JSON.)"""
    datatypes = sorted(DATATYPES)
    properties = {
        "name": {"type": "string", "enum": list(interface.inputs)},
        "shape": {"type": "array", "items": {"type": "integer", "minimum": 0}, "minItems": 1},
        "datatype": {"type": "string", "enum": datatypes},
        "parameters": {"type": "object"},
        "data": {"type": "array", "description": "The elements, nested in their shape or flat, row by row."},
    }
    inputs = {"type": "object", "properties": properties, "required": ["name", "shape", "datatype"]}
    names = {"enum": list(interface.outputs)} if interface.outputs else {}
    outputs = {
        "type": "object",
        "properties": {"name": {"type": "string", **names}, "parameters": {"type": "object"}},
        "required": ["name"],
    }
    return {
        "type": "object",
        "properties": {
            "id": {"type": "string", "description": "Comes back in the answer."},
            "parameters": {"type": "object"},
            "inputs": {"type": "array", "items": inputs, "minItems": len(interface.inputs)},
            "outputs": {"type": "array", "items": outputs, "description": "Those wanted; all when left out."},
        },
        "required": ["inputs"],
    }


def describe_inference_answer(interface: ModelInterface) -> Json:
    """Return the schema of an infer answer."""
    properties = {
        "name": _TEXT,
        "datatype": {"type": "string", "enum": sorted(DATATYPES)},
        "shape": {"type": "array", "items": {"type": "integer"}},
        "data": {"type": "array", "description": "The elements, row by row."},
        "parameters": {"type": "object"},
    }
    output = {"type": "object", "properties": properties, "required": ["name", "datatype", "shape"]}
    return {
        "type": "object",
        "properties": {
            "model_name": {"const": interface.name},
            "model_version": {"const": interface.version},
            "id": _TEXT,
            "outputs": {"type": "array", "items": output},
        },
        "required": ["model_name", "outputs"],
    }


def describe_predict_request(interface: ModelInterface) -> Json:
    """Return the schema of a predict request: rows as `instances`, or columns as `inputs`."""
    specs = interface.inputs
    row = _describe_object({name: _describe_item(spec) for name, spec in specs.items()})
    columns = _describe_object({name: _describe_tensor(spec) for name, spec in specs.items()})
    only = [_describe_item(spec) for spec in specs.values()] if len(specs) == 1 else []
    whole = [_describe_tensor(spec) for spec in specs.values()] if len(specs) == 1 else []
    instances = {"type": "array", "items": {"anyOf": [*only, row]}, "minItems": 1}
    return {
        "anyOf": [
            {"type": "object", "properties": {"instances": instances}, "required": ["instances"]},
            {"type": "object", "properties": {"inputs": {"anyOf": [*whole, columns]}}, "required": ["inputs"]},
        ]
    }


def describe_predict_answer() -> Json:
    """Return the schema of a predict answer: `predictions` for rows, `outputs` for columns."""
    return {
        "anyOf": [
            {"type": "object", "properties": {"predictions": {"type": "array"}}, "required": ["predictions"]},
            {"type": "object", "properties": {"outputs": {"type": ["array", "object"]}}, "required": ["outputs"]},
        ]
    }


def make_example_tensors(model: ServedModel, interface: ModelInterface) -> dict[str, Tensor] | None:
    """Return the manifest's example as tensors, else what the task makes up; None when that would be too long to read."""
    read = _read_example(model, interface)
    tensors = {name: read.get(name, _make_tensor(spec)) for name, spec in interface.inputs.items()}
    return None if sum(tensor.size for tensor in tensors.values()) > _MAX_EXAMPLE_VALUES else tensors


def _read_example(model: ServedModel, interface: ModelInterface) -> Mapping[str, Tensor]:
    if model.manifest.task == "prediction":
        tensors: Mapping[str, Tensor] = model.task.read(model.task.make_example())
        return tensors
    example = model.manifest.example
    if example is None:
        return {}
    only = next(iter(interface.inputs.values()))
    given = example.get("input")
    is_text = only.datatype == "BYTES" and only.shape == (ANY_SIZE,) and isinstance(given, str)
    return {only.name: np.array([given], dtype=np.object_)} if is_text else {}


def _make_tensor(spec: TensorSpec) -> Tensor:
    shape = [1 if size == ANY_SIZE else size for size in spec.shape]
    return np.full(shape, "text" if spec.datatype == "BYTES" else 0, dtype=get_dtype(spec.datatype))


def _describe_images() -> Json:
    return {
        "type": "object",
        "description": "Images by name, each a file (such as JPEG or PNG) in base64.",
        "additionalProperties": {"type": "string", "contentEncoding": "base64"},
        "minProperties": 1,
    }


def _describe_file(media_type: str) -> Json:
    if media_type == "multipart/form-data":
        image = {"type": "string", "contentMediaType": "application/octet-stream"}
        return {"type": "object", "description": "Images, each a file by its name.", "additionalProperties": image}
    return {"type": "string", "contentMediaType": "application/octet-stream", "description": "One file."}


def _describe_items(interface: ModelInterface) -> Json:
    specs = interface.inputs
    record = _describe_object({name: _describe_item(spec) for name, spec in specs.items()})
    columns = _describe_object({name: _describe_tensor(spec) for name, spec in specs.items()})
    only = [_describe_tensor(spec) for spec in specs.values()] if len(specs) == 1 else []
    return {"anyOf": [*only, {"type": "array", "items": record, "minItems": 1}, columns]}


def _describe_answer(interface: ModelInterface) -> Json:
    specs = interface.outputs
    if not specs:
        return _ANY
    described = {name: _describe_tensor(spec) for name, spec in specs.items()}
    return next(iter(described.values())) if len(described) == 1 else _describe_object(described)


def _describe_object(properties: Json) -> Json:
    return {"type": "object", "properties": properties, "required": list(properties)}


def _describe_tensor(spec: TensorSpec) -> Json:
    return _describe_nested(spec, spec.shape)


def _describe_item(spec: TensorSpec) -> Json:
    return _describe_nested(spec, spec.shape[1:])


def _describe_nested(spec: TensorSpec, shape: tuple[int, ...]) -> Json:
    """Return the schema of a nested list, the size of whose every axis is given or free."""
    if not shape:
        return _describe_value(spec)
    sizes = {} if shape[0] == ANY_SIZE else {"minItems": shape[0], "maxItems": shape[0]}
    return {"type": "array", "items": _describe_nested(spec, shape[1:]), **sizes}


def _describe_value(spec: TensorSpec) -> Json:
    datatype = spec.datatype
    if datatype == "BYTES":
        return {"type": ["string", "null"]} if spec.nullable else _TEXT
    if datatype == "BOOL":
        return {"type": "boolean"}
    if datatype.startswith("FP"):
        return {"type": ["number", "null"], "description": f"{datatype}; null: not a number."}
    limits = np.iinfo(get_dtype(datatype))
    return {"type": "integer", "minimum": int(limits.min), "maximum": int(limits.max)}
