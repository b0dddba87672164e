"""Keeps what a benchmark showed: raw results as JSON, a report in Markdown, a plot. Above `machine` and `tables`."""

import json
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.serving.environments import HERE, get_environment
from benchmarks.serving.machine import describe_machine, list_versions

RESULTS = HERE / "results"
PLOTTING = HERE / "plotting"

# Whose versions decide how fast ours is.
_PACKAGES = (
    "scoring-runtime",
    "granian",
    "orjson",
    "flask",
    "numpy",
    "scikit-learn",
    "onnxruntime",
    "openvino",
    "torch",
)


@dataclass(frozen=True)
class Curve:
    """A line of a plot: latency in milliseconds against load in requests per second."""

    label: str
    load: Sequence[float]
    p50: Sequence[float]
    p99: Sequence[float]


@dataclass(frozen=True)
class Plot:
    """A plot with a name for its file, a title, and what the horizontal axis shows."""

    name: str
    title: str
    curves: Sequence[Curve]
    load_label: str = "requests per second"


@dataclass(frozen=True)
class Report:
    """What a benchmark hands back: its raw results, and the same for reading."""

    data: Mapping[str, Any]
    sections: Sequence[str]
    plots: Sequence[Plot]


@dataclass(frozen=True)
class Circumstances:
    """How, when and on what a benchmark was run."""

    benchmark: str
    command: str
    started: datetime = field(default_factory=lambda: datetime.now(UTC))
    machine: Mapping[str, Any] = field(default_factory=describe_machine)

    def to_json(self) -> dict[str, Any]:
        """Return all of it, with what is known at the end alone."""
        return {
            "benchmark": self.benchmark,
            "command": self.command,
            "date": self.started.isoformat(timespec="seconds"),
            "seconds": round((datetime.now(UTC) - self.started).total_seconds()),
            "machine": {**self.machine, "load_average_at_end": describe_machine()["load_average"]},
            "versions": list_versions(_PACKAGES),
        }


def write_results(circumstances: Circumstances, report: Report, folder: Path) -> Path:
    """Write <benchmark>.json, .md and the plots into `folder`; return the path of the Markdown."""
    folder.mkdir(parents=True, exist_ok=True)
    head = circumstances.to_json()
    raw = folder / f"{circumstances.benchmark}.json"
    raw.write_text(json.dumps({**head, **report.data}, indent=1) + "\n", encoding="utf-8")
    for plot in report.plots:
        draw_plot(plot, folder)
    images = [f"![{plot.title}]({plot.name}.svg)" for plot in report.plots]
    target = folder / f"{circumstances.benchmark}.md"
    target.write_text("\n\n".join([_render_head(head), *report.sections, *images]) + "\n", encoding="utf-8")
    return target


def draw_plot(plot: Plot, folder: Path) -> Path:
    """Draw a plot as SVG into `folder`. Raises EnvironmentFailed when matplotlib cannot be installed."""
    python = get_environment(PLOTTING / "requirements.txt", "plotting")
    target = folder / f"{plot.name}.svg"
    curves = [vars(curve) for curve in plot.curves]
    given = json.dumps({"title": plot.title, "load_label": plot.load_label, "curves": curves})
    subprocess.run([python, PLOTTING / "draw.py", target], input=given, text=True, check=True)
    return target


def _render_head(content: Mapping[str, Any]) -> str:
    machine = content["machine"]
    versions = ", ".join(f"{name} {number}" for name, number in content["versions"].items())
    return (
        f"# {content['benchmark']}\n\n`{content['command']}`, {content['date']}, {content['seconds']} s. "
        f"{machine['cores']} cores ({machine['processor']}: {', '.join(machine['flags'])}), {machine['memory_gib']} GiB, "
        f"Linux {machine['kernel']}; load average {machine['load_average']} before, "
        f"{machine['load_average_at_end']} after. {versions}."
    )
