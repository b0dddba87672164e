"""Keeps what was measured as JSON, and renders all of it as tables and plots. Above `tables` and `peer_tables`."""

import json
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from platform import python_version
from typing import Any

from benchmarks.operator.peer_tables import render_peers
from benchmarks.operator.tables import draw_memory, draw_times, render_tables
from benchmarks.serving.environments import get_environment
from benchmarks.serving.errors import BenchmarkError
from benchmarks.serving.machine import describe_machine
from benchmarks.serving.results import PLOTTING
from local_cluster.releases import KSERVE, KUBERNETES_VERSION

RESULTS = Path(__file__).parent / "results"
MODELS, PEER = "models", "peer"
"""The benchmarks, as their results' files are named."""

_PACKAGES = ("scoring-operator", "kopf", "aiohttp", "pydantic", "orjson")


@dataclass(frozen=True)
class Circumstances:
    """How, when and on what a measurement was made."""

    benchmark: str
    command: str
    started: datetime = field(default_factory=lambda: datetime.now(UTC))
    machine: Mapping[str, Any] = field(default_factory=describe_machine)

    def to_json(self) -> dict[str, Any]:
        """Return all of it, with what is known at the end alone."""
        return {
            "command": self.command,
            "date": self.started.isoformat(timespec="seconds"),
            "seconds": round((datetime.now(UTC) - self.started).total_seconds()),
            "machine": {**self.machine, "load_average_at_end": describe_machine()["load_average"]},
            "versions": {
                "python": python_version(),
                "kubernetes": KUBERNETES_VERSION,
                **({"kserve": KSERVE.version} if self.benchmark == PEER else {}),
                **{package: version(package) for package in _PACKAGES},
            },
        }


def write_result(circumstances: Circumstances, found: Mapping[str, Any], folder: Path) -> Path:
    """Write <benchmark>-<number>.json into `folder`; return its path."""
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / f"{circumstances.benchmark}-{found['models']}.json"
    target.write_text(json.dumps({**circumstances.to_json(), **found}, indent=1) + "\n", encoding="utf-8")
    return target


def write_report(folder: Path) -> Path:
    """Write models.md, times.svg and memory.svg from all models-*.json of `folder`. Raises BenchmarkError when there is none."""
    results = _read_results(folder, MODELS)
    titles = {"times": draw_times(results), "memory": draw_memory(results)}
    for name, plot in titles.items():
        _draw(plot, folder / f"{name}.svg")
    images = [f"![{plot['title']}]({name}.svg)" for name, plot in titles.items()]
    return _write_sections(folder / "models.md", results, [*render_tables(results), *images])


def write_peer_report(folder: Path) -> Path:
    """Write peer.md from all peer-*.json of `folder`. Raises BenchmarkError when there is none."""
    results = _read_results(folder, PEER)
    return _write_sections(folder / "peer.md", results, render_peers(results))


def _read_results(folder: Path, benchmark: str) -> list[dict[str, Any]]:
    """Return the results of a benchmark, those with the fewest models first."""
    results = [json.loads(file.read_text(encoding="utf-8")) for file in folder.glob(f"{benchmark}-*.json")]
    if not results:
        command = f"python -m benchmarks.operator {benchmark} 100"
        raise BenchmarkError(f"{folder} holds no {benchmark}-*.json: run `{command}` first.")
    return sorted(results, key=lambda result: int(result["models"]))


def _write_sections(target: Path, results: Sequence[Mapping[str, Any]], sections: Sequence[str]) -> Path:
    parts = [f"# {target.stem}", _describe(results), *sections]
    target.write_text("\n\n".join(parts) + "\n", encoding="utf-8")
    return target


def _draw(plot: Mapping[str, Any], target: Path) -> None:
    python = get_environment(PLOTTING / "requirements.txt", "plotting")
    subprocess.run([python, PLOTTING / "draw.py", target], input=json.dumps(plot), text=True, check=True)


def _describe(results: Sequence[Mapping[str, Any]]) -> str:
    """Return where the results come from, a line for each."""
    lines = []
    for result in results:
        machine = result["machine"]
        lines.append(
            f"- `{result['command']}`, {result['date']}, {result['seconds']} s; {machine['cores']} cores "
            f"({machine['processor']}), {machine['memory_gib']} GiB; load average {machine['load_average']} before, "
            f"{machine['load_average_at_end']} after; "
            + ", ".join(f"{name} {number}" for name, number in result["versions"].items())
        )
    return "\n".join(lines)
