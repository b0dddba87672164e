"""Serves the app by granian, as the runtime serves models: `python -m samples.client.server`. The image's entry point."""

import sys
from functools import partial
from typing import Any

import structlog
from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings
from granian.log import LogLevels
from granian.server import MPServer

from samples.client.app import create_app
from samples.client.errors import SettingsError
from samples.client.logs import configure_logging
from samples.client.settings import Settings, read_settings

THREADS = 32
MAX_CONNECTIONS = 1024
HEADER_MILLISECONDS = 30_000

_logger = structlog.stdlib.get_logger(__name__)


def main() -> None:
    """Serve until SIGTERM; a setting that is wrong is one message and exit status 1."""
    try:
        settings = read_settings()
        configure_logging(settings.log_level)
        serve(settings)
    except SettingsError as error:
        sys.stderr.write(f"error: {error}\n")
        raise SystemExit(1) from error


def serve(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT. Raises SettingsError."""
    # Here too, so that what is missing is told before a worker is started.
    create_app(settings)
    server = MPServer(
        "samples.client",
        address=settings.address,
        port=settings.port,
        interface=Interfaces.WSGI,
        blocking_threads=THREADS,
        backpressure=MAX_CONNECTIONS,
        http=HTTPModes.http1,
        http1_settings=HTTP1Settings(header_read_timeout=HEADER_MILLISECONDS),
        websockets=False,
        log_level=LogLevels.error,
    )
    _logger.info("serving", address=settings.address, port=settings.port)
    server.serve(target_loader=partial(start_worker, settings), wrap_loader=False)


def start_worker(settings: Settings) -> Any:  # noqa: ANN401  # the WSGI application
    """Return the worker's application; called in the worker's process."""
    configure_logging(settings.log_level)
    return create_app(settings)


if __name__ == "__main__":
    main()
