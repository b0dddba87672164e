"""Models of torch, Keras and of the user's own classes as artifacts, tried by the runtime: each trial imports a framework."""

import json
from pathlib import Path

import pytest

from command_line import run_scoring

TORCH = """
import torch

torch.manual_seed(0)
module = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.ReLU())
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
    for name, text in (("net.py", TORCH), ("vision.py", NETWORK), ("dense.py", KERAS)):
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
