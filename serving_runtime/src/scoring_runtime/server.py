"""The processes: a supervisor that takes signals, and one worker with the model and the HTTP server (granian, WSGI).

granian's in-process server speaks only ASGI and RSGI, so the model lives in its one worker process. SIGTERM or SIGINT reaches
the supervisor, which says `draining` first and stops the worker only after the drain time; granian then finishes running
requests.
"""

import multiprocessing
import os
import signal
import threading
from functools import partial
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import NoReturn

import structlog
from flask import Flask
from granian.constants import Interfaces
from granian.log import LogLevels
from granian.server import MPServer

from scoring_runtime.admission import Admission
from scoring_runtime.app import create_app
from scoring_runtime.errors import InvalidSettingsError, LoadError, ScorerFailedError
from scoring_runtime.loading import limit_threads, load_model
from scoring_runtime.logs import build_logging_config, configure_logging
from scoring_runtime.metrics import Metrics
from scoring_runtime.model import ModelSlot
from scoring_runtime.settings import Settings
from scoring_runtime.termination import write_termination_message

# Beside those that wait for the model: threads that read requests, refuse them or answer probes.
SPARE_THREADS = 32
# granian counts connections here, idle ones too; fewer would lock out probes.
MAX_CONNECTIONS = 4096

_logger = structlog.stdlib.get_logger(__name__)


def serve(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT, then drain and return.

    Raises InvalidSettingsError when the port cannot be used, SystemExit(1) when the worker ends by itself.
    """
    draining = multiprocessing.Event()
    server = MPServer(
        "scoring_runtime",
        address="0.0.0.0",  # noqa: S104 (a pod is reached at an address it does not know beforehand)
        port=settings.port,
        interface=Interfaces.WSGI,
        blocking_threads=settings.max_queue + SPARE_THREADS,
        backpressure=MAX_CONNECTIONS,
        websockets=False,
        log_level=LogLevels.error,
        log_dictconfig=build_logging_config(settings.log_level),
    )
    server.on_startup(partial(_drain_on_signals, server, draining, settings.drain_seconds))
    _logger.info("serving", port=settings.port, model=settings.model_name)
    try:
        server.serve(target_loader=partial(start_worker, settings, draining), wrap_loader=False)
    except RuntimeError as error:
        reason = str(error).splitlines()[0]
        raise InvalidSettingsError(f"SCORING_PORT {settings.port} cannot be used: {reason}. Choose another.") from error
    _logger.info("stopped")


def start_worker(settings: Settings, draining: Event) -> Flask:
    """Return the app and load its model on a thread. Runs in the worker process, and ends it when loading fails."""
    # A group of its own: a signal to the whole group (a terminal, `timeout`) must not end the worker before it drained.
    os.setpgid(0, 0)
    threading.Thread(target=_end_with_supervisor, name="supervisor", daemon=True).start()
    configure_logging(settings.log_level)
    limit_threads(settings.threads)
    slot = ModelSlot(draining.is_set)
    admission = Admission(settings.max_queue)
    metrics = Metrics(admission)
    load = partial(_load_or_exit, settings, slot, admission, metrics)
    threading.Thread(target=load, name="loading", daemon=True).start()
    return create_app(settings, slot, admission, metrics)


def report_failure(termination_log: Path, error: LoadError) -> None:
    """Log why the runtime cannot serve and write the termination message."""
    _logger.error("cannot serve", code=error.code, reason=error.message, exc_info=error.__cause__)
    write_termination_message(termination_log, error)


def _end_with_supervisor() -> None:
    # A supervisor that was killed cannot stop its worker, which would hold memory and port for ever.
    supervisor = multiprocessing.parent_process()
    if supervisor is not None:
        supervisor.join()
        os._exit(1)


def _load_or_exit(settings: Settings, slot: ModelSlot, admission: Admission, metrics: Metrics) -> None:
    try:
        metrics.record_model(load_model(settings, slot, admission))
    except LoadError as error:
        _end_worker(settings, error)
    except BaseException as error:
        _logger.exception("loading failed unexpectedly")
        _end_worker(settings, ScorerFailedError(f"Loading failed unexpectedly: {type(error).__name__}."))


def _end_worker(settings: Settings, error: LoadError) -> NoReturn:
    try:
        report_failure(settings.termination_log, error)
    finally:
        # From a thread, only this ends the process; the supervisor then exits with 1. Whatever went wrong with the report,
        # a worker that lived on would be a pod that is never ready and never ends.
        os._exit(1)


def _drain_on_signals(server: MPServer, draining: Event, seconds: float) -> None:
    def drain() -> None:
        draining.set()
        threading.Event().wait(seconds)
        server.signal_handler_interrupt()  # type: ignore[no-untyped-call]

    def start_draining(_signal: int, _frame: object) -> None:
        # On a thread: a signal handler must not take the locks of an Event.
        threading.Thread(target=drain, name="draining", daemon=True).start()

    # granian has set its own handlers by now: SIGINT would end at once, and SIGHUP would start a second worker.
    signal.signal(signal.SIGTERM, start_draining)
    signal.signal(signal.SIGINT, start_draining)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
