"""Keras on JAX: compiled by XLA, once for each size of a batch."""

import jax
import keras

from scoring_runtime.scorers.keras_backends import BackendTensor, Function, Model, arrange_inputs
from scoring_runtime.tensors import Tensors


def prepare(_threads: int) -> str:
    """Return the device, `cuda` or `cpu`. JAX has no limit of threads: it takes the CPUs that the process may use."""
    return "cpu" if jax.default_backend() == "cpu" else "cuda"


def compile_model(model: Model) -> Function:
    """Return the model as a compiled function of its weights and its inputs."""
    weights = [variable.value for variable in model.trainable_variables]
    others = [variable.value for variable in model.non_trainable_variables]

    def compute(weights: BackendTensor, others: BackendTensor, inputs: BackendTensor) -> BackendTensor:
        outputs, _ = model.stateless_call(weights, others, arrange_inputs(model, inputs), training=False)
        return outputs

    compiled = jax.jit(compute)

    def run(tensors: Tensors) -> BackendTensor:
        inputs = {
            tensor.name: keras.ops.convert_to_tensor(tensors[tensor.name], tensor.dtype) for tensor in model.inputs
        }
        return keras.tree.map_structure(keras.ops.convert_to_numpy, compiled(weights, others, inputs))

    return run
