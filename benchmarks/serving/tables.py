"""Sums windows up and renders them as Markdown: pure. Between `comparisons` and the benchmarks."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from benchmarks.serving.comparisons import Comparison
from benchmarks.serving.measurements import Measurement
from benchmarks.serving.results import Curve, Plot, Report

Row = Sequence[str]

_HEADER = (
    *("server", "requests/s", "CPU ms/request", "p50 ms", "p99 ms", "MiB PSS (peak RSS)"),
    *("start s", "errors", "ours ÷ it, requests/s", "ours ÷ it, CPU"),
)
_HUNDRED = 100


@dataclass(frozen=True)
class Summary:
    """Windows of one server at one load: medians, but all errors and the most memory (MiB)."""

    requests_per_second: float
    cpu_ms: float
    p50_ms: float
    p99_ms: float
    errors: int
    pss_mib: float
    peak_rss_mib: float


def summarise(measurements: Sequence[Measurement]) -> Summary:
    """Return the summary of windows that belong together. Raises ValueError without any."""
    if not measurements:
        raise ValueError("No window was measured: nothing to sum up.")
    return Summary(
        requests_per_second=median(each.result.requests_per_second for each in measurements),
        cpu_ms=median(each.cpu_ms_per_request for each in measurements),
        p50_ms=median(each.result.accepted_ms.get("p50", 0) for each in measurements),
        p99_ms=median(each.result.accepted_ms.get("p99", 0) for each in measurements),
        errors=sum(each.result.errors for each in measurements),
        pss_mib=max(each.pss_mib for each in measurements),
        peak_rss_mib=max(each.peak_rss_mib for each in measurements),
    )


def summarise_by_clients(measurements: Iterable[Measurement]) -> dict[int, Summary]:
    """Return a summary for each number of clients, in ascending order."""
    by_clients: dict[int, list[Measurement]] = {}
    for each in measurements:
        by_clients.setdefault(each.load.clients, []).append(each)
    return {clients: summarise(windows) for clients, windows in sorted(by_clients.items())}


def report_comparison(found: Comparison, aside: str, plot: Plot) -> Report:
    """Return the report of a comparison; `aside` explains the table."""
    sections = [aside, render_comparison(found), *render_skipped(found.skipped)]
    return Report(found.to_json(), [*sections, describe_generator(found.measurements)], [plot])


def render_comparison(found: Comparison) -> str:
    """Return a table: lines for ours over all its windows, then one for each peer with ratios within its own pair."""
    pairs = dict.fromkeys(each.pair for each in found.measurements if each.pair)
    ours = dict.fromkeys(each.server for each in found.measurements if each.server not in pairs)
    rows = [_render_server(name, found, None) for name in ours]
    for pair in pairs:
        beside = [each for each in found.measurements if each.pair == pair != each.server]
        rows.append(_render_server(pair, found, summarise_by_clients(beside)))
    return render_table(_HEADER, rows)


def render_table(header: Row, rows: Iterable[Row]) -> str:
    """Return a Markdown table with the first column to the left and the others to the right."""
    rule = [":--", *["--:"] * (len(header) - 1)]
    return "\n".join(f"| {' | '.join(row)} |" for row in (header, rule, *rows))


def render_skipped(skipped: Mapping[str, str]) -> list[str]:
    """Return a paragraph that names the peers that were skipped; nothing when all were measured."""
    return ["Skipped: " + "; ".join(f"{name} ({reason})" for name, reason in skipped.items()) + "."] if skipped else []


def format_number(number: float) -> str:
    """Return a number with three digits that count, as tables show it."""
    return f"{number:.0f}" if number >= _HUNDRED else f"{number:.3g}"


def draw_curves(measurements: Sequence[Measurement]) -> list[Curve]:
    """Return a curve for each server over its numbers of clients."""
    servers = dict.fromkeys(each.server for each in measurements)
    return [_draw_curve(server, summarise_by_clients(_select(measurements, server))) for server in servers]


def describe_generator(measurements: Sequence[Measurement]) -> str:
    """Return a sentence on what the load generator itself used of the machine."""
    seconds = sum(each.result.generator_cpu_seconds for each in measurements)
    requests = sum(each.result.requests for each in measurements)
    share = max(each.result.generator_cpu_seconds / each.result.seconds for each in measurements)
    return (
        f"The load generator ran on the same cores: {seconds / requests * 1000:.3f} ms of processor time per request on "
        f"average, {share:.2f} cores in its busiest window."
    )


def _select(measurements: Iterable[Measurement], server: str) -> list[Measurement]:
    return [each for each in measurements if each.server == server]


def _render_server(name: str, found: Comparison, beside: Mapping[int, Summary] | None) -> Row:
    windows = _select(found.measurements, name)
    by_clients, whole, known = summarise_by_clients(windows), summarise(windows), found.servers[name]
    return [
        f"{name} ({known['package']} {known['version']})",
        _join(by_clients, lambda each: each.requests_per_second),
        _join(by_clients, lambda each: each.cpu_ms),
        _join(by_clients, lambda each: each.p50_ms),
        _join(by_clients, lambda each: each.p99_ms),
        f"{whole.pss_mib:.0f} ({whole.peak_rss_mib:.0f})",
        f"{known['start_seconds']:.1f}",
        str(whole.errors),
        _divide(beside, by_clients, lambda each: each.requests_per_second),
        _divide(beside, by_clients, lambda each: each.cpu_ms),
    ]


def _draw_curve(name: str, by_clients: Mapping[int, Summary]) -> Curve:
    summaries = by_clients.values()
    return Curve(
        name,
        load=[each.requests_per_second for each in summaries],
        p50=[each.p50_ms for each in summaries],
        p99=[each.p99_ms for each in summaries],
    )


def _divide(ours: Mapping[int, Summary] | None, peer: Mapping[int, Summary], get: Callable[[Summary], float]) -> str:
    if ours is None:
        return ""
    return " / ".join(f"{get(ours[clients]) / get(each):.2f}" if get(each) else "–" for clients, each in peer.items())


def _join(by_clients: Mapping[int, Summary], get: Callable[[Summary], float]) -> str:
    return " / ".join(format_number(get(each)) for each in by_clients.values())
