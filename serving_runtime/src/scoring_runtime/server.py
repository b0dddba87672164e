"""The supervisor: takes signals, and runs one worker with the model and the HTTP server (granian, WSGI).

granian's in-process server speaks only ASGI and RSGI, so the model lives in its one worker process. SIGTERM or SIGINT reaches
the supervisor, which says `draining` first and stops the worker only after the drain time; granian then finishes running
requests. What only the worker needs is imported there (worker.py): the supervisor stays small and both start sooner.
"""

import multiprocessing
import signal
import socket
import threading
from functools import partial
from multiprocessing.synchronize import Event
from typing import Any

import structlog
from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings
from granian.log import LogLevels
from granian.server import MPServer

from scoring_runtime.connections import MAX_CONNECTIONS
from scoring_runtime.errors import InvalidSettingsError
from scoring_runtime.settings import Settings
from scoring_runtime.telemetry.logs import build_logging_config
from scoring_runtime.threads import limit_threads

# Beside those that wait for the model: threads that read requests, refuse them or answer probes.
SPARE_THREADS = 32

_logger = structlog.stdlib.get_logger(__name__)


def serve(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT, then drain and return.

    Raises InvalidSettingsError when the port cannot be used, SystemExit(1) when the worker ends by itself.
    """
    draining = multiprocessing.Event()
    server = MPServer(
        "scoring_runtime",
        address=find_any_address(),
        port=settings.port,
        interface=Interfaces.WSGI,
        blocking_threads=settings.max_queue + SPARE_THREADS,
        backpressure=MAX_CONNECTIONS,
        # Over HTTP/2 granian has no time limits, and none until it knows which version is spoken: a silent client would stay.
        http=HTTPModes.http1,
        http1_settings=HTTP1Settings(header_read_timeout=int(settings.header_timeout_seconds * 1000)),
        websockets=False,
        log_level=LogLevels.error,
        log_dictconfig=build_logging_config(settings.log_level),
    )
    server.on_startup(partial(_drain_on_signals, server, draining, settings.drain_seconds))
    _logger.info("serving", port=settings.port, model=settings.model_name)
    try:
        server.serve(target_loader=partial(load_worker, settings, draining), wrap_loader=False)
    except RuntimeError as error:
        reason = str(error).splitlines()[0]
        raise InvalidSettingsError(f"SCORING_PORT {settings.port} cannot be used: {reason}. Choose another.") from error
    _logger.info("stopped")


def find_any_address() -> str:
    """Return the address that stands for all of this machine's: a pod is reached at one it does not know beforehand, of either family."""
    return "::" if socket.has_dualstack_ipv6() else "0.0.0.0"  # noqa: S104 (so it is meant)


def load_worker(settings: Settings, draining: Event) -> Any:  # noqa: ANN401  # the WSGI application
    """Return the worker's application; called in the worker process alone."""
    # First: with the worker comes numpy, whose linear algebra reads it once.
    limit_threads(settings.threads)
    from scoring_runtime.worker import start_worker  # noqa: PLC0415  # half of the start's imports

    return start_worker(settings, draining)


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
