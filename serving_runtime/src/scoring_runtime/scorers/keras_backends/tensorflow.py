"""Keras on TensorFlow: the model as one graph for batches of every size."""

from scoring_runtime.scorers.keras_backends import BackendTensor, Function, Model, arrange_inputs
from scoring_runtime.scorers.tensorflow import prepare_devices
from scoring_runtime.tensors import Tensors

# Last: the scorer's module keeps what TensorFlow prints while it is loaded out of the logs.
import tensorflow as tf  # isort: skip


def prepare(threads: int) -> str:
    """Limit the threads and the GPU memory taken in advance; return the device, `cuda` or `cpu`."""
    return prepare_devices(threads)


def compile_model(model: Model) -> Function:
    """Return the model as a graph. (model.predict would set up a data set and its iterator for each request.)"""
    specs = {tensor.name: tf.TensorSpec(tensor.shape, tensor.dtype, name=tensor.name) for tensor in model.inputs}
    graph = tf.function(lambda inputs: model(arrange_inputs(model, inputs), training=False), input_signature=[specs])

    def run(tensors: Tensors) -> BackendTensor:
        inputs = {name: tf.convert_to_tensor(tensors[name], spec.dtype) for name, spec in specs.items()}
        return tf.nest.map_structure(lambda output: output.numpy(), graph(inputs))

    return run
