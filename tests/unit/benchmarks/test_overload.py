"""The peak is that of the closed loops; offered load is told as a share of it."""

from benchmarks.serving.load_generator import Load, LoadResult
from benchmarks.serving.measurements import Measurement
from benchmarks.serving.overload import find_peak, list_curves, render_row


def make_window(load: Load, rate: float) -> Measurement:
    result = LoadResult(
        requests=10,
        seconds=1.0,
        requests_per_second=rate,
        statuses={"200": 5, "503": 5},
        failures={},
        accepted_ms={"p50": 1.0, "p99": 2.0},
        refused_ms={"p50": 1.0, "p90": 2.0, "p99": 3.0},
        refused_at_once=1.0,
        generator_cpu_seconds=0.1,
    )
    return Measurement("", "faq", load, result, 1.0, 1.0, 1.0)


CLOSED = [make_window(Load(1, clients=clients), rate) for clients, rate in ((8, 90.0), (16, 100.0))]
OPEN = make_window(Load(1, rate=200), 98.0)


def test_peak_is_the_best_closed_loop() -> None:
    assert find_peak([*CLOSED, make_window(Load(1, rate=300), 300)], "faq") == 100


def test_peak_of_what_was_not_measured_is_zero() -> None:
    assert find_peak(CLOSED, "resnet") == 0


def test_row_tells_shares_of_the_peak() -> None:
    row = render_row(OPEN, peak=100)
    assert row[1] == "2.00"
    assert row[4] == "0.980"
    assert row[-2:] == ["100.0%", "0"]


def test_curve_leaves_closed_loops_out() -> None:
    (curve,) = list_curves([*CLOSED, OPEN])
    assert curve.load == [200]
