"""ONNX files: the model, and the files beside it that hold its weights."""

from pathlib import Path

import onnx
from onnx.external_data_helper import ExternalDataInfo, uses_external_data

from scoring_cli.errors import InputInvalid


def list_external_files(path: Path) -> dict[str, bytes | Path]:
    """Return the files of a model's external data by their names. Raises InputInvalid when one is missing, or `path` is no ONNX file."""
    try:
        model = onnx.load(path, load_external_data=False)
    except Exception as error:
        # protobuf's own kinds of error differ between its versions.
        raise InputInvalid(f"{path.name} is no ONNX model: {type(error).__name__}.") from error
    names = {ExternalDataInfo(one).location for one in model.graph.initializer if uses_external_data(one)}
    missing = sorted(name for name in names if not (path.parent / name).is_file())
    if missing:
        raise InputInvalid(f"{path.name} has weights in {', '.join(missing)}, which is not beside it: put it there.")
    return {name: path.parent / name for name in sorted(names)}
