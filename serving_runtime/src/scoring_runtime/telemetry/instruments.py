"""Metrics that take an event in a tenth of a microsecond: it is kept, and counted when somebody asks, or with many others.

Home-made because prometheus_client's count each event at once under a lock, which takes several times as long, and each request
has five. What is told is the same, by the library's own interface for collectors. Used by metrics.py and request_counts.py.
"""

import threading
from abc import abstractmethod
from bisect import bisect_left
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate
from typing import Generic, TypeVar

from prometheus_client.core import HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

Event = TypeVar("Event")


class Instrument(Collector, Generic[Event]):
    """Keeps events until they are counted, at most MAX_KEPT. `observe` may be called from any thread."""

    MAX_KEPT = 1024

    def __init__(self) -> None:
        self._kept: deque[Event] = deque()
        self._counting = threading.Lock()

    def observe(self, event: Event) -> None:
        """Count an event."""
        kept = self._kept
        kept.append(event)
        if len(kept) > self.MAX_KEPT:
            self.settle()

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics of all events so far."""
        self.settle()
        with self._counting:
            yield from self._render()

    def settle(self) -> None:
        """Count what is kept."""
        with self._counting:
            # Others may add meanwhile; those are for the next time.
            self._count(self._kept.popleft() for _ in range(len(self._kept)))

    @abstractmethod
    def _count(self, events: Iterable[Event]) -> None:
        """Count these events."""

    @abstractmethod
    def _render(self) -> Iterable[Metric]:
        """Return the metrics of what has been counted."""


class Histogram(Instrument[float]):
    """One histogram without labels; an event is a value."""

    def __init__(self, name: str, text: str, buckets: Sequence[float]) -> None:
        """Take the upper limits of the buckets, in their order; one for all else is added."""
        super().__init__()
        self._name = name
        self._text = text
        self._limits = tuple(buckets)
        self._counts = [0] * (len(self._limits) + 1)
        self._sum = 0.0

    def _count(self, events: Iterable[float]) -> None:
        for value in events:
            self._counts[bisect_left(self._limits, value)] += 1
            self._sum += value

    def _render(self) -> Iterable[Metric]:
        names = [*map(str, self._limits), "+Inf"]
        counts = list(zip(names, accumulate(map(float, self._counts)), strict=True))
        return [HistogramMetricFamily(self._name, self._text, buckets=counts, sum_value=self._sum)]
