"""Renders floor, KServe and ours beside each other, with the ratio of the two operators: pure. Below `results`."""

from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.operator.tables import merge_rounds
from benchmarks.serving.tables import format_number, render_table

Result = Mapping[str, Any]

_ASIDE = (
    "All three in turns, each on a fresh cluster; what several rounds have measured is their median. The floor is our children (Deployment, Service, "
    "HorizontalPodAutoscaler) created by four clients without any operator; four clients create the models too. Times of single changes are "
    "medians, counted from the moment at which the request has returned. Memory is resident. KServe runs without its webhooks, which spares it work."
)

ROWS: Mapping[str, str] = {
    "at_once.children_seconds": "all children, s",
    "at_once.ready_seconds": "all Ready, s",
    "at_once.cpu_ms_per_model.operator": "operator CPU, ms per model",
    "at_once.cpu_ms_per_model.kube-apiserver": "API server CPU, ms per model",
    "at_once.cpu_ms_per_model.all": "CPU of all programs, ms per model",
    "at_once.per_model.writes": "writes per model",
    "at_once.per_model.dry_runs": "dry runs per model",
    "at_once.per_model.events": "events per model",
    "at_once.per_model.reads": "reads per model",
    "memory_without_models.rss_mib": "memory without models, MiB",
    "memory.rss_mib": "memory, MiB",
    "memory_after_restart.rss_mib": "memory after a restart, MiB",
    "idle.writes": "at rest: writes",
    "idle.reads": "at rest: reads",
    "idle.operator_cpu_percent": "at rest: operator CPU, %",
    "one_more.deployment.p50": "one more model: Deployment there, ms",
    "one_more.autoscaler.p50": "one more model: autoscaler there, ms",
    "one_more.ready.p50": "one more model: Ready, ms",
    "deployment_deleted.again.p50": "Deployment deleted: there again, ms",
    "deployment_deleted.ready.p50": "Deployment deleted: Ready again, ms",
    "edit.deployment.p50": "model edited: its Deployment follows, ms",
    "restart.reacted_seconds": "restart: reacts, s",
    "restart.settled_seconds": "restart: settled, s",
    "restart.writes": "restart with one model edited: writes",
    "restart.dry_runs": "restart with one model edited: dry runs",
    "restart.reads": "restart with one model edited: reads",
    "restart.operator_cpu_seconds": "restart: operator CPU, s",
    "restart_after_deletions.repaired_seconds": "restart with up to 20 Deployments deleted: all there again, s",
}
"""Where a number stands in an operator's part of a result, and what it is called."""


def render_peers(results: Sequence[Result]) -> list[str]:
    """Return the sections of the report: a table for each number of models."""
    return [_ASIDE, *(part for result in results for part in (f"## Models: {result['models']:,}", _render(result)))]


def _render(result: Result) -> str:
    parts = [{**result.get(name, {}), "at_once": _merge(result, name)} for name in ("floor", "kserve", "ours")]
    numbers = {title: [_read(part, path) for part in parts] for path, title in ROWS.items()}
    rows = [[title, *map(_format, found), _compare(*found[1:])] for title, found in numbers.items()]
    return render_table(["", "floor", "KServe", "ours", "KServe ÷ ours"], rows)


def _merge(result: Result, name: str) -> Result:
    return merge_rounds([each[name] for each in result["rounds"]])


def _read(part: Result, path: str) -> float | None:
    """Return the number at a path of keys; None where it was not measured."""
    found: Any = part
    for key in path.split("."):
        found = found.get(key) if isinstance(found, Mapping) else None
    return None if found is None else float(found)


def _format(number: float | None) -> str:
    return "–" if number is None else format_number(number)


def _compare(theirs: float | None, ours: float | None) -> str:
    return f"{theirs / ours:.1f}" if theirs and ours else "–"
