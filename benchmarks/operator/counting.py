"""Whose requests they are, by resource, subresource and verb, and what the processes have used. Above `api_server` and `processes`.

The API server's metrics do not say who asks. These are the operator's alone: nobody else applies its kinds of children or writes a
ScoringModel's status; events name their source. GETs of children are the operator's too, since controllers have watches and the benchmark looks by watches.
GETs of ScoringModels are left out: the garbage collector asks for the owner of each child.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from benchmarks.operator.api_server import ApiServer, Requests
from benchmarks.operator.processes import count_cpu_seconds
from scoring_operator.kinds import CHILDREN

_CHILDREN = tuple(kind.plural for kind in CHILDREN)
_OWN = (*_CHILDREN, "hardwareclasses")
_EVENTS = "/api/v1/events?fieldSelector=source%3Dscoring-operator"
_STATUS_VERBS = ("APPLY", "PUT", "PATCH")


@dataclass(frozen=True)
class Counters:
    """Running totals at one moment: seconds of processor time by program, requests, and events that the operator has written."""

    cpu_seconds: Mapping[str, float]
    requests: Requests
    events: int

    @classmethod
    async def read(cls, api: ApiServer, pids: Mapping[str, int]) -> Self:
        """Read all of them now."""
        events = await api.get(_EVENTS)
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


def count_own(before: Counters, after: Counters) -> dict[str, Any]:
    """Return the operator's own requests between two moments: writes (events aside), dry runs, events, reads and lists."""
    requests = after.requests - before.requests
    return {
        "writes": _sum_writes(requests, ""),
        "dry_runs": _sum_writes(requests, "?dry"),
        "events": after.events - before.events,
        "reads": sum(requests[resource, "", "GET"] for resource in _OWN),
        "lists": sum(requests[resource, "", "LIST"] for resource in (*_OWN, "scoringmodels", "pods")),
    }


def count_by_verb(requests: Requests) -> dict[str, int]:
    """Return everybody's requests by verb and resource, the most frequent first."""
    named = {f"{verb} {resource}{'/' + sub if sub else ''}": n for (resource, sub, verb), n in requests.items()}
    return dict(sorted(named.items(), key=lambda item: -item[1])[:40])


def _sum_writes(requests: Requests, dry: str) -> int:
    applied = sum(requests[resource, "", "APPLY" + dry] for resource in _CHILDREN)
    statuses = ("scoringmodels", "hardwareclasses")
    return applied + sum(requests[resource, "status", verb + dry] for resource in statuses for verb in _STATUS_VERBS)
