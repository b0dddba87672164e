"""How often somebody may try to sign in, or ask: counted in memory, by each replica for itself. Above `errors`."""

import ipaddress
import math
import time
from dataclasses import dataclass

from limits import RateLimitItem, RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

SIGN_INS_OF_AN_ADDRESS = RateLimitItemPerMinute(10)
SIGN_INS_OF_A_NAME = RateLimitItemPerMinute(20, 10)
"""Twenty in ten minutes, from wherever: it slows those who guess from many addresses."""


@dataclass(frozen=True)
class Limit:
    """A number of times in a time, for one of many."""

    item: RateLimitItem
    what: str
    who: str


class Limits:
    """Counts of everybody."""

    def __init__(self, requests_per_minute: int) -> None:
        self._limiter = MovingWindowRateLimiter(MemoryStorage())
        self._requests = RateLimitItemPerMinute(requests_per_minute)

    def count_sign_in(self, address: str, name: str) -> int:
        """Count a try to sign in; return 0, or the seconds to wait when there have been too many."""
        return self._count(
            Limit(SIGN_INS_OF_AN_ADDRESS, "address", find_network(address)),
            Limit(SIGN_INS_OF_A_NAME, "name", name),
        )

    def count_request(self, user: str) -> int:
        """Count a question or a picture of a user; return 0, or the seconds to wait."""
        return self._count(Limit(self._requests, "request", user))

    def _count(self, *limits: Limit) -> int:
        return max(self._wait(limit) for limit in limits)

    def _wait(self, limit: Limit) -> int:
        if self._limiter.hit(limit.item, limit.what, limit.who):
            return 0
        reset = self._limiter.get_window_stats(limit.item, limit.what, limit.who).reset_time
        return max(1, math.ceil(reset - time.time()))


def find_network(address: str) -> str:
    """Return the address, or of IPv6 its /64 network, which one customer has to himself."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return "unknown"
    if isinstance(found, ipaddress.IPv6Address):
        return str(ipaddress.ip_network(f"{found}/64", strict=False))
    return str(found)
