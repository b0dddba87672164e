"""Keras on PyTorch, without gradients."""

import keras
import torch

from scoring_runtime.scorers.keras_backends import BackendTensor, Function, Model, arrange_inputs
from scoring_runtime.tensors import Tensors


def prepare(threads: int) -> str:
    """Limit the threads; return the device that Keras takes, `cuda` or `cpu`."""
    torch.set_num_threads(threads)
    return "cuda" if torch.cuda.is_available() else "cpu"


def compile_model(model: Model) -> Function:
    """Return the model as a function that keeps nothing for gradients."""

    def run(tensors: Tensors) -> BackendTensor:
        with torch.inference_mode():
            inputs = {
                tensor.name: keras.ops.convert_to_tensor(tensors[tensor.name], tensor.dtype) for tensor in model.inputs
            }
            return keras.tree.map_structure(
                keras.ops.convert_to_numpy, model(arrange_inputs(model, inputs), training=False)
            )

    return run
