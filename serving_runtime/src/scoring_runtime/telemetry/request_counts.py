"""The metrics of scoring requests, counted from their records. Used by metrics.py."""

from collections import Counter as Tally
from collections.abc import Iterable, Iterator
from itertools import chain

from prometheus_client import Counter, Gauge
from prometheus_client.metrics_core import Metric

from scoring_runtime.telemetry.instruments import Histogram, Instrument
from scoring_runtime.telemetry.request_record import RequestRecord

NOBODY = "(none)"
"""The label of requests that show no valid key: no name of a key has brackets."""

NO_FORMAT = "(none)"
"""The label of requests that came before the model was loaded."""

DURATION_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class RequestCounts(Instrument[RequestRecord]):
    """Requests, how long they took, and whose they were.

    objective_seconds: answers that take longer are counted as slow; None where nothing is promised. counts_callers: whether
    requests are counted by their keys, which is where there are any.
    """

    # Few, since records are large: what is counted at once is in the processor's caches still.
    MAX_KEPT = 64

    def __init__(self, objective_seconds: float | None, *, counts_callers: bool) -> None:
        super().__init__()
        self._format = NO_FORMAT
        text = "Scoring requests by HTTP status, protocol, and format of the model."
        self._requests = Counter("scoring_requests", text, ["code", "protocol", "format"], registry=None)
        text = "Scoring requests by the name of their API key and HTTP status."
        self._callers = Counter("scoring_key_requests", text, ["key", "code"], registry=None)
        self._counts_callers = counts_callers
        text = "Time from the first byte read to the answer, waiting included."
        self._durations = Histogram("scoring_request_duration_seconds", text, DURATION_BUCKETS)
        self._objective_seconds = objective_seconds
        text = "Time within which requests are to be answered."
        self._objective = Gauge("scoring_latency_objective_seconds", text, registry=None)
        self._objective.set(objective_seconds or 0)
        text = "Scoring requests whose answer took longer than the objective, whatever it was."
        self._slow = Counter("scoring_slow_requests", text, registry=None)

    def change_format(self, format_: str) -> None:
        """Count the requests from now on under this format of the model."""
        self.settle()
        self._format = format_

    def _count(self, events: Iterable[RequestRecord]) -> None:
        records = list(events)
        for (status, protocol), count in Tally((each.status, each.protocol) for each in records).items():
            self._requests.labels(status, protocol, self._format).inc(count)
        for each in records:
            self._durations.observe(each.seconds)
        if self._counts_callers:
            self._count_callers(records)
        if self._objective_seconds is not None:
            self._slow.inc(sum(each.seconds > self._objective_seconds for each in records))

    def _count_callers(self, records: Iterable[RequestRecord]) -> None:
        shown = ((NOBODY if each.caller is None else each.caller.label, each.status) for each in records)
        for (label, status), count in Tally(shown).items():
            self._callers.labels(label, status).inc(count)

    def _render(self) -> Iterator[Metric]:
        yield from chain(self._requests.collect(), self._callers.collect(), self._durations.collect())
        if self._objective_seconds is not None:
            yield from chain(self._objective.collect(), self._slow.collect())
