"""Windows are summed up by number of clients, and ratios taken within a pair."""

import pytest

from benchmarks.serving.comparisons import Comparison
from benchmarks.serving.load_generator import Load, LoadResult
from benchmarks.serving.measurements import Measurement
from benchmarks.serving.tables import draw_curves, render_comparison, render_table, summarise, summarise_by_clients


def make_window(pair: str, server: str, clients: int, rate: float) -> Measurement:
    result = LoadResult(
        requests=100,
        seconds=1.0,
        requests_per_second=rate,
        statuses={"200": 99, "0": 1},
        failures={},
        accepted_ms={"p50": 1000 / rate, "p99": 2000 / rate},
        refused_ms={},
        refused_at_once=None,
        generator_cpu_seconds=0.1,
    )
    return Measurement(pair, server, Load(1.0, clients=clients), result, 10 / rate, pss_mib=rate, peak_rss_mib=rate)


def test_summary_takes_medians_but_all_errors_and_the_most_memory() -> None:
    summary = summarise([make_window("peer", "ours", 1, rate) for rate in (100, 200, 900)])
    assert (summary.requests_per_second, summary.errors, summary.pss_mib) == (200, 3, 900)


def test_summary_of_nothing_is_an_error() -> None:
    with pytest.raises(ValueError, match="No window"):
        summarise([])


def test_summaries_come_in_order_of_clients() -> None:
    windows = [make_window("peer", "ours", clients, 100) for clients in (64, 1, 8)]
    assert list(summarise_by_clients(windows)) == [1, 8, 64]


def test_ratio_is_taken_within_the_pair() -> None:
    windows = [
        *(make_window("slow", "ours", 1, 100), make_window("slow", "slow", 1, 50)),
        *(make_window("fast", "ours", 1, 300), make_window("fast", "fast", 1, 200)),
    ]
    known = {"package": "package", "version": "1", "start_seconds": 1.0}
    table = render_comparison(Comparison(windows, dict.fromkeys(("ours", "slow", "fast"), known)))
    ours, slow, fast = table.splitlines()[2:]
    assert "| 200 |" in ours
    assert "| 2.00 | 0.50 |" in slow
    assert "| 1.50 | 0.67 |" in fast


def test_curve_has_a_point_for_each_number_of_clients() -> None:
    (curve,) = draw_curves([make_window("peer", "peer", clients, 100 * clients) for clients in (1, 2)])
    assert curve.load == [100, 200]
    assert curve.p99 == [20, 10]


def test_table_is_markdown() -> None:
    assert render_table(("a", "b"), [("c", "d")]) == "| a | b |\n| :-- | --: |\n| c | d |"
