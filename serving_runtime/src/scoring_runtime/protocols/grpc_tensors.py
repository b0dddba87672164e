"""Tensors in the messages of the Open Inference Protocol: raw, or in a field of their datatype. For grpc_server.py."""

from typing import Any

import numpy as np

from scoring_runtime.errors import InvalidInputError, MissingInputError
from scoring_runtime.protocols import open_inference_pb2 as messages
from scoring_runtime.protocols.binary_tensors import Shape, decode_tensor, encode_tensor, encode_text, shape_texts
from scoring_runtime.protocols.model_interface import (
    ModelInterface,
    check_asked_once,
    check_datatype,
    fit_shape,
    refuse_extensions,
    widen_tensor,
)
from scoring_runtime.tensors import DataType, Tensor, Tensors, TensorSpec, find_datatype, get_dtype

_FIELDS: dict[DataType, str] = {
    "BOOL": "bool_contents",
    "INT8": "int_contents",
    "INT16": "int_contents",
    "INT32": "int_contents",
    "INT64": "int64_contents",
    "UINT8": "uint_contents",
    "UINT16": "uint_contents",
    "UINT32": "uint_contents",
    "UINT64": "uint64_contents",
    "FP32": "fp32_contents",
    "FP64": "fp64_contents",
    "BYTES": "bytes_contents",
}
_ONLY_RAW = "FP16"


def read_inputs(interface: ModelInterface, request: messages.ModelInferRequest) -> Tensors:
    """Return the request's tensors, as many and such as the model takes. Raises RequestError."""
    raw = request.raw_input_contents
    if raw and len(raw) != len(request.inputs):
        raise InvalidInputError(
            f"raw_input_contents has {len(raw)} entries for {len(request.inputs)} inputs: send one for each."
        )
    _check_outputs(interface, request)
    tensors: dict[str, Tensor] = {}
    for index, item in enumerate(request.inputs):
        spec = interface.get_input(item.name)
        if spec.name in tensors:
            raise InvalidInputError(f"Input {spec.name!r} is there twice: send it once.")
        tensors[spec.name] = _read_input(spec, item, raw[index] if raw else None)
    return interface.check_inputs(tensors)


def write_answer(
    interface: ModelInterface, request: messages.ModelInferRequest, tensors: Tensors
) -> messages.ModelInferResponse:
    """Return the outputs that were asked for, raw when the request was, or when an output cannot be sent otherwise."""
    answer = messages.ModelInferResponse(model_name=interface.name, model_version=interface.version, id=request.id)
    names = [interface.check_output(output.name, tensors) for output in request.outputs] or list(tensors)
    datatypes = [find_datatype(tensors[name]) for name in names]
    is_raw = bool(request.raw_input_contents) or _ONLY_RAW in datatypes
    for name, datatype in zip(names, datatypes, strict=True):
        tensor = tensors[name]
        output = answer.outputs.add(name=name, datatype=datatype, shape=tensor.shape)
        if is_raw:
            answer.raw_output_contents.append(encode_tensor(tensor))
        else:
            getattr(output.contents, _FIELDS[datatype]).extend(_list_values(tensor, datatype))
    return answer


def _check_outputs(interface: ModelInterface, request: messages.ModelInferRequest) -> None:
    # A model that does not tell its outputs is asked when it has scored.
    if interface.outputs:
        for output in request.outputs:
            interface.check_output(output.name, interface.outputs)
    check_asked_once(output.name for output in request.outputs)
    for item in request.inputs:
        refuse_extensions(item.parameters)
    for output in request.outputs:
        refuse_extensions(output.parameters)


def _read_input(spec: TensorSpec, item: messages.ModelInferRequest.InferInputTensor, raw: bytes | None) -> Tensor:
    datatype = check_datatype(spec, item.datatype)
    shape = tuple(item.shape)
    if not shape or min(shape) < 0:
        raise InvalidInputError(f"Input {spec.name!r}: shape is {list(shape)}: send sizes, such as [1, 4].")
    fitting = fit_shape(spec, shape)
    if raw is None:
        tensor = _read_contents(spec.name, item.contents, datatype, shape)
    elif item.HasField("contents"):
        raise InvalidInputError(f"Input {spec.name!r} has both contents and raw_input_contents: send one of them.")
    else:
        tensor = decode_tensor(spec.name, raw, datatype, shape)
    return widen_tensor(spec, tensor.reshape(fitting))


def _read_contents(name: str, contents: messages.InferTensorContents, datatype: DataType, shape: Shape) -> Tensor:
    if datatype not in _FIELDS:
        raise InvalidInputError(f"Input {name!r} is {datatype}, which has no contents: send it as raw_input_contents.")
    field = _FIELDS[datatype]
    values = getattr(contents, field)
    if datatype == "BYTES":
        return shape_texts(name, list(values), shape)
    wanted = 1
    for size in shape:
        wanted *= size
    if len(values) != wanted:
        others = [other.name for other, _ in contents.ListFields() if other.name != field]
        found = f"contents.{others[0]}" if others else f"{len(values)} values"
        raise MissingInputError(
            f"Input {name!r}: {datatype} of the shape {list(shape)} takes {wanted} values in contents.{field}, and "
            f"{found} came."
        )
    try:
        return np.array(values, dtype=get_dtype(datatype)).reshape(shape)
    except OverflowError as error:
        raise InvalidInputError(f"Input {name!r} holds numbers beyond the range of {datatype}.") from error


def _list_values(tensor: Tensor, datatype: DataType) -> list[Any]:
    values: list[Any] = tensor.ravel().tolist()
    return [encode_text(value) for value in values] if datatype == "BYTES" else values
