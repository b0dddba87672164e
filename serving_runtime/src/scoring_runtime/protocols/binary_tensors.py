"""Tensors as bytes, as the Open Inference Protocol has them: over HTTP (binary extension) and gRPC (raw contents).

Elements lie row by row and little-endian, a BOOL is one byte, and each element of BYTES stands behind its length in 4 bytes.
"""

import math

import numpy as np

from scoring_runtime.errors import InvalidInputError
from scoring_runtime.tensors import DataType, Tensor, get_dtype

_LENGTH_BYTES = 4

Shape = tuple[int, ...]
Buffer = bytes | memoryview


def decode_tensor(name: str, content: Buffer, datatype: DataType, shape: Shape) -> Tensor:
    """Return the tensor that the bytes hold. Raises InvalidInputError, naming it, unless they are as long as they must be."""
    if datatype == "BYTES":
        return _decode_texts(name, content, shape)
    # A BOOL that is neither 0 nor 1 is true; numpy would keep such a byte as it is.
    dtype = np.dtype(np.uint8) if datatype == "BOOL" else get_dtype(datatype).newbyteorder("<")
    wanted = math.prod(shape) * dtype.itemsize
    if len(content) != wanted:
        raise InvalidInputError(
            f"Input {name!r}: {datatype} of the shape {list(shape)} takes {wanted} bytes, and {len(content)} came. "
            "Send the elements row by row, little-endian."
        )
    stored = np.frombuffer(content, dtype).reshape(shape)
    # A copy, since what lies in a request's body can be neither written to nor trusted to be aligned.
    return stored != 0 if datatype == "BOOL" else stored.astype(get_dtype(datatype))


def encode_tensor(tensor: Tensor) -> bytes:
    """Return a tensor as bytes: texts in UTF-8."""
    if tensor.dtype.kind in "OSU":
        return b"".join(_encode_texts(tensor))
    return np.ascontiguousarray(tensor, tensor.dtype.newbyteorder("<")).tobytes()


def encode_text(value: object) -> bytes:
    """Return one element of a BYTES tensor as bytes."""
    return value if isinstance(value, bytes) else str(value).encode()


def _encode_texts(tensor: Tensor) -> list[bytes]:
    parts: list[bytes] = []
    for value in tensor.ravel().tolist():
        text = encode_text(value)
        parts += (len(text).to_bytes(_LENGTH_BYTES, "little"), text)
    return parts


def _decode_texts(name: str, content: Buffer, shape: Shape) -> Tensor:
    """Return an array of bytes objects."""
    texts: list[bytes] = []
    start = 0
    while start < len(content):
        first = start + _LENGTH_BYTES
        end = first + int.from_bytes(content[start:first], "little")
        if first > len(content) or end > len(content):
            raise InvalidInputError(
                f"Input {name!r} ends within its element {len(texts)}: send each element's length in {_LENGTH_BYTES} bytes, "
                "little-endian, and then as many bytes."
            )
        texts.append(bytes(content[first:end]))
        start = end
    return shape_texts(name, texts, shape)


def shape_texts(name: str, texts: list[bytes] | list[str], shape: Shape) -> Tensor:
    """Return texts as a tensor of this shape. Raises InvalidInputError when there are more or fewer."""
    if len(texts) != math.prod(shape):
        raise InvalidInputError(
            f"Input {name!r}: the shape {list(shape)} has {math.prod(shape)} elements, and {len(texts)} came."
        )
    tensor = np.empty(len(texts), np.object_)
    tensor[:] = texts
    return tensor.reshape(shape)
