"""Whose requests they are, by resource, subresource and verb, and what the processes have used. Above `api_server` and `processes`.

The API server's metrics do not say who asks. These are the operator's alone: nobody else applies its kinds of children or writes a
ScoringModel's status; events name their source. GETs of children are the operator's too, since controllers have watches and the benchmark looks by watches.
"""

from dataclasses import dataclass
from typing import Any, Self

from benchmarks.operator.api_server import ApiServer, Requests
from benchmarks.operator.processes import count_cpu_seconds

_CHILDREN = ("deployments", "services", "horizontalpodautoscalers")
_OWN = (*_CHILDREN, "scoringmodels", "hardwareclasses")
_EVENTS = "/api/v1/events?fieldSelector=source%3Dscoring-operator&limit=1"
_STATUS_VERBS = ("APPLY", "PUT", "PATCH")


@dataclass(frozen=True)
class Counters:
    """Running totals at one moment: seconds of processor time, requests, and events that the operator has written."""

    api_server_cpu: float
    requests: Requests
    operator_cpu: float = 0.0
    events: int = 0

    @classmethod
    async def read(cls, api: ApiServer, api_server_pid: int, operator_pid: int | None = None) -> Self:
        """Read all of them now."""
        events = await api.get(_EVENTS)
        remaining = int(events["metadata"].get("remainingItemCount", 0))
        return cls(
            api_server_cpu=count_cpu_seconds(api_server_pid),
            requests=await api.count_requests(),
            operator_cpu=count_cpu_seconds(operator_pid) if operator_pid else 0.0,
            events=remaining + len(events["items"]),
        )


def count_own(before: Counters, after: Counters) -> dict[str, Any]:
    """Return the operator's own requests between two moments: writes (events aside), dry runs, events, reads and lists."""
    requests = after.requests - before.requests
    return {
        "writes": _sum_writes(requests, ""),
        "dry_runs": _sum_writes(requests, "?dry"),
        "events": after.events - before.events,
        "reads": sum(requests[resource, "", "GET"] for resource in _OWN),
        "lists": sum(requests[resource, "", "LIST"] for resource in _OWN),
    }


def count_by_verb(requests: Requests) -> dict[str, int]:
    """Return everybody's requests by verb and resource, the most frequent first."""
    named = {f"{verb} {resource}{'/' + sub if sub else ''}": n for (resource, sub, verb), n in requests.items()}
    return dict(sorted(named.items(), key=lambda item: -item[1])[:40])


def _sum_writes(requests: Requests, dry: str) -> int:
    applied = sum(requests[resource, "", "APPLY" + dry] for resource in _CHILDREN)
    return applied + sum(requests["scoringmodels", "status", verb + dry] for verb in _STATUS_VERBS)
