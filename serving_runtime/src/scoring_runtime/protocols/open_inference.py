"""The Open Inference Protocol, version 2, over REST: `POST /v2/models/<name>/infer`, with the binary tensor extension.

Written from the public specification (and Triton's of the extension). Its GET routes are in pages.py, its gRPC side in
grpc_server.py.
"""

import math
import re
from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any

import numpy as np
import orjson

from scoring_runtime.errors import InvalidInputError, InvalidJsonError, MissingInputError
from scoring_runtime.json_tensors import Place, is_text
from scoring_runtime.protocols import JSON, Handler, HttpAnswer, HttpRequest, parse_json, parse_length
from scoring_runtime.protocols.binary_tensors import Shape, decode_tensor, encode_tensor
from scoring_runtime.protocols.model_interface import (
    ModelDirectory,
    ModelInterface,
    check_asked_once,
    check_datatype,
    fit_shape,
    make_reader,
    refuse_extensions,
    widen_tensor,
)
from scoring_runtime.protocols.texts import decode_tensor as decode_texts
from scoring_runtime.protocols.texts import list_texts
from scoring_runtime.service import ScoringService
from scoring_runtime.tensors import DataType, Tensor, Tensors, TensorSpec, find_datatype

HEADER_LENGTH = "Inference-Header-Content-Length"
BINARY = "application/octet-stream"

_INFER = re.compile(r"/v2/models/([^/]+)(?:/versions/([^/]+))?/infer")

Json = Any


class OpenInferenceProtocol:
    """Scores named tensors of JSON or bytes."""

    name = "open-inference"

    def __init__(self, service: ScoringService, directory: ModelDirectory) -> None:
        self._service = service
        self._directory = directory
        self.routes: Mapping[str, Handler] = {
            f"/v2/models/{directory.name}/infer": partial(self.infer, directory.name, None)
        }

    def find(self, path: str) -> Handler | None:
        """Return the handler of a path that names a version, or another model; None for a path of no scoring."""
        match = _INFER.fullmatch(path)
        return partial(self.infer, match[1], match[2]) if match else None

    def infer(self, name: str, version: str | None, request: HttpRequest) -> HttpAnswer:
        """Score the tensors of a request. Raises RequestError."""
        exchange = _Exchange(self._directory.find(name, version), request)
        task = exchange.interface.task
        outputs = self._service.score(task, lambda: task.read_tensors(exchange.read()))
        return exchange.answer(task.write_tensors(outputs))


class _Exchange:
    """One request and its answer: what is read of the first decides how the second is written."""

    __slots__ = ("_id", "_outputs", "_parameters", "_request", "interface")

    def __init__(self, interface: ModelInterface, request: HttpRequest) -> None:
        self.interface = interface
        self._request = request
        request.check_length()

    def read(self) -> Tensors:
        """Return the request's tensors, as many and such as the model takes. Raises RequestError."""
        header, binary = _split(self._request.read(), self._request.get_header(HEADER_LENGTH))
        payload = parse_json(header)
        if not isinstance(payload, dict) or not isinstance(payload.get("inputs"), list):
            raise MissingInputError('The body has no inputs: send a JSON object such as {"inputs": [{"name": …}]}.')
        self._id = _read_id(payload)
        self._parameters = _get_parameters(payload)
        self._outputs = self._read_outputs(payload.get("outputs"))
        return self.interface.check_inputs(_read_inputs(self.interface, payload["inputs"], binary))

    def answer(self, tensors: Tensors) -> HttpAnswer:
        """Return the answer with the outputs that were asked for, as bytes where they were."""
        is_binary = self._parameters.get("binary_data_output") is True
        wanted: Iterable[tuple[Json, bool]] = self._outputs or [(name, is_binary) for name in tensors]
        described, binary = [], []
        for name, as_bytes in wanted:
            tensor = tensors[self.interface.check_output(name, tensors)]
            content = encode_tensor(tensor) if as_bytes else None
            described.append(_write_output(name, tensor, content))
            binary += [] if content is None else [content]
        header = orjson.dumps(self._describe(described), option=orjson.OPT_SERIALIZE_NUMPY)
        if not binary:
            return HttpAnswer(header, JSON)
        return HttpAnswer(b"".join([header, *binary]), BINARY, ((HEADER_LENGTH, str(len(header))),))

    def _describe(self, outputs: list[Json]) -> Json:
        answer = {"model_name": self.interface.name, "model_version": self.interface.version, "outputs": outputs}
        if self._id is not None:
            answer["id"] = self._id
        return answer

    def _read_outputs(self, asked: Json) -> list[tuple[Json, bool]]:
        """Return the names of the outputs asked for, each with whether it is sent as bytes; none for all."""
        if not asked:
            return []
        if not isinstance(asked, list) or not all(isinstance(output, dict) for output in asked):
            raise InvalidInputError('outputs must be a list of objects: send [{"name": …}], or leave it out for all.')
        default = self._parameters.get("binary_data_output", False)
        outputs = [self._read_output(output, default) for output in asked]
        check_asked_once(name for name, _ in outputs if isinstance(name, str))
        return outputs

    def _read_output(self, output: dict[str, Json], default: Json) -> tuple[Json, bool]:
        parameters = _get_parameters(output)
        refuse_extensions(parameters)
        name = output.get("name")
        # A model that does not tell its outputs is asked for this one when it has scored.
        if self.interface.outputs:
            self.interface.check_output(name, self.interface.outputs)
        return name, parameters.get("binary_data", default) is True


def _split(body: bytes, header_length: str | None) -> tuple[bytes, memoryview]:
    """Return the JSON and the bytes behind it. Raises InvalidInputError when the header tells no such length."""
    if header_length is None:
        return body, memoryview(b"")
    length = parse_length(header_length)
    if length is None or length > len(body):
        raise InvalidInputError(
            f"{HEADER_LENGTH} is {header_length!r}, and the body has {len(body)} bytes: send the length of its JSON."
        )
    if length == 0:
        raise InvalidJsonError(f"{HEADER_LENGTH} is 0: send the JSON that describes the tensors before their bytes.")
    content = memoryview(body)
    return body[:length], content[length:]


def _read_inputs(interface: ModelInterface, inputs: list[Json], binary: memoryview) -> dict[str, Tensor]:
    tensors: dict[str, Tensor] = {}
    start = 0
    for item in inputs:
        if not isinstance(item, dict):
            raise InvalidInputError("Each of inputs must be an object with name, shape, datatype and data.")
        spec = interface.get_input(item.get("name"))
        if spec.name in tensors:
            raise InvalidInputError(f"Input {spec.name!r} is there twice: send it once.")
        parameters = _get_parameters(item)
        end = start + _read_size(spec.name, parameters, len(binary) - start)
        tensors[spec.name] = _read_input(spec, item, parameters, binary[start:end])
        start = end
    if start != len(binary):
        raise InvalidInputError(
            f"{len(binary) - start} bytes follow the last tensor: give each input's size as its parameter "
            f"binary_data_size, and the length of the JSON as {HEADER_LENGTH}."
        )
    return tensors


def _read_size(name: str, parameters: Mapping[str, Json], left: int) -> int:
    """Return how many of the bytes left are this input's."""
    size = parameters.get("binary_data_size", 0)
    if type(size) is not int or not 0 <= size <= left:
        raise InvalidInputError(
            f"Input {name!r}: binary_data_size is {size!r}, and {left} bytes are left behind the JSON. "
            f"Send as many bytes as it says, and the length of the JSON as {HEADER_LENGTH}."
        )
    return size


def _read_input(spec: TensorSpec, item: dict[str, Json], parameters: Mapping[str, Json], content: memoryview) -> Tensor:
    datatype = check_datatype(spec, item.get("datatype"))
    shape = read_shape(spec.name, item.get("shape"))
    fitting = fit_shape(spec, shape)
    if "binary_data_size" not in parameters:
        tensor = _read_values(spec, item.get("data"), (datatype, shape), parameters)
    elif "data" in item:
        raise InvalidInputError(f"Input {spec.name!r} has both data and binary_data_size: send one of them.")
    else:
        tensor = decode_tensor(spec.name, content, datatype, shape)
    return widen_tensor(spec, tensor.reshape(fitting))


def _read_values(spec: TensorSpec, data: Json, kind: tuple[DataType, Shape], parameters: Mapping[str, Json]) -> Tensor:
    """Return the elements of a tensor, nested in its shape or as one flat list."""
    refuse_extensions(parameters)
    if not isinstance(data, list):
        raise MissingInputError(f"Input {spec.name!r} has no data: send its elements as a list, or as bytes.")
    datatype, shape = kind
    is_nested = bool(data) and isinstance(data[0], list)
    is_encoded = datatype == "BYTES" and parameters.get("content_type") == "base64"
    reader = make_reader(
        spec.name, datatype, shape if is_nested else (math.prod(shape),), nullable=spec.nullable and not is_encoded
    )
    tensor = reader.read(data, Place(f"data of {spec.name!r}: element "))
    return decode_texts(spec.name, tensor) if is_encoded else tensor


def read_shape(name: str, shape: Json) -> Shape:
    """Return a shape of JSON. Raises InvalidInputError unless it is a list of sizes."""
    if isinstance(shape, list) and shape and all(type(size) is int and size >= 0 for size in shape):
        return tuple(shape)
    raise InvalidInputError(f"Input {name!r}: shape is {shape!r}: send a list of sizes, such as [1, 4].")


def _write_output(name: str, tensor: Tensor, content: bytes | None) -> Json:
    described: dict[str, Json] = {"name": name, "datatype": find_datatype(tensor), "shape": tensor.shape}
    if content is not None:
        described["parameters"] = {"binary_data_size": len(content)}
        return described
    if not is_text(tensor):
        described["data"] = np.ascontiguousarray(tensor).reshape(-1)
        return described
    described["data"], is_base64 = list_texts(tensor)
    if is_base64:
        described["parameters"] = {"content_type": "base64"}
    return described


def _read_id(payload: Mapping[str, Json]) -> str | None:
    """Return the caller's id of a request, which the answer carries; None without one. Raises InvalidInputError for what is no text."""
    given = payload.get("id")
    if given is not None and not isinstance(given, str):
        raise InvalidInputError("id must be a text: it comes back in the answer.")
    return given


def _get_parameters(part: Mapping[str, Json]) -> Mapping[str, Json]:
    parameters = part.get("parameters")
    if parameters is None:
        return {}
    if not isinstance(parameters, dict):
        raise InvalidInputError("parameters must be an object: correct it, or leave it out.")
    return parameters
