"""What is made of the load generator's table of requests."""

import base64
import json

import pytest

from benchmarks.serving.errors import LoadFailed
from benchmarks.serving.load_generator import Load, render_targets, summarise_results
from benchmarks.serving.servers import Call

MILLISECOND = 1_000_000
CLOSED = Load(seconds=1, clients=8)


def make_row(started_ms: float, status: int, latency_ms: float) -> list[str]:
    return [
        str(round(started_ms * MILLISECOND)),
        str(status),
        str(round(latency_ms * MILLISECOND)),
        "0",
        "0",
        "" if status else 'Post "/score": connection reset',
    ]


def test_throughput_counts_accepted_requests_alone() -> None:
    rows = [make_row(0, 200, 100), make_row(100, 200, 400), make_row(200, 503, 1), make_row(300, 0, 200)]
    result = summarise_results(rows, CLOSED, generator_cpu_seconds=0.5)
    assert result.requests_per_second == 4.0
    assert result.statuses == {"0": 1, "200": 2, "503": 1}
    assert result.errors == 1
    assert result.failures == {"connection reset": 1}


def test_open_loop_counts_what_is_answered_while_requests_come() -> None:
    rows = [make_row(0, 200, 100), make_row(500, 200, 400), make_row(900, 200, 30_000)]
    assert summarise_results(rows, Load(seconds=1, rate=3), generator_cpu_seconds=0).requests_per_second == 2
    assert summarise_results(rows, CLOSED, generator_cpu_seconds=0).requests_per_second == pytest.approx(0.1, abs=0.01)


def test_latencies_are_told_apart_by_status() -> None:
    rows = [make_row(0, 200, latency) for latency in range(1, 101)] + [make_row(0, 503, 5), make_row(0, 503, 20)]
    result = summarise_results(rows, CLOSED, generator_cpu_seconds=0)
    assert result.accepted_ms["p50"] == 50.5
    assert result.accepted_ms["max"] == 100
    assert result.refused_ms["max"] == 20
    assert result.refused_at_once == 0.5


def test_refusals_have_no_times_without_any() -> None:
    result = summarise_results([make_row(0, 200, 1)], CLOSED, generator_cpu_seconds=0)
    assert result.refused_ms == {}
    assert result.refused_at_once is None


def test_empty_table_is_an_error() -> None:
    with pytest.raises(LoadFailed, match="no request"):
        summarise_results([], CLOSED, generator_cpu_seconds=0)


def test_targets_hold_every_body_on_a_line_of_its_own() -> None:
    call = Call("/score", b"first", None, others=(b"second",))
    targets = [json.loads(line) for line in render_targets("http://127.0.0.1:1", call).splitlines()]
    assert [base64.b64decode(target["body"]) for target in targets] == [b"first", b"second"]
    assert {target["url"] for target in targets} == {"http://127.0.0.1:1/score"}
