"""Load from vegeta: a closed loop of clients, or an open loop at a fixed rate, over connections kept alive.

Above `servers`. Every request's time and status is kept, so that accepted and refused ones are told apart.
"""

import base64
import csv
import json
import resource
import subprocess
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray

from benchmarks.serving.environments import get_generator
from benchmarks.serving.errors import LoadFailed
from benchmarks.serving.servers import Call

OK, REFUSED = 200, 503
TIMEOUT_SECONDS = 60
AT_ONCE_NANOSECONDS = 10_000_000
PERCENTILES = (50, 90, 95, 99)

_TIMESTAMP, _STATUS, _LATENCY, _ERROR = 0, 1, 2, 5  # columns of `vegeta encode --to csv`; times in nanoseconds
_MESSAGE_CHARACTERS = 2000
_NANOSECONDS = 1e9


@dataclass(frozen=True)
class Load:
    """How much is asked: `clients` that each wait for their answer, or, with `rate`, requests per second come what may."""

    seconds: float
    clients: int = 0
    rate: float = 0


@dataclass(frozen=True)
class LoadResult:
    """What came of it, in milliseconds.

    `seconds` last until the last answer. Accepted (200) requests per second: of a closed loop over all that time, of an
    open loop those answered while requests still came. `failures` are what came instead of an answer (status 0).
    """

    requests: int
    seconds: float
    requests_per_second: float
    statuses: dict[str, int]
    failures: dict[str, int]
    accepted_ms: dict[str, float]
    refused_ms: dict[str, float]  # of 503 answers
    refused_at_once: float | None  # share of the 503 answers that came within 10 ms; None without any
    generator_cpu_seconds: float

    @property
    def errors(self) -> int:
        """Requests that got neither 200 nor 503."""
        return self.requests - self.statuses.get(str(OK), 0) - self.statuses.get(str(REFUSED), 0)


def send_load(url: str, call: Call, load: Load) -> LoadResult:
    """Send the call to `url` again and again. Raises LoadFailed when the generator does not work."""
    generator = get_generator()
    with TemporaryDirectory() as folder:
        results = Path(folder, "results.gob")
        before = _count_children_cpu_seconds()
        _run([generator, "attack", *_list_options(load), "-output", results], render_targets(url, call))
        cpu_seconds = _count_children_cpu_seconds() - before
        table = Path(folder, "results.csv")
        _run([generator, "encode", "-to", "csv", "-output", table, results], b"")
        with table.open(newline="") as rows:
            return summarise_results(csv.reader(rows), load, cpu_seconds)


def summarise_results(rows: Iterable[Sequence[str]], load: Load, generator_cpu_seconds: float) -> LoadResult:
    """Return the summary of vegeta's table: one row per request, with start, status, latency and error among its columns.

    Raises LoadFailed for an empty table.
    """
    failures: Counter[str] = Counter()
    columns = []
    for row in rows:
        columns.append((int(row[_TIMESTAMP]), int(row[_STATUS]), int(row[_LATENCY])))
        if not columns[-1][1]:
            failures[row[_ERROR].rpartition(": ")[2]] += 1
    if not columns:
        raise LoadFailed("The load generator sent no request: give it more time.")
    starts, statuses, latencies = np.array(columns, dtype=np.int64).T
    ends = starts + latencies - starts.min()
    seconds = float(ends.max()) / _NANOSECONDS
    counted = min(load.seconds, seconds) if load.rate else seconds
    in_time = (statuses == OK) & (ends <= round(counted * _NANOSECONDS))
    return LoadResult(
        requests=len(columns),
        seconds=round(seconds, 3),
        requests_per_second=round(int(in_time.sum()) / counted, 2),
        statuses={str(status): count for status, count in sorted(Counter(statuses.tolist()).items())},
        failures=dict(failures),
        accepted_ms=compute_percentiles(latencies[statuses == OK]),
        refused_at_once=_compute_share(latencies[statuses == REFUSED] <= AT_ONCE_NANOSECONDS),
        refused_ms=compute_percentiles(latencies[statuses == REFUSED]),
        generator_cpu_seconds=round(generator_cpu_seconds, 2),
    )


def compute_percentiles(nanoseconds: NDArray[np.int64]) -> dict[str, float]:
    """Return p50, p90, p95, p99 and max in milliseconds; nothing of no requests."""
    if not len(nanoseconds):
        return {}
    milliseconds = nanoseconds / 1e6
    found = {f"p{rank}": round(float(np.percentile(milliseconds, rank)), 3) for rank in PERCENTILES}
    return found | {"max": round(float(milliseconds.max()), 3)}


def render_targets(url: str, call: Call) -> bytes:
    """Return the requests as vegeta reads them: a JSON object on each line, sent in turn."""
    targets = [
        {
            "method": "POST",
            "url": url + call.path,
            "body": base64.b64encode(body).decode(),
            "header": {"Content-Type": [call.content_type], **{name: [value] for name, value in call.headers}},
        }
        for body in (call.body, *call.others)
    ]
    return "".join(json.dumps(target) + "\n" for target in targets).encode()


def _compute_share(flags: NDArray[np.bool_]) -> float | None:
    return round(float(flags.mean()), 5) if len(flags) else None


def _list_options(load: Load) -> list[str]:
    options = ["-format", "json", "-duration", f"{load.seconds}s", "-timeout", f"{TIMEOUT_SECONDS}s", "-max-body", "0"]
    if load.rate:
        return [*options, "-rate", f"{round(load.rate * 60)}/1m"]
    return [*options, "-rate", "0", "-workers", str(load.clients), "-max-workers", str(load.clients)]


def _count_children_cpu_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _run(command: Sequence[str | Path], standard_input: bytes) -> None:
    done = subprocess.run([str(word) for word in command], input=standard_input, capture_output=True, check=False)
    if done.returncode:
        raise LoadFailed(f"vegeta failed: {done.stderr.decode(errors='replace')[-_MESSAGE_CHARACTERS:]}")
