"""What is told of one scoring request when it has been answered: to the metrics and to the request log. Made by routes.py and gRPC."""

from typing import NamedTuple

from scoring_runtime.access import Caller


class RequestRecord(NamedTuple):
    """One request. Every text in it is either ours or checked before (request_ids.py)."""

    time: float
    """When it was answered, in seconds since 1970."""

    request_id: str
    protocol: str
    status: int
    seconds: float
    bytes_in: int
    bytes_out: int
    error: str | None = None
    """Code of the error that was answered."""

    trace_id: str | None = None
    caller: Caller | None = None
    """Whoever has shown a valid key or token."""
