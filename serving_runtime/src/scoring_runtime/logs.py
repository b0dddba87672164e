"""Structured logs: one JSON object per line on stdout, of this package and of the HTTP server, without credentials."""

import logging
import logging.config
from typing import Any

import structlog
from structlog.typing import EventDict, WrappedLogger

from scoring_runtime.uris import redact_uris


def configure_logging(level: str) -> None:
    """Send every log of the process to stdout as JSON; `level` is debug, info, warning or error."""
    logging.config.dictConfig(build_logging_config(level))
    logging.captureWarnings(capture=True)
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *_shared_processors(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
    )


def build_logging_config(level: str) -> dict[str, Any]:
    """Return the standard library's logging configuration; the HTTP server takes it as it is."""
    formatter = {
        "()": structlog.stdlib.ProcessorFormatter,
        "foreign_pre_chain": _shared_processors(),
        "processors": [
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.format_exc_info,
            redact_event,
            structlog.processors.JSONRenderer(),
        ],
    }
    handler = {"class": "logging.StreamHandler", "stream": "ext://sys.stdout", "formatter": "json"}
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"json": formatter},
        "handlers": {"stdout": handler},
        "root": {"handlers": ["stdout"], "level": level.upper()},
        "loggers": {},
    }


def redact_event(_wrapped: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Cut user info and queries from the URIs in every text of a log event, tracebacks included."""
    return {key: redact_uris(value) if isinstance(value, str) else value for key, value in event.items()}


def _shared_processors() -> list[Any]:
    return [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
