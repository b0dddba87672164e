"""Structured logs: one JSON object per line on stdout, of this package and of the HTTP server, without credentials."""

import logging
import logging.config
import os
from collections.abc import Iterable
from typing import Any

import structlog
from structlog.typing import EventDict, WrappedLogger

from scoring_runtime.artifacts.uris import find_credentials
from scoring_runtime.redaction import find_secrets, redactor


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


def configure_redaction(patterns: Iterable[str], model_uri: str | None) -> None:
    """Redact from now on what the settings ask for, and the secrets that this process was given: in its environment and its model's URI."""
    redactor.add_patterns(patterns)
    redactor.learn(find_secrets(os.environ))
    redactor.learn(find_credentials(model_uri or ""))


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
    handler = {"class": "logging.StreamHandler", "stream": "ext://sys.__stdout__", "formatter": "json"}
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"json": formatter},
        "handlers": {"stdout": handler},
        "root": {"handlers": ["stdout"], "level": level.upper()},
        "loggers": {},
    }


def redact_event(_wrapped: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Redact every value of a log event, tracebacks included."""
    return {name: redactor.redact_value(value, name) for name, value in event.items()}


def _shared_processors() -> list[Any]:
    return [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
