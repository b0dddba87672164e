"""Rate limits: so many requests a second for each of any number of clients, in bounded memory.

The generic cell rate algorithm: of each client only the time is kept at which its next request would be in step. A token
bucket does the same with two numbers and a refill.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic

from scoring_runtime.access.errors import TooManyRequestsError

MAX_CLIENTS = 65_536
"""Whoever was counted longest ago is forgotten beyond that: some 10 MiB."""


@dataclass(frozen=True)
class Rate:
    """How many requests a second, and how many at once after a pause."""

    per_second: float
    burst: int


class RateLimit:
    """Counts the requests of each client; `subject` is how the message speaks of one."""

    def __init__(self, rate: Rate, subject: str, clock: Callable[[], float] = monotonic) -> None:
        self._rate = rate
        self._subject = subject
        self._clock = clock
        self._interval = 1 / rate.per_second
        self._tolerance = self._interval * (rate.burst - 1)
        self._due: OrderedDict[str, float] = OrderedDict()
        self._lock = threading.Lock()

    def take(self, client: str) -> None:
        """Count one request. Raises TooManyRequestsError, which says when the next would be taken."""
        now = self._clock()
        with self._lock:
            due = max(self._due.get(client, 0.0), now)
            wait = due - now - self._tolerance
            if wait <= 0:
                self._due[client] = due + self._interval
                self._due.move_to_end(client)
                if len(self._due) > MAX_CLIENTS:
                    self._due.popitem(last=False)
                return
        raise TooManyRequestsError(
            f"More than {self._rate.per_second:g} requests per second of {self._subject}: try again later.",
            wait,
            self._policy,
        )

    def count_clients(self) -> int:
        """Return how many clients are remembered."""
        return len(self._due)

    @property
    def _policy(self) -> tuple[str, int, float]:
        return self._subject.rpartition(" ")[2], self._rate.burst, self._interval * self._rate.burst


class Places:
    """Lets each client have so many requests answered at the same time."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._inside: dict[str, int] = {}
        self._lock = threading.Lock()

    def enter(self, client: str) -> None:
        """Take a place. Raises TooManyRequestsError when the client has all of its own."""
        with self._lock:
            inside = self._inside.get(client, 0)
            if inside < self._most:
                self._inside[client] = inside + 1
                return
        raise TooManyRequestsError(
            f"More than {self._most} requests at the same time of one client: try again later.", 1.0
        )

    def leave(self, client: str) -> None:
        """Give the place back."""
        with self._lock:
            left = self._inside[client] - 1
            if left:
                self._inside[client] = left
            else:
                del self._inside[client]
