"""Texts and bytes of BYTES tensors as JSON has them: text where it is text, base64 where it is not."""

from base64 import b64decode, b64encode

import numpy as np

from scoring_runtime.errors import InvalidInputError
from scoring_runtime.tensors import Tensor

BASE64_OBJECT = frozenset(("b64",))
"""The keys of TensorFlow Serving's object for bytes."""


def decode_base64(name: str, text: object) -> bytes:
    """Return the bytes of a base64 text. Raises InvalidInputError, naming the input."""
    try:
        return b64decode(text, validate=True)  # type: ignore[arg-type]  # a TypeError is explained like the rest
    except (ValueError, TypeError) as error:
        raise InvalidInputError(f"Input {name!r} is not base64: encode its bytes as standard base64.") from error


def decode_tensor(name: str, texts: Tensor) -> Tensor:
    """Return a tensor of base64 texts as one of bytes. Raises InvalidInputError, naming the input."""
    decoded = np.empty(texts.size, np.object_)
    decoded[:] = [decode_base64(name, text) for text in texts.flat]
    return decoded.reshape(texts.shape)


def list_texts(tensor: Tensor) -> tuple[list[str], bool]:
    """Return the texts of a tensor, row by row, and whether they are base64: all are when one is no text."""
    values = tensor.ravel().tolist()
    try:
        return [value.decode() if isinstance(value, bytes) else str(value) for value in values], False
    except UnicodeDecodeError:
        return [_encode_base64(value) for value in values], True


def _encode_base64(value: object) -> str:
    return b64encode(value if isinstance(value, bytes) else str(value).encode()).decode()
