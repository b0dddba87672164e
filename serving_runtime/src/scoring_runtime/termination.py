"""The termination message: one line of JSON that tells the operator why the runtime cannot serve."""

from pathlib import Path

import orjson
import structlog

from scoring_runtime.errors import LoadError
from scoring_runtime.redaction import redactor

# Kubernetes keeps 4,096 bytes of a termination message; a cut JSON line could not be read.
MAX_MESSAGE_CHARACTERS = 1000

_logger = structlog.stdlib.get_logger(__name__)


def write_termination_message(path: Path, error: LoadError) -> None:
    """Write `{"code", "message"}` of the error to `path`. Outside a cluster it may fail, which is logged."""
    # A file's name may hold what is no UTF-8, which Python carries as surrogates and JSON can't.
    text = error.message.encode("utf-8", errors="replace").decode("utf-8")
    message = " ".join(redactor.redact(text).split())[:MAX_MESSAGE_CHARACTERS]
    try:
        path.write_bytes(orjson.dumps({"code": error.code, "message": message}) + b"\n")
    except OSError as reason:
        _logger.warning("termination message not written", path=str(path), reason=reason.strerror)


def report_failure(termination_log: Path, error: LoadError) -> None:
    """Log why the runtime cannot serve and write the termination message."""
    _logger.error("cannot serve", code=error.code, reason=error.message, exc_info=error.__cause__)
    write_termination_message(termination_log, error)
