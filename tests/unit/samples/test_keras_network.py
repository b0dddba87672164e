"""Behaviour of samples/resnet152/keras_network.py: the same answers as torchvision's network with the same weights."""

from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision
from numpy.typing import NDArray

from samples.resnet152 import keras_network

# After torchvision: keras_network.py says why.
import keras  # isort: skip
import tensorflow as tf  # isort: skip

# Keras reads TensorFlow's variables in a way that numpy 2 wants changed.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept:DeprecationWarning:keras")

CLASSES = 10
IMAGES = np.random.default_rng(5).normal(size=(2, 3, 224, 224)).astype(np.float32)
CHANNELS_LAST = IMAGES.transpose(0, 2, 3, 1)
TOLERANCE = 1e-4


def build_torch(architecture: str) -> torch.nn.Module:
    """A network whose batch normalisation does something: its statistics are random too."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(11)
        network: torch.nn.Module = torchvision.models.get_model(architecture, weights=None, num_classes=CLASSES)
        for layer in network.modules():
            if isinstance(layer, torch.nn.BatchNorm2d):
                for tensor in (layer.weight, layer.bias, layer.running_mean, layer.running_var):
                    assert tensor is not None
                    torch.nn.init.uniform_(tensor, 0.2, 0.8)
    return network.eval()


def score_with_torch(network: torch.nn.Module) -> NDArray[np.float32]:
    with torch.inference_mode():
        logits: NDArray[np.float32] = network(torch.from_numpy(IMAGES)).numpy()
    return logits


def assert_close(logits: NDArray[np.float32], expected: NDArray[np.float32]) -> None:
    assert logits.shape == expected.shape
    assert np.abs(logits - expected).max() <= TOLERANCE * np.abs(expected).max()
    assert np.argsort(-logits)[:, :3].tolist() == np.argsort(-expected)[:, :3].tolist()


@pytest.fixture(scope="module")
def network() -> torch.nn.Module:
    return build_torch("resnet18")


@pytest.fixture(scope="module")
def folder(network: torch.nn.Module, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("keras_network")
    keras_network.write_keras("resnet18", network.state_dict(), folder / "model.keras")
    keras_network.write_saved_model("resnet18", network.state_dict(), folder / "saved_model")
    return folder


def test_keras_file_answers_as_torch_does(network: torch.nn.Module, folder: Path) -> None:
    model = keras.saving.load_model(folder / "model.keras", safe_mode=True, compile=False)
    assert_close(np.asarray(model(CHANNELS_LAST, training=False)), score_with_torch(network))
    assert sorted(path.name for path in folder.iterdir()) == ["model.keras", "saved_model"]


def test_keras_file_is_the_same_when_written_again(network: torch.nn.Module, folder: Path, tmp_path: Path) -> None:
    keras_network.write_keras("resnet18", network.state_dict(), tmp_path / "again.keras")
    assert (tmp_path / "again.keras").read_bytes() == (folder / "model.keras").read_bytes()


def test_saved_model_answers_as_torch_does(network: torch.nn.Module, folder: Path) -> None:
    function = tf.saved_model.load(str(folder / "saved_model")).signatures["serving_default"]
    inputs = function.structured_input_signature[1]
    assert inputs == {"image": tf.TensorSpec((None, 224, 224, 3), tf.float32, name="image")}
    logits = function(image=tf.constant(CHANNELS_LAST))["logits"].numpy()
    assert_close(logits, score_with_torch(network))


def test_saved_model_holds_each_weight_once(network: torch.nn.Module, folder: Path) -> None:
    weights = sum(tensor.nbytes for tensor in network.state_dict().values())
    assert sum(path.stat().st_size for path in (folder / "saved_model").rglob("*")) < 1.1 * weights


def test_bottlenecks_answer_as_torch_does() -> None:
    network = build_torch("resnet50")
    model = keras_network.build_network("resnet50", network.state_dict())
    assert_close(np.asarray(model(CHANNELS_LAST, training=False)), score_with_torch(network))


@pytest.mark.parametrize("architecture", ["resnet34", "resnet152"])
def test_every_weight_of_torch_has_a_layer(architecture: str) -> None:
    with torch.device("meta"):
        state = torchvision.models.get_model(architecture, weights=None).state_dict()
    layers = keras_network.build_network(
        architecture, {name: torch.zeros(value.shape) for name, value in state.items()}
    )
    names = {layer.name for layer in layers.layers if layer.weights}
    assert names == {name.rsplit(".", 1)[0] for name in state}


def test_architecture_without_a_design_is_refused() -> None:
    with pytest.raises(ValueError, match="'vgg16' is no ResNet that can be written for Keras: take resnet18"):
        keras_network.build_network("vgg16", {})
