"""The runtime's app in this process, in any state: not loaded, ready, or draining."""

from flask.testing import FlaskClient

from scoring_runtime.access.gate import create_gate
from scoring_runtime.app import create_app
from scoring_runtime.batching import Batcher
from scoring_runtime.loading import load_model
from scoring_runtime.model import ModelSlot
from scoring_runtime.service import ScoringService
from scoring_runtime.settings import Settings
from scoring_runtime.telemetry.metrics import Metrics


def create_service(settings: Settings, *, is_loaded: bool = True, is_draining: bool = False) -> ScoringService:
    """Return the service of these settings, its model loaded or not."""
    slot, batcher = ModelSlot(lambda: is_draining), Batcher(settings.max_queue, settings.max_wait_seconds)
    if is_loaded:
        load_model(settings, slot, batcher)
    return ScoringService(settings.model_name, slot, batcher)


def open_client(settings: Settings, *, is_loaded: bool = True, is_draining: bool = False) -> FlaskClient:
    """Return a client of the app of these settings."""
    service = create_service(settings, is_loaded=is_loaded, is_draining=is_draining)
    gate = create_gate(settings, settings.model_name)
    metrics = Metrics(service.batcher, counts_callers=gate is not None and gate.asks_for_credentials)
    return create_app(settings, service, metrics, gate=gate).test_client()
