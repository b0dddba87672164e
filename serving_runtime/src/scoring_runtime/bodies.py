"""Reading request bodies within a time limit. Used by the protocols; routes.py has one reader for all requests.

granian's `wsgi.input.read` blocks a thread until all has come, and has no time limit. A thread of our own watches those that
read, and answers 408 for the one that takes too long, through granian's response object, which it finds on that thread's
stack. The answer announces one byte more than it has: hyper then gives the connection up, and `read` returns at once. Without
that, a client that keeps its side open would keep the thread.
"""

import sys
import threading
from collections.abc import Callable, Iterator
from time import monotonic
from types import FrameType
from typing import Any, Protocol

from scoring_runtime.error_bodies import write_error
from scoring_runtime.errors import BodyTimeoutError

WATCH_SECONDS = 0.25
PRESSED_SECONDS = 2.0
"""While more than half of the places are held by bodies still on their way, each gets this long only."""

_FLUSH_SECONDS = 0.05
_LATE = "The body did not come in time: send it faster, or less of it."


def limit_seconds(seconds: float, on_their_way: int, places: int) -> float:
    """Return how long each body, or message over gRPC, may take now that so many have a place."""
    return min(PRESSED_SECONDS, seconds) if on_their_way * 2 > places else seconds


class Stream(Protocol):
    """What a body is read from."""

    def read(self, size: int, /) -> bytes:
        """Return so many bytes, fewer only at the body's end."""


class _Reading:
    __slots__ = ("is_cut", "path", "started", "thread")

    def __init__(self, thread: int, started: float, path: str) -> None:
        self.thread = thread
        self.started = started
        self.path = path
        self.is_cut = False


class BodyReader:
    """Reads bodies, each within `seconds`. `places` is how many may be read at the same time before others are refused."""

    def __init__(self, seconds: float, places: int, clock: Callable[[], float] = monotonic) -> None:
        self._seconds = seconds
        self._places = places
        self._clock = clock
        self._readings: set[_Reading] = set()

    def read(self, stream: Stream, size: int, path: str) -> bytes:
        """Return so many bytes of a request to this path, or what there are. Raises BodyTimeoutError."""
        reading = _Reading(threading.get_ident(), self._clock(), path)
        self._readings.add(reading)
        try:
            body = stream.read(size)
        finally:
            self._readings.discard(reading)
        if reading.is_cut:
            raise BodyTimeoutError(_LATE)
        return body

    def watch(self) -> None:
        """Cut what takes too long from now on, on a thread of its own."""
        threading.Thread(target=self._watch, name="bodies", daemon=True).start()

    def find_late(self) -> Iterator[_Reading]:
        """Yield the readings that have had their time."""
        readings = list(self._readings)
        seconds = limit_seconds(self._seconds, len(readings), self._places)
        now = self._clock()
        return (reading for reading in readings if now - reading.started > seconds and not reading.is_cut)

    def _watch(self) -> None:
        pause = threading.Event()
        while True:
            pause.wait(WATCH_SECONDS)
            for reading in self.find_late():
                self._cut(reading)

    def _cut(self, reading: _Reading) -> None:
        response = _find_response(sys._current_frames().get(reading.thread))
        # The look at the stack comes first: as long as the reading is there, the thread cannot have gone on to another request.
        if response is None or reading not in self._readings:
            return
        # Not told in the log from here: a log that nobody reads would stop this thread. The request has its own line.
        reading.is_cut = True
        # It waits for the answer to be sent; the others must not wait with it.
        threading.Thread(target=_answer, args=(response, reading.path), name="body-cut", daemon=True).start()


def _find_response(frame: FrameType | None) -> Any:  # noqa: ANN401  # granian's WSGIProtocol, a type of an extension module
    while frame is not None:
        found = frame.f_locals.get("proto")
        if hasattr(found, "response_iter"):
            return found
        frame = frame.f_back
    return None


class _CutAnswer:
    """An answer's body, as granian takes it: the second piece, which never comes, is asked for when the first may be sent."""

    def __init__(self, body: bytes) -> None:
        self._pieces = iter((body,))

    def __next__(self) -> bytes:
        piece = next(self._pieces, None)
        if piece is None:
            threading.Event().wait(_FLUSH_SECONDS)
            raise StopIteration
        return piece

    def close(self) -> None:
        """End; nothing is held."""


def _answer(response: Any, path: str) -> None:  # noqa: ANN401
    body = write_error(path, BodyTimeoutError.code, _LATE)
    headers = [("Content-Type", "application/json"), ("Content-Length", str(len(body) + 1)), ("Connection", "close")]
    response.response_iter(408, headers, _CutAnswer(body))
