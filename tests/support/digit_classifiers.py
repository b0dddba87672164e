"""A small true image classifier: handwritten digits, learnt in seconds from scikit-learn's pictures, as ONNX; and a picture to show it."""

import base64
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper
from PIL import Image
from sklearn.datasets import load_digits
from sklearn.neural_network import MLPClassifier

from scoring_cli.artifacts import write_artifact

LABELS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
SIDE = 32
"""Pixels that the classifier takes; the digits it has learnt from have 8, each the mean of 4 x 4."""
SHOWN = 256
HELD_OUT = 200
TELLING = 0.8

Pictures = NDArray[np.float64]


@dataclass(frozen=True)
class DigitClassifier:
    """The artifact, and a picture that the classifier has not seen, with its label."""

    archive: Path
    digest: str
    picture: Path
    label: str


def package_digits(folder: Path) -> DigitClassifier:
    """Learn, and write the artifact and a picture into `folder`."""
    digits = load_digits()
    pictures, numbers = 1 - digits.data / 16, digits.target
    network = MLPClassifier((64,), random_state=0, max_iter=500, tol=1e-3).fit(pictures[HELD_OUT:], numbers[HELD_OUT:])
    shown = find_telling(network, pictures[:HELD_OUT], numbers[:HELD_OUT])
    picture = folder / "digit.png"
    picture.write_bytes(draw(pictures[shown]))
    archive = folder / "digits.tar"
    files = {"model.onnx": write_onnx(network).SerializeToString()}
    digest = write_artifact(archive, make_manifest(picture.read_bytes()), files)
    return DigitClassifier(archive, digest, picture, LABELS[numbers[shown]])


def find_telling(network: MLPClassifier, pictures: Pictures, numbers: NDArray[np.int64]) -> int:
    """Return which held-out picture is recognised, but not without a doubt: its other labels are worth showing."""
    shares = network.predict_proba(pictures)
    own = np.where(shares.argmax(axis=1) == numbers, shares[np.arange(len(numbers)), numbers], 0)
    return int(np.argmin(np.abs(own - TELLING)))


def draw(picture: Pictures) -> bytes:
    """Return a digit as a PNG in black on white, large enough to be looked at."""
    image = Image.fromarray((picture.reshape(8, 8) * 255).astype(np.uint8)).convert("RGB")
    target = io.BytesIO()
    image.resize((SHOWN, SHOWN), Image.Resampling.BICUBIC).save(target, "PNG")
    return target.getvalue()


def write_onnx(network: MLPClassifier) -> onnx.ModelProto:
    """Return the network after the mean over the colours and over squares of 4 x 4 pixels."""
    weights = {"first": network.coefs_[0], "second": network.coefs_[1]}
    weights |= {"first_bias": network.intercepts_[0], "second_bias": network.intercepts_[1]}
    nodes = [
        helper.make_node("AveragePool", ["picture"], ["small"], kernel_shape=[4, 4], strides=[4, 4]),
        helper.make_node("ReduceMean", ["small", "colours"], ["grey"], keepdims=0),
        helper.make_node("Flatten", ["grey"], ["flat"]),
        helper.make_node("Gemm", ["flat", "first", "first_bias"], ["hidden"]),
        helper.make_node("Relu", ["hidden"], ["active"]),
        helper.make_node("Gemm", ["active", "second", "second_bias"], ["scores"]),
    ]
    constants = [numpy_helper.from_array(value.astype(np.float32), name) for name, value in weights.items()]
    constants.append(numpy_helper.from_array(np.array([1], dtype=np.int64), "colours"))
    taken = helper.make_tensor_value_info("picture", onnx.TensorProto.FLOAT, ["n", 3, SIDE, SIDE])
    given = helper.make_tensor_value_info("scores", onnx.TensorProto.FLOAT, ["n", len(LABELS)])
    graph = helper.make_graph(nodes, "digits", [taken], [given], constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)


def make_manifest(picture: bytes) -> dict[str, Any]:
    """Return the manifest: pictures as they are, between 0 and 1."""
    preprocessing = {"resizeSize": SIDE, "cropSize": SIDE, "mean": [0, 0, 0], "std": [1, 1, 1]}
    return {
        "name": "digits",
        "version": "1",
        "format": "onnx",
        "task": "image-classification",
        "model": "model.onnx",
        "options": {"engine": "onnxruntime"},
        "labels": list(LABELS),
        "parameters": {"top": 3, "preprocessing": preprocessing, "layout": "NCHW", "activation": "softmax"},
        "example": {"input": {"image": base64.b64encode(picture).decode()}},
    }
