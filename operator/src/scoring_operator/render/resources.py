"""Requests, limits and threads of one replica: the hardware class's, with the model's overrides."""

import math

from scoring_operator.api import HardwareClass, Resources, ScoringModel
from scoring_operator.quantities import parse_quantity

MAX_THREADS = 1024
"""As many as a hardware class may ask for by `threads`."""


def merge_resources(model: ScoringModel, hardware: HardwareClass) -> dict[str, dict[str, str]]:
    """Return requests and limits by resource name; the model's replace the class's, and the accelerator is in both.

    Kubernetes requires equal request and limit for extended resources, so a GPU is never shared between pods.
    """
    own = model.spec.runtime.resources or Resources()
    merged = {
        "requests": {**(hardware.spec.resources.requests or {}), **(own.requests or {})},
        "limits": {**(hardware.spec.resources.limits or {}), **(own.limits or {})},
    }
    accelerator = hardware.spec.accelerator
    if accelerator is not None:
        for amounts in merged.values():
            amounts[accelerator.resource] = accelerator.count
    return {side: {name: str(amount) for name, amount in amounts.items()} for side, amounts in merged.items()}


def count_threads(model: ScoringModel, hardware: HardwareClass) -> int | None:
    """Return the threads of the numerical libraries: the class's, else the CPU limit rounded up, else None (the runtime looks)."""
    if hardware.spec.threads is not None:
        return hardware.spec.threads
    cpu = merge_resources(model, hardware)["limits"].get("cpu")
    return None if cpu is None else max(1, min(math.ceil(parse_quantity(cpu)), MAX_THREADS))


def format_number(quantity: int | str) -> str:
    """Return a quantity as a plain decimal number, for those who do not read quantities: 1500m as 1.5."""
    return f"{parse_quantity(quantity).normalize():f}"
