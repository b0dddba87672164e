"""Waiting for a condition: what tests do instead of sleeping."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

POLL_SECONDS = 0.1


def wait_for(look: Callable[[], T | None], what: str, timeout_seconds: float = 60.0) -> T:
    """Return the first true result of `look`; raises AssertionError with `what` and the last result when that takes too long."""
    deadline = time.monotonic() + timeout_seconds
    while True:
        result = look()
        if result:
            return result
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {timeout_seconds:.0f} s for {what}; last seen: {result!r}")
        time.sleep(POLL_SECONDS)
