"""One window of load on one running server, measured. Above `load_generator`."""

from dataclasses import asdict, dataclass
from typing import Any

from benchmarks.serving.load_generator import Load, LoadResult, send_load
from benchmarks.serving.servers import Call, RunningServer


@dataclass(frozen=True)
class Measurement:
    """What a window of load showed.

    `pair` names the peer beside which it was taken (empty: none), `server` the one that was asked; memory in MiB of its whole tree, at
    the window's end (PSS) and at its highest (the sum of each process's peak RSS).
    """

    pair: str
    server: str
    load: Load
    result: LoadResult
    cpu_ms_per_request: float
    pss_mib: float
    peak_rss_mib: float

    def to_json(self) -> dict[str, Any]:
        """Return it for the results' file."""
        return asdict(self)


def measure(running: RunningServer, call: Call, load: Load, pair: str) -> Measurement:
    """Put the load on the server; processor time is what all its processes used meanwhile, by request sent."""
    before = running.tree.count_cpu_seconds()
    result = send_load(running.url, call, load)
    used = running.tree.count_cpu_seconds() - before
    memory = running.tree.measure_memory()
    return Measurement(
        pair,
        running.server.name,
        load,
        result,
        cpu_ms_per_request=round(used / result.requests * 1000, 4),
        pss_mib=round(memory.pss, 1),
        peak_rss_mib=round(memory.peak_rss, 1),
    )
