"""Our histograms tell what prometheus_client's own do, whatever the values, the threads and the time of asking."""

import math
from concurrent.futures import ThreadPoolExecutor

import prometheus_client
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, generate_latest

from scoring_runtime.telemetry.instruments import Histogram

LIMITS = (0.001, 0.5, 1.0, 2.5)
VALUES = st.one_of(st.sampled_from((*LIMITS, 0.0, math.inf)), st.floats(0, 10))


def register(*buckets: float) -> tuple[CollectorRegistry, Histogram]:
    registry, histogram = CollectorRegistry(), Histogram("time_seconds", "Time.", buckets)
    registry.register(histogram)
    return registry, histogram


@given(st.lists(VALUES, max_size=50))
def test_text_is_that_of_the_library(values: list[float]) -> None:
    registry, histogram = register(*LIMITS)
    other = CollectorRegistry()
    expected = prometheus_client.Histogram("time_seconds", "Time.", buckets=LIMITS, registry=other)
    for value in values:
        histogram.observe(value)
        expected.observe(value)
    assert generate_latest(registry) == generate_latest(other)


def test_counts_grow_from_one_question_to_the_next() -> None:
    registry, histogram = register(*LIMITS)
    for count in range(1, 4):
        histogram.observe(0.7)
        assert registry.get_sample_value("time_seconds_count") == count
        assert registry.get_sample_value("time_seconds_bucket", {"le": "0.5"}) == 0
        assert registry.get_sample_value("time_seconds_bucket", {"le": "1.0"}) == count


def test_no_value_of_many_threads_is_lost_while_others_ask() -> None:
    registry, histogram = register(*LIMITS)
    threads, each = 8, 3 * Histogram.MAX_KEPT

    def observe(_: int) -> None:
        for _ in range(each):
            histogram.observe(1.0)

    with ThreadPoolExecutor(threads + 1) as pool:
        asking = pool.submit(lambda: [generate_latest(registry) for _ in range(50)])
        list(pool.map(observe, range(threads)))
        asking.result()
    assert registry.get_sample_value("time_seconds_count") == threads * each
    assert registry.get_sample_value("time_seconds_sum") == threads * each


def test_values_are_sorted_before_they_take_much_memory() -> None:
    _, histogram = register(*LIMITS)
    for _ in range(5 * Histogram.MAX_KEPT):
        histogram.observe(1.0)
    assert len(histogram._kept) <= Histogram.MAX_KEPT
