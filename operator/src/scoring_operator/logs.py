"""Logs without secrets: whatever the operator, kopf or a library logs passes this filter before it is formatted."""

import logging
import sys
from collections.abc import Iterable, Mapping
from types import TracebackType

from scoring_operator.redaction import find_secrets, redactor

PLAIN_ATTRIBUTES = frozenset(vars(logging.makeLogRecord({}))) | {"message", "k8s_ref", "k8s_skip", "settings"}
"""Of a log record: those that are logging's and kopf's own. All others are what a caller wants in the line."""

logger = logging.getLogger(__name__)


class RedactingFilter(logging.Filter):
    """Redacts message, traceback and further fields of each record; lets all of them pass."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Rewrite the record. Its arguments are gone afterwards, so that no formatter can use them again."""
        record.msg, record.args = redactor.redact(format_message(record)), ()
        if record.exc_info and record.exc_info[0] is not None:
            record.exc_text = record.exc_text or logging.Formatter().formatException(record.exc_info)
            record.exc_info = None
        record.exc_text = record.exc_text and redactor.redact(record.exc_text)
        record.stack_info = record.stack_info and redactor.redact(record.stack_info)
        for name in record.__dict__.keys() - PLAIN_ATTRIBUTES:
            setattr(record, name, redactor.redact_value(getattr(record, name), name))
        return True


def format_message(record: logging.LogRecord) -> str:
    """Return the record's message with its arguments; the message alone when they do not fit it."""
    try:
        return record.getMessage()
    except (TypeError, ValueError, KeyError):
        return str(record.msg)


def redact_logs(patterns: Iterable[str], environment: Mapping[str, str]) -> None:
    """Redact from now on what is logged through the root's handlers, and what ends the process unexpectedly.

    patterns: regular expressions of what is redacted beside what redaction.py knows.
    environment: whose variables with telling names hold secrets.
    """
    redactor.add_patterns(patterns)
    redactor.learn(find_secrets(environment))
    for handler in logging.getLogger().handlers:
        handler.addFilter(RedactingFilter())
    sys.excepthook = log_uncaught


def log_uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Log an exception that nobody has caught: printed, it would pass by the filter."""
    logger.critical("uncaught exception", exc_info=(kind, error, trace))
