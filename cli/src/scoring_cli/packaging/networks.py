"""Torch modules: the weights as .safetensors for an architecture of torchvision, else the whole as an exported program (.pt2)."""

import io
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from safetensors.torch import save
from torch.fx.experimental.symbolic_shapes import is_concrete_int

from scoring_cli.errors import InputInvalid
from scoring_cli.packaging import Hints, Packed
from scoring_runtime.errors import RequestError
from scoring_runtime.inputs import InputReader
from scoring_runtime.tasks.prediction import MAX_ITEMS
from scoring_runtime.tensors import ANY_SIZE, Signature, Tensor, Tensors, TensorSpec

WEIGHTS = "model.safetensors"
PROGRAM = "model.pt2"
EXAMPLE_ITEMS = 2
"""More than one, lest the exported program takes a batch of one for the only size there is."""

EXAMPLE_SIZE = 64
"""Of an axis that is open, without an example of a request: enough for networks that halve an image five times."""

ITEMS = torch.export.Dim("items", min=1)
"""How many items there are. The program leaves their limit to the runtime, whose `maxItems` can then be any."""

DTYPES = {
    "BOOL": torch.bool,
    "UINT8": torch.uint8,
    "INT32": torch.int32,
    "INT64": torch.int64,
    "FP16": torch.float16,
    "FP32": torch.float32,
    "FP64": torch.float64,
}


def pack(module: torch.nn.Module, hints: Hints) -> Packed:
    """Return a torch module. Raises InputInvalid without either an architecture or a signature, or when it cannot be exported."""
    if hints.architecture is not None:
        state = {name: value.contiguous() for name, value in module.state_dict().items()}
        return Packed("torch", WEIGHTS, {WEIGHTS: save(state)}, {"options": {"architecture": hints.architecture}})
    if hints.signature is None:
        raise InputInvalid(
            "A torch module needs --architecture, its name in torchvision.models, or --signature, a file with the tensors that it takes: "
            'such as {"inputs": [{"name": "x", "datatype": "FP32", "shape": [-1, 4]}]}.'
        )
    return Packed("torch", PROGRAM, {PROGRAM: _export(module, hints.signature, hints.example)})


def _export(module: torch.nn.Module, signature: Signature, example: Any) -> bytes:  # noqa: ANN401  # JSON
    """Return the program, which takes every size that the signature leaves open and the module can."""
    given = {} if example is None else _read_example(signature, example)
    inputs = tuple(_make_input(spec, given.get(spec.name)) for spec in signature.inputs)
    open_axes = tuple(_open_axes(spec) for spec in signature.inputs)
    target = io.BytesIO()
    try:
        with _silence_logs():
            program = torch.export.export(module.eval(), inputs, dynamic_shapes=open_axes, strict=False)
            torch.export.save(program, target)
    except Exception as error:
        # torch.export fails in as many ways as there are modules; all of them are the module's or the signature's.
        raise InputInvalid(_explain(error, signature, inputs)) from error
    _check_open(program, signature)
    return target.getvalue()


def _read_example(signature: Signature, example: Any) -> Tensors:  # noqa: ANN401  # JSON
    try:
        return InputReader(signature, MAX_ITEMS).read(example)
    except RequestError as error:
        raise InputInvalid(f"--example: the signature does not take its `input`: {error}") from error


def _make_input(spec: TensorSpec, given: Tensor | None) -> torch.Tensor:
    """Return zeros of the sizes that the user's example has, but for ones, which torch.export would take for the only size there is."""
    dtype = DTYPES.get(spec.datatype)
    if dtype is None:
        raise InputInvalid(
            f"--signature: {spec.name}: a torch module takes no {spec.datatype}: use one of {', '.join(DTYPES)}."
        )
    sizes = (EXAMPLE_ITEMS, *[EXAMPLE_SIZE] * len(spec.shape)) if given is None else given.shape
    shape = [max(size, 2) if wish == ANY_SIZE else wish for size, wish in zip(sizes, spec.shape, strict=False)]
    return torch.zeros(shape, dtype=dtype)


def _open_axes(spec: TensorSpec) -> Mapping[int, Any]:
    # AUTO lets the program check what the module asks of a size, such as that two are alike. Of items it can ask nothing.
    return {axis: torch.export.Dim.AUTO if axis else ITEMS for axis, size in enumerate(spec.shape) if size == ANY_SIZE}


@contextmanager
def _silence_logs() -> Iterator[None]:
    # What fails, torch logs with its traceback as well.
    logging.disable(logging.ERROR)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)


def _check_open(program: torch.export.ExportedProgram, signature: Signature) -> None:
    """Raise InputInvalid when the program has kept the size of an axis that the signature leaves open."""
    nodes = {node.name: node for node in program.graph.nodes}
    for spec, name in zip(signature.inputs, program.graph_signature.user_inputs, strict=True):
        for axis, size in enumerate(nodes[str(name)].meta["val"].shape):
            if spec.shape[axis] == ANY_SIZE and is_concrete_int(size):
                raise InputInvalid(
                    f"--signature: {spec.name}: axis {axis} of the shape {list(spec.shape)} is -1, but the module keeps to the size "
                    f"that it is exported with, here {size}: give the one that it is served with in place of -1."
                )


def _explain(error: Exception, signature: Signature, inputs: tuple[torch.Tensor, ...]) -> str:
    lines = str(error).strip().splitlines() or [type(error).__name__]
    # The first line of a broken constraint does not tell it.
    reason = next((line.strip(" -") for line in lines if line.startswith("  - ")), lines[0])
    specs = list(zip(signature.inputs, inputs, strict=True))
    sizes = ", ".join(f"{spec.name} {list(tensor.shape)}" for spec, tensor in specs)
    axes = "; ".join(
        f"{spec.name}: {', '.join(str(axis) for axis, size in enumerate(spec.shape) if size == ANY_SIZE)}"
        for spec, _ in specs
    )
    return (
        f"--signature: torch.export does not take the module with {sizes}: {reason.rstrip('.!')}. Of the axes that are -1 ({axes}), give those "
        "whose size is fixed their size, and --example for sizes that fit where they vary."
    )
