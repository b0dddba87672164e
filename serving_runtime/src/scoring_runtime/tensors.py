"""Named tensors and the signature that describes them, in the words of the Open Inference Protocol. Beside manifest.py.

A tensor is a numpy array; texts and other bytes (BYTES) are an array of Python objects. The first axis counts the items.
"""

from collections.abc import Mapping
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator

Tensor: TypeAlias = NDArray[Any]
Tensors: TypeAlias = Mapping[str, Tensor]
DataType = Literal[
    "BOOL", "UINT8", "UINT16", "UINT32", "UINT64", "INT8", "INT16", "INT32", "INT64", "FP16", "FP32", "FP64", "BYTES"
]

ANY_SIZE = -1
"""The size of an axis that may differ from request to request."""

_DTYPES: dict[DataType, np.dtype[Any]] = {
    "BOOL": np.dtype(np.bool_),
    "UINT8": np.dtype(np.uint8),
    "UINT16": np.dtype(np.uint16),
    "UINT32": np.dtype(np.uint32),
    "UINT64": np.dtype(np.uint64),
    "INT8": np.dtype(np.int8),
    "INT16": np.dtype(np.int16),
    "INT32": np.dtype(np.int32),
    "INT64": np.dtype(np.int64),
    "FP16": np.dtype(np.float16),
    "FP32": np.dtype(np.float32),
    "FP64": np.dtype(np.float64),
    "BYTES": np.dtype(np.object_),
}
_DATATYPES: dict[np.dtype[Any], DataType] = {dtype: name for name, dtype in _DTYPES.items()}
_TEXT_KINDS = "OSU"


class TensorSpec(BaseModel):
    """One tensor of a signature: its name, its datatype and its shape, with -1 for a size that varies.

    Texts may be missing (None) where it is `nullable`; floats always may, as NaN.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(min_length=1)
    datatype: DataType
    shape: tuple[int, ...] = Field(min_length=1)
    nullable: bool = False

    @field_validator("nullable")
    @classmethod
    def _check_nullable(cls, nullable: bool, info: ValidationInfo) -> bool:  # as pydantic calls it
        if nullable and info.data.get("datatype") != "BYTES":
            raise ValueError("only BYTES can be nullable: floats are null where they are NaN, other types never are")
        return nullable


class Signature(BaseModel):
    """The tensors that a model takes and gives, the first axis of each counting the items."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    inputs: tuple[TensorSpec, ...] = Field(min_length=1)
    outputs: tuple[TensorSpec, ...] = ()

    def is_batched(self) -> bool:
        """Tell whether several items may be scored at once: every input's first axis has any size."""
        return all(spec.shape[0] == ANY_SIZE for spec in self.inputs)


def get_dtype(datatype: DataType) -> np.dtype[Any]:
    """Return the numpy type of a datatype: `object` for BYTES."""
    return _DTYPES[datatype]


def find_datatype(tensor: Tensor) -> DataType:
    """Return the datatype of an array: BYTES for texts and objects. Raises KeyError for what no datatype can say."""
    return "BYTES" if tensor.dtype.kind in _TEXT_KINDS else _DATATYPES[tensor.dtype.newbyteorder("=")]


def is_shape(shape: tuple[int, ...], wanted: tuple[int, ...]) -> bool:
    """Tell whether a shape is the wanted one, in which -1 stands for any size."""
    return len(shape) == len(wanted) and all(wish in (ANY_SIZE, size) for size, wish in zip(shape, wanted, strict=True))
