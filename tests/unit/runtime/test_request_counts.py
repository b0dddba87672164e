"""Counts of requests, made of their records: by status, format, key and time, whenever they are counted."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, generate_latest

from scoring_runtime.access import Caller
from scoring_runtime.telemetry.request_counts import RequestCounts
from scoring_runtime.telemetry.request_record import RequestRecord

RECORD = RequestRecord(1.5, "id", "score", 200, 0.01, 10, 20)
SHOP = Caller("shop", "shop")
RECORDS = st.builds(
    RECORD._replace,
    status=st.sampled_from((200, 401, 503)),
    protocol=st.sampled_from(("score", "predict")),
    seconds=st.sampled_from((0.001, 0.2, 40.0)),
    caller=st.sampled_from((None, SHOP)),
)


def register(counts: RequestCounts) -> CollectorRegistry:
    registry = CollectorRegistry()
    registry.register(counts)
    return registry


@given(st.lists(RECORDS, max_size=3 * RequestCounts.MAX_KEPT))
def test_each_request_is_counted_once_in_each_metric(records: list[RequestRecord]) -> None:
    counts = RequestCounts(0.1, counts_callers=True)
    read = register(counts).get_sample_value
    for record in records:
        counts.observe(record)
    for (status, protocol), count in Counter((each.status, each.protocol) for each in records).items():
        labels = {"code": f"{status}", "protocol": protocol, "format": "(none)"}
        assert read("scoring_requests_total", labels) == count
    for (caller, status), count in Counter((each.caller, each.status) for each in records).items():
        labels = {"key": caller.label if caller else "(none)", "code": f"{status}"}
        assert read("scoring_key_requests_total", labels) == count
    assert read("scoring_slow_requests_total") == sum(each.seconds > 0.1 for each in records)
    assert read("scoring_request_duration_seconds_count") == len(records)
    assert read("scoring_request_duration_seconds_sum") == pytest.approx(sum(each.seconds for each in records))


def test_requests_are_counted_under_the_format_that_was_served_when_they_came() -> None:
    counts = RequestCounts(None, counts_callers=False)
    counts.observe(RECORD._replace(status=503))
    counts.change_format("sklearn")
    counts.observe(RECORD)
    read = register(counts).get_sample_value
    for status, format_ in ((503, "(none)"), (200, "sklearn")):
        labels = {"code": f"{status}", "protocol": "score", "format": format_}
        assert read("scoring_requests_total", labels) == 1


def test_keys_are_not_counted_where_nobody_asks_for_any() -> None:
    counts = RequestCounts(None, counts_callers=False)
    counts.observe(RECORD)
    assert "scoring_key_requests_total{" not in generate_latest(register(counts)).decode()


def test_records_are_counted_before_they_take_much_memory() -> None:
    counts = RequestCounts(None, counts_callers=False)
    for _ in range(5 * RequestCounts.MAX_KEPT):
        counts.observe(RECORD)
    assert len(counts._kept) <= RequestCounts.MAX_KEPT
