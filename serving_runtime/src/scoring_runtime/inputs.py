"""Reads the inputs of a request by a signature: JSON in three forms, or tensors as they come. Above json_tensors, below tasks.

The forms: a list of items (rows, or the items of the only input), a list of objects, an object with a list for each name.
"""

from collections.abc import Mapping
from typing import Any

from scoring_runtime.errors import EmptyInputError, InvalidInputError, TooManyItemsError
from scoring_runtime.json_tensors import Place, TensorReader, describe_spec
from scoring_runtime.tensors import Signature, Tensor, Tensors, TensorSpec, find_datatype, is_shape

Json = Any

_INPUT = Place("input")


class InputReader:
    """Reads at most `max_items` items of a signature's inputs."""

    def __init__(self, signature: Signature, max_items: int) -> None:
        self._max_items = max_items
        self._readers = {spec.name: TensorReader(spec) for spec in signature.inputs}
        self._only = next(iter(self._readers.values())) if len(self._readers) == 1 else None
        self._is_table = all(len(spec.shape) == 1 for spec in signature.inputs)

    def read(self, value: Json) -> Tensors:
        """Return the tensors of a JSON value. Raises InvalidInputError, EmptyInputError or TooManyItemsError."""
        if isinstance(value, list):
            self._check_count(len(value))
            if isinstance(value[0], dict):
                return self._read_objects(value)
            if self._only is not None:
                return {self._only.spec.name: self._only.read(value, _INPUT)}
            if self._is_table:
                return self._read_rows(value)
        elif isinstance(value, dict):
            return self._read_columns(value)
        raise InvalidInputError(f"input has none of the forms that are read here. {self._describe()}")

    def check(self, tensors: Tensors) -> Tensors:
        """Return the tensors, texts decoded, when they are those of the signature. Raises RequestError as `read` does."""
        self._check_names(tensors, "The request")
        inputs = {name: _check_tensor(tensors[name], reader.spec) for name, reader in self._readers.items()}
        self._check_counts(inputs)
        return inputs

    def _read_objects(self, objects: list[Json]) -> Tensors:
        for row, item in enumerate(objects):
            if not isinstance(item, dict):
                raise InvalidInputError(f"input[{row}] is no object, unlike those before it. {self._describe()}")
            self._check_names(item, f"input[{row}]")
        return {
            name: reader.read([item[name] for item in objects], Place("input", f".{name}"))
            for name, reader in self._readers.items()
        }

    def _read_rows(self, rows: list[Json]) -> Tensors:
        for place, row in enumerate(rows):
            if not isinstance(row, list):
                raise InvalidInputError(f"input[{place}] is no list. {self._describe()}")
            if len(row) != len(self._readers):
                wanted = f"{len(self._readers)}: {', '.join(self._readers)}"
                raise InvalidInputError(f"input[{place}] is a list of {len(row)}; the model takes {wanted}.")
        return {
            name: reader.read([row[column] for row in rows], Place("input", f"[{column}]"))
            for column, (name, reader) in enumerate(self._readers.items())
        }

    def _read_columns(self, columns: Mapping[str, Json]) -> Tensors:
        self._check_names(columns, "input")
        for column in columns.values():
            if isinstance(column, list):
                self._check_count(len(column))
        inputs = {name: reader.read(columns[name], Place(f"input.{name}")) for name, reader in self._readers.items()}
        self._check_counts(inputs)
        return inputs

    def _check_names(self, values: Mapping[str, object], where: str) -> None:
        if values.keys() == self._readers.keys():
            return
        missing = [name for name in self._readers if name not in values]
        unknown = next((name for name in values if name not in self._readers), "")
        what = f"lacks {missing[0]!r}" if missing else f"has {unknown!r}, which the model does not take"
        raise InvalidInputError(f"{where} {what}. {self._describe()}")

    def _check_counts(self, inputs: Tensors) -> None:
        """Check that there are as many items of each input, and not too many."""
        first, count = next((name, len(tensor)) for name, tensor in inputs.items())
        self._check_count(count)
        for name, tensor in inputs.items():
            if len(tensor) != count:
                raise InvalidInputError(
                    f"There are {len(tensor)} items of {name!r}, but {count} of {first!r}: send as many of each."
                )

    def _check_count(self, count: int) -> None:
        if not count:
            raise EmptyInputError(f"input is empty: send at least one item. {self._describe()}")
        if count > self._max_items:
            raise TooManyItemsError(
                f"The request holds {count} items; at most {self._max_items} are scored at once. Send several requests."
            )

    def _describe(self) -> str:
        specs = ", ".join(f"{name} {describe_spec(reader.spec)}" for name, reader in self._readers.items())
        forms = "a list of items, " if self._only or self._is_table else ""
        return f"The model takes {specs}: send {forms}a list of objects, or an object with a list for each name."


def _check_tensor(tensor: Tensor, spec: TensorSpec) -> Tensor:
    datatype = find_datatype(tensor)
    if datatype != spec.datatype or not is_shape(tensor.shape, spec.shape):
        raise InvalidInputError(
            f"The input {spec.name!r} is {datatype} {list(tensor.shape)}; the model takes {describe_spec(spec)}: send that."
        )
    if not tensor.size:
        raise EmptyInputError(f"The input {spec.name!r} is empty: send at least one item with one value or more.")
    return _decode_texts(tensor, spec) if datatype == "BYTES" else tensor


def _decode_texts(tensor: Tensor, spec: TensorSpec) -> Tensor:
    decoded = tensor.astype(object)
    try:
        for place, value in enumerate(tensor.flat):
            if value is not None or not spec.nullable:
                decoded.flat[place] = value.decode() if isinstance(value, bytes) else str(value)
    except UnicodeDecodeError as error:
        raise InvalidInputError(f"A text of the input {spec.name!r} is not UTF-8: send the texts in UTF-8.") from error
    return decoded
