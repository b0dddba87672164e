"""A bounded load test: so many clients that each ask again as soon as they are answered, for so many seconds. Above `endpoint`."""

import asyncio
import statistics
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from http import HTTPStatus
from typing import Any

from scoring_cli.endpoint import Endpoint, Payload, read_answer
from scoring_cli.errors import EndpointError

MAX_CLIENTS = 512
MAX_SECONDS = 120.0
HUNDREDTHS = 100
FAILED = "no answer"


@dataclass(frozen=True)
class Plan:
    """What is done at each number of replicas: for each number of clients so many seconds, and at most so many requests."""

    clients: Sequence[int]
    seconds: float
    max_requests: int


@dataclass(frozen=True)
class Level:
    """What was measured with one number of clients. Latencies are of answers that are no errors."""

    replicas: int | None
    """None when it is not known."""

    clients: int
    seconds: float
    answered: int
    per_second: float
    p50_milliseconds: float | None
    p95_milliseconds: float | None
    p99_milliseconds: float | None
    errors: dict[str, int] = field(default_factory=dict)
    """How many answers of each status that is an error."""

    def render(self) -> dict[str, Any]:
        """Return it as a JSON object."""
        return asdict(self)


@dataclass
class _Tally:
    """What one level's clients share."""

    stop_at: float
    left: int
    latencies: list[float] = field(default_factory=list)
    errors: Counter[str] = field(default_factory=Counter)


async def measure(
    endpoint: Endpoint, payload: Payload, plan: Plan, replicas: int | None, tell: Callable[[Level], None]
) -> list[Level]:
    """Return a level for each number of clients. Raises EndpointError when a first request fails, so that no error is measured."""
    async with endpoint:
        read_answer(await endpoint.ask(payload))
        levels = []
        for clients in plan.clients:
            level = await _measure_level(endpoint, payload, plan, (clients, replicas))
            tell(level)
            levels.append(level)
        return levels


async def _measure_level(endpoint: Endpoint, payload: Payload, plan: Plan, case: tuple[int, int | None]) -> Level:
    clients, replicas = case
    started = time.perf_counter()
    tally = _Tally(started + plan.seconds, plan.max_requests)
    await asyncio.gather(*(_ask_repeatedly(endpoint, payload, tally) for _ in range(clients)))
    seconds = time.perf_counter() - started
    p50, p95, p99 = find_percentiles(tally.latencies)
    answered = len(tally.latencies)
    return Level(
        replicas, clients, round(seconds, 2), answered, round(answered / seconds, 1), p50, p95, p99, dict(tally.errors)
    )


async def _ask_repeatedly(endpoint: Endpoint, payload: Payload, tally: _Tally) -> None:
    while tally.left > 0 and time.perf_counter() < tally.stop_at:
        tally.left -= 1
        started = time.perf_counter()
        try:
            answer = await endpoint.ask(payload)
        except EndpointError:
            tally.errors[FAILED] += 1
            continue
        if answer.status < HTTPStatus.BAD_REQUEST:
            tally.latencies.append(time.perf_counter() - started)
        else:
            tally.errors[str(answer.status)] += 1


def find_percentiles(seconds: Sequence[float]) -> tuple[float | None, float | None, float | None]:
    """Return p50, p95 and p99 in milliseconds; None each without any answer."""
    if not seconds:
        return None, None, None
    cuts = statistics.quantiles([*seconds, seconds[-1]], n=HUNDREDTHS, method="inclusive")
    p50, p95, p99 = (round(cuts[percent - 1] * 1000, 2) for percent in (50, 95, 99))
    return p50, p95, p99
