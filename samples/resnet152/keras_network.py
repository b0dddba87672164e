"""torchvision's ResNets in Keras, with the weights of a PyTorch state dict: written as `.keras` or as a SavedModel.

Used by package.py. The network takes float32 images (n, 224, 224, 3), normalised as for PyTorch, and gives logits
(n, classes): what torchvision's gives for the same images with their channels first.
"""

import json
import os
import re
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torchvision  # noqa: F401  # brings PyTorch's compiler, whose LLVM ends the process when TensorFlow's is there first
from numpy.typing import NDArray

# Only on TensorFlow can Keras write a SavedModel. Both are read when they are imported; the first: no mere notes are logged.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ["KERAS_BACKEND"] = "tensorflow"
import keras
import tensorflow as tf
from keras import layers

State = dict[str, torch.Tensor]

INPUT_NAME = "image"
OUTPUT_NAME = "logits"
PIXELS = 224
# torch's default; Keras has another.
BATCH_NORM_EPSILON = 1e-5


@dataclass(frozen=True)
class Design:
    """The blocks of each of the four stages, and whether a block is a bottleneck (1 x 1, 3 x 3, 1 x 1 convolutions)."""

    blocks: tuple[int, int, int, int]
    bottleneck: bool


DESIGNS = {
    "resnet18": Design((2, 2, 2, 2), bottleneck=False),
    "resnet34": Design((3, 4, 6, 3), bottleneck=False),
    "resnet50": Design((3, 4, 6, 3), bottleneck=True),
    "resnet101": Design((3, 4, 23, 3), bottleneck=True),
    "resnet152": Design((3, 8, 36, 3), bottleneck=True),
}


def write_keras(architecture: str, state: State, path: Path) -> None:
    """Write the network as a `.keras` file, which any backend of Keras reads: the same bytes for the same weights.

    Raises ValueError and KeyError as build_network does.
    """
    unfinished = path.with_name(f".unfinished-{path.name}")
    try:
        build_network(architecture, state).save(unfinished)
        _rewrite_reproducibly(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)


def write_saved_model(architecture: str, state: State, folder: Path) -> None:
    """Write the network as a SavedModel whose `serving_default` takes `image` and gives `logits`.

    TensorFlow puts a random mark and numbered names into it, so its bytes differ from time to time. Raises ValueError and
    KeyError as build_network does.
    """
    network = build_network(architecture, state)
    image = tf.TensorSpec((None, PIXELS, PIXELS, 3), tf.float32, name=INPUT_NAME)
    serve = tf.function(lambda image: {OUTPUT_NAME: network(image, training=False)}, input_signature=[image])
    # Not network.export: that stores every weight twice.
    module = tf.Module()
    module.weights = [variable.value for variable in network.variables]
    tf.saved_model.save(module, str(folder), signatures=serve)


def build_network(architecture: str, state: State) -> keras.Model:
    """Return the Keras model with the weights of a torchvision state dict.

    Raises ValueError for an architecture other than DESIGNS or weights of another shape, KeyError for missing weights.
    """
    if architecture not in DESIGNS:
        raise ValueError(f"{architecture!r} is no ResNet that can be written for Keras: take {', '.join(DESIGNS)}.")
    image = keras.Input((PIXELS, PIXELS, 3), name=INPUT_NAME)
    features = _add_stages(_add_stem(image), DESIGNS[architecture])
    pooled = layers.GlobalAveragePooling2D(name="avgpool")(features)
    logits = layers.Dense(len(state["fc.bias"]), kernel_initializer="zeros", name="fc")(pooled)
    network = keras.Model(image, logits, name=architecture)
    _carry_weights(network, state)
    return network


def _add_stem(image: keras.KerasTensor) -> keras.KerasTensor:
    features = _add_convolution(image, "conv1", "bn1", (64, 7, 2))
    features = layers.ReLU(name="relu")(features)
    # torch pads with -inf; no value is below 0 here, so zeros never win either.
    padded = layers.ZeroPadding2D(1, name="maxpool.pad")(features)
    return layers.MaxPooling2D(3, strides=2, name="maxpool")(padded)


def _add_stages(features: keras.KerasTensor, design: Design) -> keras.KerasTensor:
    add_block = _add_bottleneck if design.bottleneck else _add_basic_block
    for stage, blocks in enumerate(design.blocks):
        for block in range(blocks):
            stride = 2 if stage > 0 and block == 0 else 1
            features = add_block(features, f"layer{stage + 1}.{block}", 64 * 2**stage, stride)
    return features


def _add_bottleneck(features: keras.KerasTensor, name: str, width: int, stride: int) -> keras.KerasTensor:
    # "v1.5": the 3 x 3 convolution has the stride, where the paper's first 1 x 1 had it.
    steps = [(width, 1, 1), (width, 3, stride), (4 * width, 1, 1)]
    return _add_block(features, name, steps)


def _add_basic_block(features: keras.KerasTensor, name: str, width: int, stride: int) -> keras.KerasTensor:
    return _add_block(features, name, [(width, 3, stride), (width, 3, 1)])


def _add_block(features: keras.KerasTensor, name: str, steps: list[tuple[int, int, int]]) -> keras.KerasTensor:
    residual = features
    for number, step in enumerate(steps, start=1):
        residual = _add_convolution(residual, f"{name}.conv{number}", f"{name}.bn{number}", step)
        if number < len(steps):
            residual = layers.ReLU(name=f"{name}.relu{number}")(residual)
    shortcut = _add_shortcut(features, name, residual.shape)
    added = layers.Add(name=f"{name}.add")([residual, shortcut])
    return layers.ReLU(name=f"{name}.relu")(added)


def _add_shortcut(features: keras.KerasTensor, name: str, shape: tuple[int, ...]) -> keras.KerasTensor:
    if features.shape == shape:
        return features
    step = (shape[-1], 1, features.shape[1] // shape[1])
    return _add_convolution(features, f"{name}.downsample.0", f"{name}.downsample.1", step)


def _add_convolution(
    features: keras.KerasTensor, name: str, norm_name: str, step: tuple[int, int, int]
) -> keras.KerasTensor:
    """Add a convolution (filters, kernel size, stride) and its batch normalisation, with torch's names."""
    filters, size, stride = step
    padding = "same"
    if stride > 1 and size > 1:
        # Keras' "same" pads an even image with a stride at its end alone, torch on both sides.
        features = layers.ZeroPadding2D(size // 2, name=f"{name}.pad")(features)
        padding = "valid"
    convolution = layers.Conv2D(
        filters, size, strides=stride, padding=padding, use_bias=False, kernel_initializer="zeros", name=name
    )
    return layers.BatchNormalization(epsilon=BATCH_NORM_EPSILON, name=norm_name)(convolution(features))


def _carry_weights(network: keras.Model, state: State) -> None:
    for layer in network.layers:
        if layer.weights:
            layer.set_weights(list(_read_weights(layer, state)))


def _read_weights(layer: layers.Layer, state: State) -> Iterator[NDArray[np.float32]]:
    """Yield the weights of torch's layer of the same name, in the order and with the axes of Keras."""
    if isinstance(layer, layers.BatchNormalization):
        for part in ("weight", "bias", "running_mean", "running_var"):
            yield state[f"{layer.name}.{part}"].numpy()
    elif isinstance(layer, layers.Conv2D):
        yield state[f"{layer.name}.weight"].permute(2, 3, 1, 0).numpy()
    else:
        yield state[f"{layer.name}.weight"].T.numpy()
        yield state[f"{layer.name}.bias"].numpy()


def _rewrite_reproducibly(source: Path, target: Path) -> None:
    """Copy a `.keras` file without the time it was written at and the addresses in memory that it names objects by."""
    with zipfile.ZipFile(source) as written, zipfile.ZipFile(target, "w") as copy:
        for name in written.namelist():
            copy.writestr(zipfile.ZipInfo(name), _make_reproducible(name, written.read(name)))


def _make_reproducible(name: str, content: bytes) -> bytes:
    if name == "metadata.json":
        return json.dumps({**json.loads(content), "date_saved": "1980-01-01@00:00:00"}).encode()
    if name == "config.json":
        numbers: dict[bytes, int] = {}
        return re.sub(
            rb'(?<="shared_object_id": )\d+',
            lambda found: str(numbers.setdefault(found[0], len(numbers) + 1)).encode(),
            content,
        )
    return content
