"""The worker: the process with the model, its HTTP application, and gRPC where that is asked for. Started by server.py."""

import multiprocessing
import multiprocessing.util
import os
import signal
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from multiprocessing.synchronize import Event
from typing import TYPE_CHECKING, Any, NoReturn

import structlog
from flask import Flask

from scoring_runtime.access.clients import ClientFinder
from scoring_runtime.access.gate import Gate, create_gate
from scoring_runtime.affinity import Placement
from scoring_runtime.app import create_app
from scoring_runtime.batching import Batcher
from scoring_runtime.connections import MAX_CONNECTIONS, ConnectionLimit
from scoring_runtime.errors import InvalidSettingsError, LoadError, ScorerFailedError
from scoring_runtime.loading import load_model
from scoring_runtime.model import ModelSlot
from scoring_runtime.service import ScoringService
from scoring_runtime.settings import Settings
from scoring_runtime.telemetry.logs import configure_logging, configure_redaction
from scoring_runtime.telemetry.metrics import Metrics
from scoring_runtime.telemetry.output import capture_output
from scoring_runtime.telemetry.request_log import RequestLog
from scoring_runtime.termination import report_failure

if TYPE_CHECKING:
    from scoring_runtime.telemetry.tracing import Tracing

WAKE_SECONDS = 1.0
WAKE_SIGNAL = signal.SIGURG
# How long requests over gRPC may go on after the drain time; granian finishes those over HTTP.
FINISH_SECONDS = 30.0
# For answers on their way when the worker has to end.
ANSWER_SECONDS = 0.5

_TRACES_ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")

_logger = structlog.stdlib.get_logger(__name__)


@dataclass(frozen=True)
class _Parts:
    """What a worker is made of."""

    settings: Settings
    service: ScoringService
    metrics: Metrics
    gate: Gate | None
    log: RequestLog | None = None
    tracing: "Tracing | None" = None


def start_worker(settings: Settings, draining: Event) -> Flask:
    """Return the app and load its model on a thread. Runs in the worker process, and ends it when loading fails."""
    # A group of its own: a signal to the whole group (a terminal, `timeout`) must not end the worker before it drained.
    os.setpgid(0, 0)
    threading.Thread(target=_end_with_supervisor, name="supervisor", daemon=True).start()
    _wake_when_draining(draining)
    configure_logging(settings.log_level)
    capture_output()
    configure_redaction(settings.redact_patterns, settings.model_uri)
    slot = ModelSlot(_follow(draining).is_set)
    batcher = Batcher(settings.max_queue, settings.max_wait_seconds, end=partial(_end_after_answers, settings))
    if settings.keep_together:
        placement = Placement(batcher.count_answered)
        batcher.settle = placement.settle
        placement.watch()
    service = ScoringService(settings.model_name, slot, batcher)
    log = _open_request_log() if settings.request_log else None
    gate = _create_gate(settings)
    counts_callers = gate is not None and gate.asks_for_credentials
    metrics = Metrics(batcher, settings.latency_objective_seconds, counts_callers=counts_callers)
    tracing = _open_tracing(settings, batcher) if wants_traces(os.environ) else None
    parts = _Parts(settings, service, metrics, gate, log, tracing)
    threading.Thread(target=_load_or_exit, args=(parts,), name="loading", daemon=True).start()
    if settings.grpc_port is not None:
        _start_grpc(parts, draining)
    _limit_connections(parts)
    app = create_app(settings, service, parts.metrics, log, parts.gate)
    if tracing is not None:
        app.wsgi_app = tracing.wrap(app.wsgi_app)  # type: ignore[method-assign]
    return app


def _create_gate(settings: Settings) -> Gate | None:
    try:
        return create_gate(settings, settings.model_name)
    except LoadError as error:
        _end_worker(settings, error)


def _limit_connections(parts: _Parts) -> None:
    settings = parts.settings
    is_exempt = ClientFinder(settings.trusted_proxies).is_trusted
    limit = ConnectionLimit(settings.port, settings.max_connections_per_client, MAX_CONNECTIONS, is_exempt)
    limit.report = parts.metrics.record_cut_connections
    limit.unread_seconds = settings.body_timeout_seconds
    limit.watch()


def wants_traces(environ: Mapping[str, str]) -> bool:
    """Tell whether OpenTelemetry's own variables name a place for traces, and none of them switches them off."""
    return (
        any(environ.get(name) for name in _TRACES_ENDPOINTS)
        and environ.get("OTEL_TRACES_EXPORTER", "otlp") == "otlp"
        and environ.get("OTEL_SDK_DISABLED", "").lower() != "true"
    )


def _open_tracing(settings: Settings, batcher: Batcher) -> "Tracing":
    try:
        # Only here: the packages cost time and memory, and may be missing.
        from scoring_runtime.telemetry.tracing import open_tracing  # noqa: PLC0415
    except ModuleNotFoundError as error:
        message = f"{_TRACES_ENDPOINTS[0]} needs the package {error.name!r}: install scoring-runtime[tracing], or leave it unset."
        _end_worker(settings, InvalidSettingsError(message))
    tracing = open_tracing(settings.model_name)
    tracing.watch(batcher)
    multiprocessing.util.Finalize(None, tracing.close, exitpriority=0)
    return tracing


def _open_request_log() -> RequestLog:
    log = RequestLog()
    # What waits is written when the process ends; `atexit` is not run in a child of multiprocessing.
    multiprocessing.util.Finalize(None, log.close, exitpriority=0)
    return log


def _start_grpc(parts: _Parts, draining: Event) -> None:
    settings = parts.settings
    try:
        # Only here: grpcio costs time and memory, and may be missing.
        from scoring_runtime.protocols.grpc_server import GrpcLimits, start_grpc_server  # noqa: PLC0415

        limits = GrpcLimits(settings.max_body_bytes, settings.max_queue, parts.gate, settings.body_timeout_seconds)
        interceptors = _list_interceptors(parts.tracing)
        server = start_grpc_server(
            settings.grpc_port or 0, parts.service, parts.metrics, limits, parts.log, interceptors
        )
    except InvalidSettingsError as error:
        _end_worker(settings, error)
    except ModuleNotFoundError as error:
        message = (
            f"SCORING_GRPC_PORT needs the package {error.name!r}: install scoring-runtime[grpc], or leave it unset."
        )
        _end_worker(settings, InvalidSettingsError(message))

    def finish() -> None:
        draining.wait()
        threading.Event().wait(settings.drain_seconds)
        server.stop(FINISH_SECONDS)

    # The process ends only when the last request over gRPC has been answered, and before log and traces are closed.
    thread = threading.Thread(target=finish, name="grpc-end")
    thread.start()
    multiprocessing.util.Finalize(None, thread.join, exitpriority=1)


def _list_interceptors(tracing: "Tracing | None") -> list[Any]:
    if tracing is None:
        return []
    from scoring_runtime.protocols.grpc_traces import TracingInterceptor  # noqa: PLC0415

    return [TracingInterceptor(tracing)]


def _follow(draining: Event) -> threading.Event:
    """Return an event of this process that follows the supervisor's, whose lock all requests would have to take in turn."""
    followed = threading.Event()

    def follow() -> None:
        draining.wait()
        followed.set()

    threading.Thread(target=follow, name="following", daemon=True).start()
    return followed


def _end_with_supervisor() -> None:
    # A supervisor that was killed cannot stop its worker, which would hold memory and port for ever.
    supervisor = multiprocessing.parent_process()
    if supervisor is not None:
        supervisor.join()
        os._exit(1)


def _wake_when_draining(draining: Event) -> None:
    """Wake the main thread again and again: the supervisor's signal does not, when it comes just before that begins to wait (CPython).

    By a signal that does nothing else, upon which Python looks at those that wait. A second SIGTERM of its own would do harm: granian's
    handler takes one that nobody has heard yet, and waits within the interpreter's lock with the next.
    """
    signal.signal(WAKE_SIGNAL, lambda *_: None)

    def wake() -> None:
        draining.wait()
        while True:
            threading.Event().wait(WAKE_SECONDS)
            signal.pthread_kill(threading.main_thread().ident or 0, WAKE_SIGNAL)

    threading.Thread(target=wake, name="end", daemon=True).start()


def _load_or_exit(parts: _Parts) -> None:
    settings, service = parts.settings, parts.service
    try:
        if parts.gate is not None:
            parts.gate.open(threading.Event().wait)
        parts.metrics.record_model(load_model(settings, service.slot, service.batcher))
    except LoadError as error:
        _end_worker(settings, error)
    except BaseException as error:
        _logger.exception("loading failed unexpectedly")
        _end_worker(settings, ScorerFailedError(f"Loading failed unexpectedly: {type(error).__name__}."))


def _end_after_answers(settings: Settings, error: LoadError) -> None:
    # The server's threads get a moment to tell the clients of the last batch.
    threading.Timer(ANSWER_SECONDS, _end_worker, (settings, error)).start()


def _end_worker(settings: Settings, error: LoadError) -> NoReturn:
    try:
        report_failure(settings.termination_log, error)
    finally:
        # From a thread, only this ends the process; the supervisor then exits with 1. Whatever went wrong with the report,
        # a worker that lived on would be a pod that is never ready and never ends.
        os._exit(1)
