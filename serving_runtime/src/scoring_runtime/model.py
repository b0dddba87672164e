"""The model that is served, and the slot it is put into once warm. Filled by loading.py, asked by app.py."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from scoring_runtime.errors import NotReadyError
from scoring_runtime.manifest import Manifest
from scoring_runtime.tasks import Task


@dataclass(frozen=True)
class ServedModel:
    """A warm model.

    `digest` and `size_bytes` are of the artifact as fetched, `load_seconds` the time until warm, `report` what its scorer
    tells of itself, such as engine and device.
    """

    manifest: Manifest
    format: str
    task: Task
    digest: str
    size_bytes: int
    load_seconds: float
    report: Mapping[str, Any] = field(default_factory=dict)


class ModelSlot:
    """Holds the model once it is warm, and says why there is none until then."""

    def __init__(self, is_draining: Callable[[], bool] = lambda: False) -> None:
        self.is_draining = is_draining
        self._model: ServedModel | None = None
        self._stage = "the model is about to be fetched"

    @property
    def model(self) -> ServedModel | None:
        """The warm model, or None."""
        return self._model

    def report_stage(self, stage: str) -> None:
        """Say what is being done, as in `the model is being fetched`."""
        self._stage = stage

    def fill(self, model: ServedModel) -> None:
        """Serve this model from now on."""
        self._model = model

    def get_model(self) -> ServedModel:
        """Return the warm model, also while draining. Raises NotReadyError."""
        if self._model is None:
            raise NotReadyError(f"Not ready: {self._stage}. Try again later.")
        return self._model

    def check_ready(self) -> None:
        """Raise NotReadyError unless new requests should be sent here."""
        if self.is_draining():
            raise NotReadyError("Not ready: the server is stopping. Send requests to another replica.")
        self.get_model()
