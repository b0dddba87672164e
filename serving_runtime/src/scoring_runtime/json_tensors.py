"""Reads JSON values as tensors of a signature, strictly, and says where a value is wrong; writes tensors as JSON. Below tasks.

Strict, because a model answers wrong input as readily as right input: a text is no number, true is no 1, 3.5 is no integer.
null is a missing number (NaN) where the datatype has one, and a missing text where the signature says so. numpy converts; only
when that fails, or gives another shape, is the value walked through to find the place.
"""

from base64 import b64encode
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np

from scoring_runtime.errors import InvalidInputError
from scoring_runtime.tensors import ANY_SIZE, DataType, Tensor, TensorSpec, get_dtype, is_shape

Json = Any

_FLOATS: tuple[DataType, ...] = ("FP16", "FP32", "FP64")
_INTEGERS: tuple[DataType, ...] = ("INT8", "INT16", "INT32", "INT64", "UINT8", "UINT16", "UINT32", "UINT64")
# The types of JSON values, as orjson reads them, that each datatype takes.
_TYPES: Mapping[DataType, frozenset[Any]] = {
    "BOOL": frozenset({bool}),
    "BYTES": frozenset({str}),
    **dict.fromkeys(_INTEGERS, frozenset({int, float})),
    **dict.fromkeys(_FLOATS, frozenset({int, float, type(None)})),
}
# Whole numbers up to here are exact in 64-bit floats, as which some programs write integers.
_EXACT = 2.0**53
_SHOWN_CHARACTERS = 40


@dataclass(frozen=True, slots=True)
class Place:
    """Where a tensor's values stand in the request: its first index goes between `before` and `after`."""

    before: str
    after: str = ""

    def show(self, indices: Sequence[int]) -> str:
        """Return the place of one value, as in `input[3].age[0]`."""
        if not indices:
            return self.before + self.after
        return f"{self.before}[{indices[0]}]{self.after}" + "".join(f"[{index}]" for index in indices[1:])


class TensorReader:
    """Reads one tensor of a signature; made once, because requests are many and small."""

    def __init__(self, spec: TensorSpec) -> None:
        self.spec = spec
        self._types = _TYPES[spec.datatype] | ({type(None)} if spec.nullable else set())
        self._dtype = get_dtype(spec.datatype)
        self._is_whole = spec.datatype in _INTEGERS
        # numpy makes them infinite without a word when it reads numbers too large from a list.
        self._is_narrow = spec.datatype in ("FP16", "FP32")

    def read(self, value: Json, place: Place) -> Tensor:
        """Return a nested list as an array of the spec's datatype and shape. Raises InvalidInputError, naming the place."""
        tensor = self._convert(value)
        if tensor is None or not tensor.size or not is_shape(tensor.shape, self.spec.shape):
            raise self._explain(value, place)
        return tensor

    def _convert(self, value: Json) -> Tensor | None:
        """Return an array of whatever shape; None when a value cannot be converted."""
        try:
            leaves: Iterable[Json] = value
            for _ in self.spec.shape[1:]:
                leaves = chain.from_iterable(leaves)
            found = set(map(type, leaves))
            if not found <= self._types:
                return None
            if self._is_narrow:
                with np.errstate(over="raise"):
                    return np.array(value, dtype=np.float64).astype(self._dtype)
            if self._is_whole and found == {float}:
                return _convert_whole(np.array(value, dtype=np.float64), self._dtype)
            if self._is_whole and float in found:
                # As floats, the integers among them would be rounded.
                return np.array(_make_whole(value), dtype=self._dtype)
            return np.array(value, dtype=self._dtype)
        except (TypeError, ValueError, OverflowError, FloatingPointError):
            return None

    def _explain(self, value: Json, place: Place) -> InvalidInputError:
        indices, what = next(self._find_problems(value, list(self.spec.shape), ()), ((), "cannot be read"))
        return InvalidInputError(
            f"{place.show(indices)} {what}. The model takes {self.spec.name} {describe_spec(self.spec)}."
        )

    def _find_problems(
        self, value: Json, sizes: list[int], indices: tuple[int, ...]
    ) -> Iterator[tuple[tuple[int, ...], str]]:
        """Yield the places where the value departs from the spec. `sizes` learns the sizes that must only be alike."""
        depth = len(indices)
        if depth == len(sizes):
            yield from ((indices, what) for what in self._find_wrong_value(value))
        elif not isinstance(value, list):
            yield indices, f"is {_show(value)}; a list is expected here"
        elif not value:
            yield indices, "is empty"
        elif len(value) != sizes[depth] != ANY_SIZE:
            taken = f"the model takes {sizes[depth]}"
            expected = taken if self.spec.shape[depth] != ANY_SIZE else f"those before it have {sizes[depth]}"
            yield indices, f"has {len(value)} {'value' if len(value) == 1 else 'values'}; {expected}"
        else:
            sizes[depth] = len(value)
            for index, inner in enumerate(value):
                yield from self._find_problems(inner, sizes, (*indices, index))

    def _find_wrong_value(self, value: Json) -> Iterator[str]:
        datatype = self.spec.datatype
        if type(value) not in self._types:
            yield f"is {_show(value)}; {_describe_wanted(self.spec)} is expected here"
        elif self._is_whole and not _is_integer(value, np.iinfo(self._dtype)):
            yield f"is {_show(value)}, which is no whole number of {datatype}"
        elif datatype in _FLOATS and value is not None and abs(value) > float(np.finfo(self._dtype).max):
            yield f"is {_show(value)}, which is too large for {datatype}"


def describe_spec(spec: TensorSpec) -> str:
    """Return datatype and shape as people read them: `FP64 [-1, 4]`."""
    return f"{spec.datatype} {list(spec.shape)}"


def is_text(tensor: Tensor) -> bool:
    """Tell whether a tensor is one of BYTES."""
    return tensor.dtype.kind in "OSU"


def write_tensor(tensor: Tensor) -> Json:
    """Return nested values as orjson dumps them fastest, numpy's arrays included. Bytes that are no text become {"b64": …}."""
    # orjson writes numeric arrays itself, 32-bit floats in their own shortest form, when they lie in one piece.
    return _nest_texts(tensor.tolist()) if is_text(tensor) else np.ascontiguousarray(tensor)


def _nest_texts(value: Json) -> Json:
    if isinstance(value, list):
        return [_nest_texts(item) for item in value]
    if not isinstance(value, bytes):
        return str(value)
    try:
        return value.decode()
    except UnicodeDecodeError:
        return {"b64": b64encode(value).decode()}


def _convert_whole(floats: Tensor, dtype: np.dtype[Any]) -> Tensor | None:
    """Return floats that are whole numbers as integers; None when one is not, or does not fit."""
    limits = np.iinfo(dtype)
    fits = (floats == np.trunc(floats)) & (abs(floats) <= _EXACT) & (floats >= limits.min) & (floats <= limits.max)
    return floats.astype(dtype) if fits.all() else None


def _make_whole(value: Json) -> Json:
    """Return nested numbers, those that are floats as integers. Raises ValueError when one is no whole number, or not exact."""
    if isinstance(value, list):
        return [_make_whole(inner) for inner in value]
    if isinstance(value, float) and not (abs(value) <= _EXACT and value.is_integer()):
        raise ValueError(value)
    return int(value)


def _is_integer(value: float, limits: np.iinfo[Any]) -> bool:
    is_exact = type(value) is int or (abs(value) <= _EXACT and value == int(value))
    return is_exact and limits.min <= value <= limits.max


def _describe_wanted(spec: TensorSpec) -> str:
    if spec.datatype in _FLOATS:
        return "a number or null"
    wanted = {"BYTES": "a text", "BOOL": "true or false"}.get(spec.datatype, "a whole number")
    return f"{wanted} or null" if spec.nullable else wanted


def _show(value: Json) -> str:
    if isinstance(value, list | dict):
        return "a list" if isinstance(value, list) else "an object"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    shown = repr(value)
    shown = shown if len(shown) <= _SHOWN_CHARACTERS else shown[:_SHOWN_CHARACTERS] + "…"
    return f"the text {shown}" if isinstance(value, str) else shown
