"""What the command line asks of a benchmark. Lowest layer."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Options:
    """How a benchmark is run."""

    cluster: str
    samples: int
    idle_seconds: float
    rounds: int
    class_edit_models: int
    with_floor: bool
    progress: Callable[[str], None]
