"""Overload: what ours does when up to twice as much is asked as it can do, come what may."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from benchmarks.serving import faq, trivial
from benchmarks.serving.comparisons import Comparison, Options, describe_server
from benchmarks.serving.dialects import ask_picture_as_reference, ask_row_as_ours
from benchmarks.serving.errors import BenchmarkError
from benchmarks.serving.load_generator import REFUSED, Load
from benchmarks.serving.measurements import Measurement, measure
from benchmarks.serving.pictures import package, take_picture, unpack
from benchmarks.serving.results import Curve, Plot, Report
from benchmarks.serving.runtime import make_runtime
from benchmarks.serving.servers import Server, run_server
from benchmarks.serving.tables import describe_generator, format_number, render_skipped, render_table

SHARES = (0.5, 0.8, 1.2, 1.6, 2.0)  # of the peak, offered
SECONDS = 8.0
FAQ_ORIGINALS = 200

_HEADER = (
    *("model", "offered ÷ peak", "sent/s", "accepted/s", "accepted ÷ peak", "accepted p50 ms", "p99 ms", "503"),
    *("503 p50 ms", "p90 ms", "p99 ms", "within 10 ms", "errors"),
)
_ASIDE = (
    "The peak is the most that a closed loop got through (clients that wait for their answers, the first rows). Then "
    "requests come at a fixed rate, whether earlier ones are answered or not; `sent/s` is what the load generator managed on "
    "the cores that it shares with the server. 503 answers are timed apart from accepted ones."
)


@dataclass(frozen=True)
class Subject:
    """A model to overload; how many clients bring it to its peak, and how much longer than others its windows are."""

    name: str
    make: Callable[[Options], Server]
    clients: Sequence[int]
    lengthening: int = 1


def run(options: Options) -> Report:
    """Find the peak of each model (those that stand for peers in the options, else all), then offer shares of it."""
    found = Comparison()
    subjects = [subject for subject in SUBJECTS if not options.peers or subject.name in options.peers]
    for subject in subjects:
        options.progress(f"{subject.name}: starting")
        try:
            _overload(subject, options, found)
        except BenchmarkError as error:
            found.skip(subject.name, error)
            options.progress(f"{subject.name}: skipped: {error}")
    peaks = {subject.name: find_peak(found.measurements, subject.name) for subject in subjects}
    rows = [render_row(each, peaks[each.server]) for each in found.measurements]
    sections = [_ASIDE, render_table(_HEADER, rows), *render_skipped(found.skipped)]
    plot = Plot(
        "overload", "Accepted requests against offered", list_curves(found.measurements), "requests offered per second"
    )
    return Report(found.to_json() | {"peaks": peaks}, [*sections, describe_generator(found.measurements)], [plot])


def find_peak(measurements: Sequence[Measurement], name: str) -> float:
    """Return the most requests per second of the closed loops of a server; 0 when it was not measured."""
    return max(
        (each.result.requests_per_second for each in measurements if each.server == name and each.load.clients),
        default=0,
    )


def render_row(measurement: Measurement, peak: float) -> Sequence[str]:
    """Return a line of the table."""
    load, result = measurement.load, measurement.result
    offered = load.rate / peak if load.rate else None
    return [
        measurement.server,
        f"{offered:.2f}" if offered else f"closed, {load.clients}",
        format_number(result.requests / load.seconds) if load.rate else "",
        format_number(result.requests_per_second),
        f"{result.requests_per_second / peak:.3f}",
        *_list_percentiles(result.accepted_ms, ("p50", "p99")),
        str(result.statuses.get(str(REFUSED), 0)),
        *_list_percentiles(result.refused_ms, ("p50", "p90", "p99")),
        "" if result.refused_at_once is None else f"{result.refused_at_once:.1%}",
        str(result.errors),
    ]


def list_curves(measurements: Sequence[Measurement]) -> list[Curve]:
    """Return a curve for each server: latency of accepted requests against what was offered."""
    curves = []
    for name in dict.fromkeys(each.server for each in measurements):
        windows = [each for each in measurements if each.server == name and each.load.rate and each.result.accepted_ms]
        p50, p99 = ([each.result.accepted_ms[rank] for each in windows] for rank in ("p50", "p99"))
        curves.append(Curve(name, [each.load.rate for each in windows], p50, p99))
    return curves


def _overload(subject: Subject, options: Options, found: Comparison) -> None:
    server = subject.make(options)
    seconds = (options.seconds or SECONDS) * subject.lengthening
    with run_server(server, options.work / "logs" / f"overload-{subject.name}.log") as running:
        found.servers[server.name] = describe_server(running)
        measure(running, server.call, Load(1, clients=subject.clients[0]), "")
        for clients in subject.clients:
            found.measurements.append(measure(running, server.call, Load(seconds, clients=clients), ""))
        peak = find_peak(found.measurements, server.name)
        for share in SHARES:
            found.measurements.append(measure(running, server.call, Load(seconds, rate=share * peak), ""))


def _list_percentiles(milliseconds: Mapping[str, float], names: Sequence[str]) -> list[str]:
    return [format_number(milliseconds[name]) if milliseconds else "" for name in names]


def _make_trivial(options: Options) -> Server:
    return make_runtime("trivial", trivial.package(options.work), ask_row_as_ours(), options.work / "overload-trivial")


def _make_faq(options: Options) -> Server:
    return faq.make_ours(faq.train_ours(FAQ_ORIGINALS), FAQ_ORIGINALS, options.work, name="faq")


def _make_resnet(options: Options) -> Server:
    artifacts = {name: package(name, options.work) for name in ("onnx", "torch")}
    picture = take_picture(unpack(artifacts.values(), options.work / "unpacked"))
    call = ask_picture_as_reference(picture)
    return make_runtime("resnet", artifacts["onnx"], call, options.work / "overload-resnet")


SUBJECTS = (
    Subject("trivial", _make_trivial, (8, 16, 32)),
    Subject("faq", _make_faq, (8, 16, 32)),
    Subject("resnet", _make_resnet, (2, 4, 8), lengthening=3),  # its queue alone holds ten seconds of work
)
