"""ONNX files: the model, and the files beside it that hold its weights."""

from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import onnx
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from onnx.external_data_helper import uses_external_data

from scoring_cli.errors import InputInvalid


def list_external_files(path: Path) -> dict[str, bytes | Path]:
    """Return the files of a model's external data by their names.

    Raises InputInvalid when one is missing or lies outside its folder, or `path` is no ONNX file.
    """
    try:
        model = onnx.load(path, load_external_data=False)
    except Exception as error:
        # protobuf's own kinds of error differ between its versions.
        raise InputInvalid(f"{path.name} is no ONNX model: {type(error).__name__}.") from error
    names = {_find_location(tensor) for tensor in _walk_tensors(model) if uses_external_data(tensor)}
    elsewhere = sorted(name for name in names if not _is_below(name))
    if elsewhere:
        raise InputInvalid(
            f"{path.name} has weights in {elsewhere[0]!r}, which is no file beside it: save it with its weights beside it."
        )
    missing = sorted(name for name in names if not (path.parent / name).is_file())
    if missing:
        raise InputInvalid(f"{path.name} has weights in {', '.join(missing)}, which is not beside it: put it there.")
    return {name: path.parent / name for name in sorted(names)}


def _is_below(name: str) -> bool:
    """Tell whether a location is a path within the model's folder, as the runtime takes it from an archive."""
    path = PurePosixPath(name)
    return bool(path.parts) and not path.is_absolute() and ".." not in path.parts and "\\" not in name


def _walk_tensors(message: Message) -> Iterator[onnx.TensorProto]:
    """Yield all tensors: initializers, sparse ones too, and attributes, of the graph, of functions and of bodies within nodes."""
    if isinstance(message, onnx.TensorProto):
        yield message
        return
    for field, value in message.ListFields():
        if field.type == FieldDescriptor.TYPE_MESSAGE:
            for inner in (value,) if isinstance(value, Message) else value:
                yield from _walk_tensors(inner)


def _find_location(tensor: onnx.TensorProto) -> str:
    return next((str(entry.value) for entry in tensor.external_data if entry.key == "location"), "")
