"""Torch modules: the weights as .safetensors for an architecture of torchvision, else the whole as an exported program (.pt2)."""

import io
from typing import Any

import torch
from safetensors.torch import save

from scoring_cli.errors import InputInvalid
from scoring_cli.packaging import Hints, Packed

WEIGHTS = "model.safetensors"
PROGRAM = "model.pt2"
EXAMPLE_ITEMS = 2
"""More than one, lest the exported program takes a batch of one for the only size there is."""

LARGEST_BATCH = 1024
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
    return Packed("torch", PROGRAM, {PROGRAM: _export(module, hints.signature["inputs"])})


def _export(module: torch.nn.Module, inputs: Any) -> bytes:  # noqa: ANN401  # of a checked signature
    """Return the program for batches of 1 to 1024 items."""
    items = torch.export.Dim("items", min=1, max=LARGEST_BATCH)
    examples = tuple(_make_example(spec) for spec in inputs)
    target = io.BytesIO()
    try:
        program = torch.export.export(
            module.eval(), examples, dynamic_shapes=tuple({0: items} for _ in examples), strict=False
        )
        torch.export.save(program, target)
    except Exception as error:
        # torch.export fails in as many ways as there are modules; all of them are the module's or the signature's.
        first = str(error).strip().partition("\n")[0]
        raise InputInvalid(f"torch.export does not take the module with this signature: {first}") from error
    return target.getvalue()


def _make_example(spec: Any) -> torch.Tensor:  # noqa: ANN401  # of a checked signature
    dtype = DTYPES.get(spec["datatype"])
    if dtype is None:
        raise InputInvalid(
            f"--signature: {spec['name']}: a torch module takes no {spec['datatype']}: use one of {', '.join(DTYPES)}."
        )
    return torch.zeros([EXAMPLE_ITEMS, *(max(size, 1) for size in spec["shape"][1:])], dtype=dtype)
