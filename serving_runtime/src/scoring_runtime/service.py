"""The scoring service: what every protocol calls to have a request scored. Between the protocols and batching.py."""

from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter

from scoring_runtime.batching import MEMORY_SHORT, Batcher
from scoring_runtime.errors import OverloadedError
from scoring_runtime.model import ModelSlot, ServedModel
from scoring_runtime.tasks import Inputs, Outputs, Task


@dataclass(frozen=True)
class ScoringService:
    """Scores requests with the model of a slot; knows no protocol."""

    model_name: str
    slot: ModelSlot
    batcher: Batcher

    def get_model(self) -> ServedModel:
        """Return the warm model. Raises NotReadyError."""
        return self.slot.get_model()

    def score(self, task: Task, read: Callable[[], Inputs]) -> Outputs:
        """Take a place, read the request, return its outputs. Raises RequestError, OverloadedError before reading."""
        with self.batcher.admit():
            started = perf_counter()
            try:
                inputs = read()
            except MemoryError as error:
                raise OverloadedError(MEMORY_SHORT) from error
            self.batcher.report_preprocess(perf_counter() - started)
            return self.batcher.score(task, inputs)
