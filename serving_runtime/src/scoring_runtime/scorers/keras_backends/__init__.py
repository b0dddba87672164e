"""What Keras computes with: one module per backend, imported when keras.py has chosen it.

Each has `prepare(threads) -> device`, called before a model is loaded, and `compile_model(model) -> Function`.
"""

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from scoring_runtime.tensors import Tensors

Model: TypeAlias = Any
BackendTensor: TypeAlias = Any
# Takes arrays by the names of the model's inputs; returns arrays in the structure that the model itself returns.
Function: TypeAlias = Callable[[Tensors], Any]


def arrange_inputs(model: Model, inputs: Mapping[str, BackendTensor]) -> BackendTensor:
    """Return inputs by name as a model takes them in a call: one alone, unless its author gave it a name; several by name."""
    if len(inputs) == 1 and (is_sequential(model) or not isinstance(model.input, Mapping)):
        return next(iter(inputs.values()))
    return inputs


def is_sequential(model: Model) -> bool:
    """Tell whether the model is a chain of layers: one input and one output, neither of them named by Keras."""
    return not hasattr(model, "output_names")
