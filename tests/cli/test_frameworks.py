"""Models of torch, Keras and of the user's own classes as artifacts, tried by the runtime: each trial imports a framework."""

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from command_line import Outcome, run_scoring
from scoring_cli.artifacts import read_artifact_manifest
from scoring_runtime.artifacts.archives import unpack_archive
from scoring_runtime.scorers import ModelSource
from scoring_runtime.tensors import Tensor

TORCH = """
import torch

torch.manual_seed(0)
module = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.ReLU())
"""
MODULES = """
import torch
from torch.nn import functional


class Lengths(torch.nn.Module):
    def forward(self, numbers, mask):
        return (numbers * mask).sum(1, keepdim=True)


class Halves(torch.nn.Module):
    def forward(self, planes):
        return functional.max_pool2d(planes, 2).mean((2, 3))


class Loop(torch.nn.Module):
    def forward(self, rows):
        return sum(rows[:, place] for place in range(rows.shape[1])).unsqueeze(1)


class Pairs(torch.nn.Module):
    def forward(self, rows):
        return rows.reshape(2, -1)


convolution = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3, padding=1), torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten())
linear = torch.nn.Linear(4, 2)
lengths, halves, loop, pairs = Lengths(), Halves(), Loop(), Pairs()
"""
NETWORK = """
import torchvision

network = torchvision.models.resnet18(weights=None)
"""
KERAS = """
import keras

model = keras.Sequential([keras.layers.Input((4,)), keras.layers.Dense(3)])
"""
SIGNATURE = {
    "inputs": [{"name": "x", "datatype": "FP32", "shape": [-1, 4]}],
    "outputs": [{"name": "y", "datatype": "FP32", "shape": [-1, 3]}],
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, text in (("net.py", TORCH), ("modules.py", MODULES), ("vision.py", NETWORK), ("dense.py", KERAS)):
        (tmp_path / name).write_text(text)
    (tmp_path / "signature.json").write_text(json.dumps(SIGNATURE))
    (tmp_path / "labels.txt").write_text("\n".join(f"class {number}" for number in range(1000)))
    return tmp_path


def test_torch_module_becomes_a_program_that_is_served(folder: Path) -> None:
    done = run_scoring(
        "package", folder / "net.py:module", "--name", "net", "--to", folder / "net.tar", "--signature", folder / "signature.json", "-o", "json"
    )  # fmt: skip
    assert done.status == 0, done.stderr
    assert "scores its example" in done.json["trial"]


def test_torch_module_of_a_known_architecture_becomes_safetensors(folder: Path) -> None:
    done = run_scoring(
        "package", folder / "vision.py:network", "--name", "vision", "--to", folder / "vision.tar", "--task", "image-classification",
        "--architecture", "resnet18", "--labels", folder / "labels.txt", "--no-try", "-o", "json",
    )  # fmt: skip
    assert done.status == 0, done.stderr
    assert done.json["format"] == "torch"


def test_torch_module_without_signature_is_told_what_is_missing(folder: Path) -> None:
    done = run_scoring("package", folder / "net.py:module", "--name", "net", "--to", folder / "net.tar")
    assert done.status == 2
    assert "--signature" in done.stderr
    assert "--architecture" in done.stderr


def package(folder: Path, module: str, shapes: dict[str, list[int]], *more: object) -> Outcome:
    inputs = [{"name": name, "datatype": "FP32", "shape": shape} for name, shape in shapes.items()]
    (folder / "signature.json").write_text(json.dumps({"inputs": inputs}))
    archive, signature = folder / "m.tar", folder / "signature.json"
    return run_scoring(
        "package", f"{folder}/modules.py:{module}", "--name", "m", "--to", archive, "--signature", signature, *more, "-o", "json"
    )  # fmt: skip


def serve(folder: Path, *requests: Mapping[str, tuple[int, ...]]) -> list[tuple[int, ...]]:
    """Return the shapes that the runtime's scorer answers to requests of ones, by shape."""
    torch_scorer = pytest.importorskip("scoring_runtime.scorers.torch")
    unpack_archive(folder / "m.tar", folder / "unpacked")
    manifest = read_artifact_manifest(folder / "unpacked")
    scorer = torch_scorer.TorchScorer()
    scorer.load(ModelSource(folder / "unpacked" / manifest.model, folder, manifest.options, manifest.signature))
    answers = [scorer.score({name: _make_ones(shape) for name, shape in shapes.items()}) for shapes in requests]
    return [answer["output"].shape for answer in answers]


def _make_ones(shape: tuple[int, ...]) -> Tensor:
    return np.ones(shape, dtype=np.float32)


def test_program_takes_every_size_that_the_signature_leaves_open(folder: Path) -> None:
    assert package(folder, "convolution", {"x": [-1, 3, -1, -1]}, "--no-try").status == 0
    sizes = [(1, 1), (2, 3), (32, 32), (224, 300)]
    assert serve(folder, *({"x": (2, 3, *size)} for size in sizes)) == [(2, 4)] * 4


def test_program_whose_axes_must_be_alike_is_served(folder: Path) -> None:
    done = package(folder, "lengths", {"numbers": [-1, -1], "mask": [-1, -1]})
    assert done.status == 0, done.stderr
    sizes = [1, 7, 64, 1000]
    assert serve(folder, *({"numbers": (3, size), "mask": (3, size)} for size in sizes)) == [(3, 1)] * 4


def test_program_takes_as_many_items_as_the_manifest_lets_through(folder: Path) -> None:
    assert package(folder, "linear", {"x": [-1, 4]}, "--no-try").status == 0
    assert serve(folder, *({"x": (items, 4)} for items in (1, 1025, 10_000))) == [(1, 2), (1025, 2), (10_000, 2)]


def test_program_of_a_fixed_number_of_items_is_served(folder: Path) -> None:
    done = package(folder, "linear", {"x": [1, 4]})
    assert done.status == 0, done.stderr


def test_size_that_the_module_keeps_is_told_with_its_axis(folder: Path) -> None:
    done = package(folder, "loop", {"rows": [-1, -1]}, "--no-try")
    assert done.status == 2
    assert "--signature: rows: axis 1" in done.stderr
    assert "here 64: give the one that it is served with in place of -1" in done.stderr


def test_size_that_does_not_fit_the_module_is_told_with_its_axes(folder: Path) -> None:
    done = package(folder, "linear", {"x": [-1, -1]}, "--no-try")
    assert done.status == 2
    assert "--signature: torch.export does not take the module with x [2, 64]" in done.stderr
    assert "(x: 0, 1)" in done.stderr
    assert "Traceback" not in done.stderr


def test_number_of_items_that_the_module_keeps_is_told(folder: Path) -> None:
    done = package(folder, "pairs", {"rows": [-1, 4]}, "--no-try")
    assert done.status == 2
    assert "items" in done.stderr
    assert "(rows: 0)" in done.stderr


def test_size_of_the_example_that_the_module_keeps_is_told(folder: Path) -> None:
    (folder / "example.json").write_text(json.dumps({"input": [[0.0] * 4]}))
    done = package(folder, "linear", {"x": [-1, -1]}, "--example", folder / "example.json", "--no-try")
    assert done.status == 2
    assert "axis 1 of the shape [-1, -1] is -1, but" in done.stderr
    assert "here 4: give the one" in done.stderr


def test_example_that_the_signature_does_not_take_is_told(folder: Path) -> None:
    (folder / "example.json").write_text(json.dumps({"input": [[0.0] * 3]}))
    done = package(folder, "linear", {"x": [-1, 4]}, "--example", folder / "example.json", "--no-try")
    assert done.status == 2
    assert "--example" in done.stderr
    assert "the model takes 4" in done.stderr


def test_trial_of_sizes_of_one_that_fails_names_the_example(folder: Path) -> None:
    assert (failed := package(folder, "halves", {"planes": [-1, 3, -1, -1]})).status == 2
    assert "give --example for other sizes" in failed.stderr
    (folder / "example.json").write_text(json.dumps({"input": np.zeros((1, 3, 8, 9)).tolist()}))
    done = package(folder, "halves", {"planes": [-1, 3, -1, -1]}, "--example", folder / "example.json")
    assert done.status == 0, done.stderr
    assert serve(folder, {"planes": (2, 3, 30, 40)}) == [(2, 3)]


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # Keras when it saves
def test_keras_model_becomes_a_file_that_is_served(folder: Path) -> None:
    pytest.importorskip("keras")
    done = run_scoring(
        "package", folder / "dense.py:model", "--name", "dense", "--to", folder / "dense.tar", "-o", "json"
    )
    assert done.status == 0, done.stderr
    assert "scores its example" in done.json["trial"]


def test_estimator_that_needs_the_users_own_class_fails_in_the_trial_as_in_a_pod(folder: Path) -> None:
    (folder / "mine.py").write_text("class Own:\n    def predict(self, rows):\n        return [0]\n\nown = Own()\n")
    done = run_scoring("package", folder / "mine.py:own", "--name", "own", "--to", folder / "own.tar", "--joblib")
    assert done.status == 2
    assert "ModelInvalid" in done.stderr
    assert "mine" in done.stderr
