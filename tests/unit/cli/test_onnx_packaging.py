"""`scoring package` of an ONNX model whose weights lie in other files: all of them come along, wherever the model names them."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto
from onnx.helper import (
    make_function,
    make_graph,
    make_model,
    make_node,
    make_opsetid,
    make_sparse_tensor,
    make_tensor,
    make_tensor_value_info,
)

from command_line import Outcome, run_scoring
from scoring_cli.packaging import Hints, pack

OPSETS = [make_opsetid("", 17)]


def make_external(name: str, location: str) -> TensorProto:
    """Return a number whose value, 2, lies in a file."""
    tensor = TensorProto(name=name, data_type=TensorProto.FLOAT, dims=[1], data_location=TensorProto.EXTERNAL)
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", location
    return tensor


def describe(name: str, *shape: int | None) -> Any:
    return make_tensor_value_info(name, TensorProto.FLOAT, shape)


def write_model(folder: Path, nodes: list[Any], **parts: Any) -> Path:
    """Write a model of x and y, (items, 1), and the files that it may name."""
    initializers = parts.pop("initializer", [])
    sparse = parts.pop("sparse_initializer", [])
    graph = make_graph(
        nodes, "g", [describe("x", None, 1)], [describe("y", None, 1)], initializers, sparse_initializer=sparse
    )
    for name in ("two.bin", "other.bin"):
        (folder / name).write_bytes(np.array([2], dtype=np.float32).tobytes())
    path = folder / "model.onnx"
    onnx.save(make_model(graph, ir_version=10, opset_imports=parts.pop("opset_imports", OPSETS), **parts), path)
    return path


def make_branch(name: str, location: str) -> Any:
    node = make_node("Mul", ["x", name], [f"{name}_y"])
    return make_graph([node], name, [], [describe(f"{name}_y", None, 1)], [make_external(name, location)])


def write_branches(folder: Path) -> Path:
    """Write a model with weights in both bodies of an If."""
    yes = make_tensor("yes", TensorProto.BOOL, [], [True])
    then, otherwise = make_branch("then", "two.bin"), make_branch("otherwise", "other.bin")
    return write_model(
        folder, [make_node("If", ["yes"], ["y"], then_branch=then, else_branch=otherwise)], initializer=[yes]
    )


def package(folder: Path, model: Path, *more: object) -> Outcome:
    return run_scoring("package", model, "--name", "m", "--to", folder / "m.tar", *more, "-o", "json")


def test_weights_within_branches_come_along_and_are_served(tmp_path: Path) -> None:
    done = package(tmp_path, write_branches(tmp_path))
    assert done.status == 0, done.stderr
    assert "scores its example" in done.json["trial"]
    assert {"two.bin", "other.bin"} <= pack(tmp_path / "model.onnx", Hints()).files.keys()


def test_weights_within_functions_come_along(tmp_path: Path) -> None:
    constant = make_node("Constant", [], ["two"], value=make_external("", "two.bin"))
    double = make_function("own", "Double", ["x"], ["y"], [constant, make_node("Mul", ["x", "two"], ["y"])], OPSETS)
    opsets = [*OPSETS, make_opsetid("own", 1)]
    model = write_model(
        tmp_path, [make_node("Double", ["x"], ["y"], domain="own")], functions=[double], opset_imports=opsets
    )
    assert "two.bin" in pack(model, Hints()).files


def test_weights_of_sparse_tensors_come_along(tmp_path: Path) -> None:
    places = make_tensor("places", TensorProto.INT64, [1], [0])
    sparse = make_sparse_tensor(make_external("two", "two.bin"), places, [1])
    model = write_model(tmp_path, [make_node("Mul", ["x", "two"], ["y"])], sparse_initializer=[sparse])
    assert "two.bin" in pack(model, Hints()).files


def test_weights_in_a_folder_beside_the_model_come_along(tmp_path: Path) -> None:
    two = make_external("two", "weights/two.bin")
    model = write_model(tmp_path, [make_node("Mul", ["x", "two"], ["y"])], initializer=[two])
    (tmp_path / "weights").mkdir()
    (tmp_path / "two.bin").rename(tmp_path / "weights" / "two.bin")
    assert "weights/two.bin" in pack(model, Hints()).files
    assert package(tmp_path, model).status == 0


def test_missing_weights_within_branches_are_told(tmp_path: Path) -> None:
    model = write_branches(tmp_path)
    (tmp_path / "other.bin").unlink()
    done = package(tmp_path, model)
    assert done.status == 2
    assert "weights in other.bin, which is not beside it" in done.stderr


@pytest.mark.parametrize("location", ["../two.bin", "weights/../../two.bin", "/etc/hostname", "weights\\two.bin", ""])
def test_weights_elsewhere_than_beside_the_model_are_refused(tmp_path: Path, location: str) -> None:
    model = write_model(tmp_path, [make_node("Mul", ["x", "two"], ["y"])], initializer=[make_external("two", location)])
    done = package(tmp_path, model)
    assert done.status == 2
    assert f"model.onnx has weights in {location!r}" in done.stderr
    assert "save it with its weights beside it" in done.stderr
    assert not (tmp_path / "m.tar").exists()
