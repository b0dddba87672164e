"""Whose requests they are, by resource, subresource and verb, and what the processes have used. Above `api_server` and `processes`.

The API server's metrics do not say who asks, so each operator tells which kinds of request nobody else makes; events name their source.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from benchmarks.operator.api_server import ApiServer, Requests
from benchmarks.operator.processes import count_cpu_seconds

_EVENTS = "/api/v1/events?fieldSelector=source%3D"


@dataclass(frozen=True)
class OwnRequests:
    """The requests that only the operator makes, and the source that its events name."""

    writes: frozenset[tuple[str, str, str]]
    """Resource, subresource and verb."""
    reads: frozenset[str]
    """Resources of which it alone asks for single objects."""
    lists: frozenset[str]
    """Resources that it lists. Others do too, but only when they start."""
    event_source: str


@dataclass(frozen=True)
class Counters:
    """Running totals at one moment: seconds of processor time by program, requests, and events that the operator has written."""

    cpu_seconds: Mapping[str, float]
    requests: Requests
    events: int

    @classmethod
    async def read(cls, api: ApiServer, pids: Mapping[str, int], event_source: str = "") -> Self:
        """Read all of them now; events only of a source that is named."""
        events = await api.get(_EVENTS + event_source) if event_source else {"items": []}
        return cls(
            cpu_seconds={name: count_cpu_seconds(pid) for name, pid in pids.items()},
            requests=await api.count_requests(),
            events=len(events["items"]),
        )


def count_cpu(before: Counters, after: Counters) -> dict[str, float]:
    """Return the seconds of processor time that each program has used between two moments, and all together."""
    used = {name: seconds - before.cpu_seconds.get(name, 0.0) for name, seconds in after.cpu_seconds.items()}
    return {**used, "all": sum(used.values())}


def count_cpu_by_model(before: Counters, after: Counters, models: int) -> dict[str, float]:
    """Return the milliseconds of processor time by program and model."""
    return {name: round(seconds / models * 1000, 1) for name, seconds in count_cpu(before, after).items()}


def count_own(own: OwnRequests, before: Counters, after: Counters) -> dict[str, Any]:
    """Return an operator's own requests between two moments: writes (events aside), dry runs, events, reads and lists."""
    requests = after.requests - before.requests
    return {
        "writes": sum(requests[write] for write in own.writes),
        "dry_runs": sum(requests[resource, sub, f"{verb}?dry"] for resource, sub, verb in own.writes),
        "events": after.events - before.events,
        "reads": sum(requests[resource, "", "GET"] for resource in own.reads),
        "lists": sum(requests[resource, "", "LIST"] for resource in own.lists),
    }


def count_by_verb(requests: Requests) -> dict[str, int]:
    """Return everybody's requests by verb and resource, the most frequent first."""
    named = {f"{verb} {resource}{'/' + sub if sub else ''}": n for (resource, sub, verb), n in requests.items()}
    return dict(sorted(named.items(), key=lambda item: -item[1])[:40])
