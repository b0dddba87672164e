"""Throughput and latency against the number of clients, one line for each number of replicas: SVG or PNG, by matplotlib."""

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from scoring_cli.errors import InputInvalid
from scoring_cli.load_test import Level

ENDINGS = (".svg", ".png")


def check_plot(path: Path) -> None:
    """Raise InputInvalid, before anything is measured, when no plot can be drawn there."""
    if path.suffix.lower() not in ENDINGS:
        raise InputInvalid(f"--plot: {path.name} ends in neither {' nor '.join(ENDINGS)}.")
    if find_spec("matplotlib") is None:
        raise InputInvalid("--plot needs matplotlib, which is not installed here: pip install './cli[plot]'.")


def draw(levels: Sequence[Level], title: str, path: Path) -> None:
    """Write the plot to `path`, whose ending says as what."""
    from matplotlib.figure import Figure  # noqa: PLC0415  # an extra; see check_plot

    figure = Figure(figsize=(9, 4), layout="constrained")
    throughput, latency = figure.subplots(1, 2)
    for replicas in dict.fromkeys(level.replicas for level in levels):
        chosen = [level for level in levels if level.replicas == replicas]
        clients = [level.clients for level in chosen]
        name = "" if replicas is None else f"{replicas} replica{'s' if replicas != 1 else ''}"
        throughput.plot(clients, [level.per_second for level in chosen], marker="o", label=name or "requests")
        for percentile, style in (("p50", "-"), ("p95", "--"), ("p99", ":")):
            values = [getattr(level, f"{percentile}_milliseconds") for level in chosen]
            latency.plot(clients, values, style, marker="o", label=f"{percentile} {name}".strip())
    for axes, label in ((throughput, "requests answered per second"), (latency, "latency in milliseconds")):
        axes.set_xlabel("clients at once")
        axes.set_ylabel(label)
        axes.set_ylim(bottom=0)
        axes.grid(alpha=0.3)
        axes.legend(fontsize="small")
    figure.suptitle(title)
    figure.savefig(path)
