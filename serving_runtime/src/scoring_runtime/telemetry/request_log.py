"""The request log: one JSON line for each scoring request, without payloads. Written by a thread of its own.

A request hands over its record and never waits: what cannot be written in time is counted and left out. One request in
LINES_AT_ONCE makes the lines of all since the last, a microsecond each: what made each line beside a model, with nothing of it
in the processor's caches, took four times as long. The thread makes only those that nobody else has; while it made all, it took
turns in Python with the requests.
It does not go through structlog, whose processors would cost more than scoring with a small model does. Every text in a record is
either ours or checked before (request_ids.py), so there is nothing to redact.
"""

import os
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import lru_cache
from time import time

import orjson

from scoring_runtime.telemetry.request_record import RequestRecord

GATHER_SECONDS = 0.1
"""Lines wait this long for others: waking the thread for each would cost more than the line."""

LINES_AT_ONCE = 64

MAX_LINES = 16_384
"""That wait while nobody reads standard output; some 4 MB."""

PAGE_BYTES = 4096
"""A pipe takes as much in one piece (PIPE_BUF), and more page by page. Lines of two processes do not mingle while each page is whole lines."""

MAX_PAGES = 16
"""Written at once. After each piece the thread has to wait for its turn in Python."""

CLOSE_SECONDS = 1.0

_ABOUT = f'"level":"info","logger":"{__name__}","event":"request"'


class RequestLog:
    """Takes records and writes them as lines. `write` gets what gather_pieces makes of them."""

    def __init__(self, write: Callable[[bytes], None] | None = None, max_lines: int = MAX_LINES) -> None:
        self._write = write or write_to_stdout
        self._max_lines = max_lines
        self._records: deque[RequestRecord] = deque()
        self._lines: deque[bytes] = deque()
        self._making = threading.Lock()
        self._dropping = threading.Lock()
        self._dropped = 0
        self._is_wanted = threading.Event()
        # Whether that has been told; a look at it costs less than one at the event.
        self._is_told = False
        self._is_closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="request-log", daemon=True)
        self._thread.start()

    def add(self, record: RequestRecord) -> None:
        """Have a record written soon; never waits."""
        records = self._records
        if len(records) + len(self._lines) >= self._max_lines:
            with self._dropping:
                self._dropped += 1
            return
        records.append(record)
        if len(records) >= LINES_AT_ONCE:
            self._make_lines()
        if not self._is_told:
            self._is_told = True
            self._is_wanted.set()

    def close(self) -> None:
        """Write what waits, and end; gives up after a second when nobody reads."""
        self._is_closing.set()
        self._is_wanted.set()
        self._thread.join(CLOSE_SECONDS)

    def _run(self) -> None:
        while not self._is_closing.is_set():
            self._is_wanted.wait()
            self._is_wanted.clear()
            self._is_closing.wait(GATHER_SECONDS)
            # Before the look at what there is: who comes after that tells it anew.
            self._is_told = False
            self._write_all()
        self._write_all()

    def _make_lines(self) -> None:
        with self._making:
            for _ in range(len(self._records)):
                self._lines.append(write_line(self._records.popleft()))

    def _write_all(self) -> None:
        self._make_lines()
        for piece in gather_pieces(self._take_lines()):
            self._write(piece)

    def _take_lines(self) -> Iterator[bytes]:
        for _ in range(len(self._lines)):
            yield self._lines.popleft()
        with self._dropping:
            dropped, self._dropped = self._dropped, 0
        if dropped:
            yield write_loss(dropped)


def write_line(record: RequestRecord) -> bytes:
    """Return a record as one line of JSON; what it lacks is left out.

    Put together from texts that need no quoting but for the key's name: a JSON encoder would take twice as long.
    """
    answered, request_id, protocol, status, seconds, bytes_in, bytes_out, error, trace_id, caller = record
    rest = ""
    if error is not None:
        rest = f',"error":"{error}"'
    if trace_id is not None:
        rest += f',"trace_id":"{trace_id}"'
    if caller is not None:
        rest += f',"key":{_quote(caller.name)}'
    return (
        f'{{"timestamp":"{write_time(answered)}",{_ABOUT},"request_id":"{request_id}","protocol":"{protocol}","status":{status},'
        f'"milliseconds":{seconds * 1000:.3f},"bytes_in":{bytes_in},"bytes_out":{bytes_out}{rest}}}\n'
    ).encode()


@lru_cache(maxsize=1024)
def _quote(text: str) -> str:
    # The name of a key is that of its file, which may be no text.
    return orjson.dumps(text.encode(errors="backslashreplace").decode()).decode()


def write_time(seconds: float) -> str:
    """Return a time as the other lines have it, such as 2026-11-26T06:20:11.482913Z."""
    whole = int(seconds)
    return f"{_write_second(whole)}.{int((seconds - whole) * 1e6):06}Z"


@lru_cache(maxsize=2)
def _write_second(second: int) -> str:
    return datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def write_loss(count: int) -> bytes:
    """Return the line that tells of requests that have none."""
    line = {
        "timestamp": write_time(time()),
        "level": "warning",
        "logger": __name__,
        "event": "requests not logged: standard output is not read fast enough",
        "count": count,
    }
    return orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE)


def gather_pieces(lines: Iterator[bytes]) -> Iterator[bytes]:
    """Yield the lines in pieces that a pipe takes without another process's lines within one of ours.

    That is up to MAX_PAGES pages of whole lines, each filled up with spaces before its last line's end, or less than a page.
    """
    pages: list[bytes] = []
    page: list[bytes] = []
    size = 0
    for line in lines:
        if page and size + len(line) > PAGE_BYTES:
            pages.append(_fill_up(b"".join(page)))
            page, size = [], 0
        if len(pages) == MAX_PAGES:
            yield b"".join(pages)
            pages = []
        page.append(line)
        size += len(line)
    if pages:
        yield b"".join(pages)
    if page:
        yield b"".join(page)


def _fill_up(lines: bytes) -> bytes:
    return lines[:-1] + b" " * (-len(lines) % PAGE_BYTES) + lines[-1:]


def write_to_stdout(piece: bytes) -> None:
    """Write lines to the process's standard output, whatever stands in `sys.stdout`; waits while nobody reads."""
    rest = memoryview(piece)
    try:
        while rest:
            rest = rest[os.write(sys.__stdout__.fileno() if sys.__stdout__ else 1, rest) :]
    except OSError:
        return  # Nobody will ever read it: there is nowhere to say so.
