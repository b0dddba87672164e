"""Standard output and error of the model's own code: what it prints becomes lines of the log, redacted like all others.

Only what Python code writes: a native library that writes to the file descriptors itself goes past this.
"""

import io
import sys
import threading
from types import TracebackType
from typing import TYPE_CHECKING

import structlog

if TYPE_CHECKING:
    from typing_extensions import Buffer

_logger = structlog.stdlib.get_logger(__name__)

MAX_PENDING_BYTES = 65_536
"""Of a line that does not end."""


class LogLines(io.RawIOBase):
    """A binary stream; whole lines that are written to it at once become one event of the log."""

    def __init__(self, name: str, descriptor: int) -> None:
        super().__init__()
        self.name = name
        self._descriptor = descriptor
        self._logger = structlog.stdlib.get_logger(name)
        self._lock = threading.Lock()
        self._pending = b""
        self._inside = threading.local()

    def writable(self) -> bool:
        """Tell that this can be written to."""
        return True

    def fileno(self) -> int:
        """Return the descriptor beneath, for programs that are started with this stream as theirs."""
        return self._descriptor

    def write(self, data: "Buffer", /) -> int:
        """Log the lines that `data` ends, and keep the rest."""
        text = bytes(data)
        with self._lock:
            whole, newline, rest = (self._pending + text).rpartition(b"\n")
            if len(rest) > MAX_PENDING_BYTES:
                whole, newline, rest = whole + newline + rest, b"\n", b""
            self._pending = rest
        if newline:
            self._log(whole.decode("utf-8", errors="replace").strip("\n"))
        return len(text)

    def _log(self, text: str) -> None:
        # logging reports its own failures on standard error: reporting those here again would never end.
        if text and not getattr(self._inside, "is_busy", False):
            self._inside.is_busy = True
            try:
                self._logger.info(text)
            finally:
                self._inside.is_busy = False


def capture_output() -> None:
    """Send to the log what this process's Python code prints from now on, and what ends the process or a thread unexpectedly."""
    for name, descriptor in (("stdout", 1), ("stderr", 2)):
        lines = LogLines(name, descriptor)
        setattr(sys, name, io.TextIOWrapper(lines, encoding="utf-8", errors="replace", write_through=True))
    sys.excepthook = log_uncaught
    threading.excepthook = lambda end: log_uncaught(end.exc_type, end.exc_value, end.exc_traceback)


def log_uncaught(kind: type[BaseException], error: BaseException | None, trace: TracebackType | None) -> None:
    """Log an exception that nobody has caught, as one event."""
    if error is not None and not issubclass(kind, SystemExit | KeyboardInterrupt):
        _logger.error("uncaught exception", exc_info=(kind, error, trace))
