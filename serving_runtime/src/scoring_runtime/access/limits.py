"""Limits for each of any number of clients, or of keys: so many requests a second and so many at the same time, in bounded memory.

The generic cell rate algorithm: of each client only the time is kept at which its next request would be in step. A token
bucket does the same with two numbers and a refill.
"""

import math
import threading
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic

from scoring_runtime.access.errors import TooManyRequestsError

MAX_CLIENTS = 65_536
"""At least half as many are remembered, those that have asked last; the others are forgotten unless they are being answered. Some 15 MiB."""


@dataclass(frozen=True)
class Rate:
    """How many requests a second, and how many at once after a pause."""

    per_second: float
    burst: int


UNLIMITED = Rate(math.inf, 1)


class Use:
    """What one client has used: when its next request would be in step, and how many of its requests are being answered."""

    __slots__ = ("due", "inside")

    def __init__(self) -> None:
        self.due = 0.0
        self.inside = 0


class UseLimit:
    """Lets so many requests of each client in, and counts them; `subject` is how the message speaks of one."""

    def __init__(
        self,
        subject: str,
        rate: Rate | None = None,
        most_inside: int | None = None,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._subject = subject
        self._rate = rate or UNLIMITED
        self._most_inside = most_inside
        self._clock = clock
        self._interval = 1 / self._rate.per_second
        self._tolerance = self._interval * (self._rate.burst - 1)
        # Of those that have asked since this was half of what is remembered, and of those that had before.
        self._uses: dict[str, Use] = {}
        self._earlier: dict[str, Use] = {}
        self._lock = threading.Lock()

    def enter(self, client: str) -> Use:
        """Count one request, for `leave` when it is answered. Raises TooManyRequestsError, which says when the next would be taken."""
        now = self._clock()
        with self._lock:
            use = self._uses.get(client) or self._add(client)
            due = use.due if use.due > now else now
            wait = due - now - self._tolerance
            if wait <= 0:
                if self._most_inside is None:
                    use.due = due + self._interval
                    return use
                if use.inside < self._most_inside:
                    use.due = due + self._interval
                    use.inside += 1
                    return use
        raise self._explain(wait)

    def leave(self, use: Use) -> None:
        """Take note that a request has been answered."""
        if self._most_inside is not None:
            with self._lock:
                use.inside -= 1

    def count_clients(self) -> int:
        """Return how many clients are remembered."""
        return len(self._uses) + len(self._earlier)

    def _add(self, client: str) -> Use:
        use = self._earlier.pop(client, None) or Use()
        if len(self._uses) >= MAX_CLIENTS // 2:
            answered = {client: use for client, use in self._earlier.items() if use.inside}
            self._earlier, self._uses = self._uses, answered
        self._uses[client] = use
        return use

    def _explain(self, wait: float) -> TooManyRequestsError:
        if wait <= 0:
            return TooManyRequestsError(
                f"More than {self._most_inside} requests at the same time of {self._subject}: try again later.", 1.0
            )
        rate = self._rate
        return TooManyRequestsError(
            f"More than {rate.per_second:g} requests per second of {self._subject}: try again later.",
            wait,
            (self._subject.rpartition(" ")[2], rate.burst, self._interval * rate.burst),
        )
