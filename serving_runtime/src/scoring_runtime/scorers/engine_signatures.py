"""What a model in ONNX Runtime or OpenVINO tells of its tensors. Used by engines.py.

The shapes of outputs may be known only once they are computed (by ONNX Runtime; OpenVINO refuses such a model). Then the signature
has no outputs: the task learns them from the answer to the example.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import onnxruntime

from scoring_runtime.errors import ModelInvalidError
from scoring_runtime.tensors import ANY_SIZE, DataType, Signature, Tensors, TensorSpec, find_datatype

_DATATYPES: dict[str, DataType] = {
    "tensor(float)": "FP32", "tensor(double)": "FP64", "tensor(float16)": "FP16", "tensor(string)": "BYTES",
    "tensor(bool)": "BOOL", "tensor(int8)": "INT8", "tensor(int16)": "INT16", "tensor(int32)": "INT32",
    "tensor(int64)": "INT64", "tensor(uint8)": "UINT8", "tensor(uint16)": "UINT16", "tensor(uint32)": "UINT32",
    "tensor(uint64)": "UINT64",
}  # fmt: skip


def read_session(session: onnxruntime.InferenceSession) -> Signature:
    """Return the tensors of a model in ONNX Runtime. Raises ModelInvalidError for inputs that no request can carry."""
    given = session.get_inputs()
    for value in given:
        if value.type not in _DATATYPES or not value.shape:
            raise _explain_input(value.name, f"{value.type} of the shape {value.shape}")
    return _make_signature(
        [(value.name, _DATATYPES[value.type], _get_sizes(value)) for value in given],
        [(value.name, _DATATYPES[value.type], _get_sizes(value)) for value in _list_tensors(session)],
    )


def list_session_outputs(session: onnxruntime.InferenceSession) -> list[str]:
    """Return the names of the outputs that are tensors: the maps of scikit-learn's converters have no place in any protocol."""
    return [value.name for value in _list_tensors(session)]


def read_ports(inputs: Sequence[Any], outputs: Sequence[Any]) -> Signature:
    """Return the tensors of a model in OpenVINO. Raises ModelInvalidError for inputs that no request can carry."""
    given = _describe_ports(inputs)
    for name, datatype, shape in given:
        if not shape:
            raise _explain_input(name, f"{datatype} of the shape {list(shape)}")
    return _make_signature(given, _describe_ports(outputs))


def list_port_names(ports: Sequence[Any]) -> list[str]:
    """Return the names of the ports; a port without one is named by its place."""
    return [port.get_any_name() if port.get_names() else f"output_{row}" for row, port in enumerate(ports)]


def leave_out_scalars(outputs: Tensors) -> Tensors:
    """Return the outputs without single numbers, such as a loss beside the answers; all of them when there is nothing else."""
    kept = {name: tensor for name, tensor in outputs.items() if tensor.ndim > 0}
    return kept or outputs


def _make_signature(
    inputs: Iterable[tuple[str, DataType, Sequence[int]]], outputs: Sequence[tuple[str, DataType, Sequence[int]]]
) -> Signature:
    is_known = all(shape for _, _, shape in outputs)
    return Signature(inputs=_make_specs(inputs), outputs=_make_specs(outputs) if is_known else ())


def _make_specs(values: Iterable[tuple[str, DataType, Sequence[int]]]) -> tuple[TensorSpec, ...]:
    return tuple(TensorSpec(name=name, datatype=datatype, shape=tuple(shape)) for name, datatype, shape in values)


def _list_tensors(session: onnxruntime.InferenceSession) -> list[Any]:
    return [value for value in session.get_outputs() if value.type in _DATATYPES]


def _get_sizes(value: Any) -> list[int]:  # noqa: ANN401  # onnxruntime.NodeArg
    """Return the sizes of the axes: none both of a single number and of a tensor of any number of axes."""
    return [size if isinstance(size, int) else ANY_SIZE for size in value.shape]


def _describe_ports(ports: Sequence[Any]) -> list[tuple[str, DataType, Sequence[int]]]:
    return [
        (
            name,
            find_datatype(np.empty(0, port.get_element_type().to_dtype())),
            [ANY_SIZE if size.is_dynamic else size.get_length() for size in port.get_partial_shape()],
        )
        for name, port in zip(list_port_names(ports), ports, strict=True)
    ]


def _explain_input(name: str, kind: str) -> ModelInvalidError:
    return ModelInvalidError(
        f"The model's input {name!r} is a {kind}: export it so that it takes tensors whose first axis counts the items."
    )
