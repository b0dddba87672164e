"""Renders results as Markdown, and as what plots need: pure. Below `results`."""

from collections.abc import Callable, Mapping, Sequence
from statistics import median
from typing import Any

from benchmarks.serving.tables import format_number, render_table

Result = Mapping[str, Any]
Row = tuple[str, Callable[[Result], str]]

_ASIDE = (
    "The floor is the same children (Deployment, Service, HorizontalPodAutoscaler) created by four clients without any operator, on a cluster "
    "of its own just before; four clients create the ScoringModels too. Both in turns, several rounds: medians, and the median of the rounds' "
    "ratios. Milliseconds count from the moment at which the request has returned, "
    "p50 / p99. Memory is resident, and in brackets its peak."
)


def render_tables(results: Sequence[Result]) -> list[str]:
    """Return the sections of the report: what is measured down, numbers of models across."""
    header = ["", *(f"{result['models']:,}" for result in results)]
    return [
        _ASIDE,
        render_table(header, [[name, *(_render(get, result) for result in results)] for name, get in _ROWS]),
    ]


def _render(get: Callable[[Result], str], result: Result) -> str:
    try:
        return get(result)
    except (KeyError, TypeError):
        return "–"


def draw_times(results: Sequence[Result]) -> dict[str, Any]:
    """Return a plot of the seconds until all models are Ready, and all replicas of the floor, where it was measured."""
    curves = [
        {
            "label": f"{name}: {moment}",
            "load": [each["models"] for each in results if get(each)],
            "p50": [get(each)[key] for each in results if get(each)],
        }
        for name, get in (("operator", _get_ours), ("floor", _get_floor))
        for key, moment in (("ready_seconds", "all ready"), ("children_seconds", "all children"))
    ]
    return {"title": "All models at once", "load_label": "models", "value_label": "seconds", "curves": curves}


def _get_ours(result: Result) -> Mapping[str, Any]:
    return merge_rounds([each["ours"] for each in result["rounds"]])


def _get_floor(result: Result) -> Mapping[str, Any]:
    return merge_rounds([each["floor"] for each in result["rounds"]])


def merge_rounds(rounds: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    """Return the median of each number of several rounds, in the shape of one."""
    return {
        name: merge_rounds([each[name] for each in rounds])
        if isinstance(value, Mapping)
        else median(each[name] for each in rounds)
        for name, value in rounds[0].items()
        if name != "requests"
    }


def draw_memory(results: Sequence[Result]) -> dict[str, Any]:
    """Return a plot of the operator's memory."""
    counts = [result["models"] for result in results]
    curves = [
        {"label": label, "load": counts, "p50": [each["ours"][moment]["rss_mib"] for each in results]}
        for moment, label in (("memory", "after all were made"), ("memory_after_restart", "after a restart"))
    ]
    return {"title": "The operator's memory", "load_label": "models", "value_label": "MiB resident", "curves": curves}


def _compare(name: str) -> Callable[[Result], str]:
    def get(result: Result) -> str:
        ours, floor = _get_ours(result)[name], _get_floor(result).get(name)
        if floor is None:
            return format_number(ours)
        ratio = median(each["ours"][name] / each["floor"][name] for each in result["rounds"])
        return f"{format_number(ours)} / {format_number(floor)} ({ratio:.2f})"

    return get


def _time(section: str, key: str) -> Callable[[Result], str]:
    def get(result: Result) -> str:
        times = result["ours"][section][key]
        return f"{format_number(times['p50'])} / {format_number(times['p99'])}"

    return get


def _cpu(program: str) -> Callable[[Result], str]:
    def get(result: Result) -> str:
        ours, floor = (get(result).get("cpu_ms_per_model", {}) for get in (_get_ours, _get_floor))
        return " / ".join(format_number(each[program]) if each else "–" for each in (ours, floor))

    return get


def _memory(moment: str) -> Callable[[Result], str]:
    def get(result: Result) -> str:
        memory = result["ours"][moment]
        return f"{memory['rss_mib']:.0f} ({memory['peak_rss_mib']:.0f})"

    return get


def _number(section: str, *keys: str) -> Callable[[Result], str]:
    def get(result: Result) -> str:
        found = result["ours"][section]
        return " / ".join(format_number(found[key]) for key in keys)

    return get


def _requests(result: Result) -> str:
    found = _get_ours(result)["per_model"]
    return " / ".join(format_number(found[name]) for name in ("writes", "dry_runs", "events", "reads"))


_ROWS: Sequence[Row] = (
    ("all children, s: ours / floor (ratio)", _compare("children_seconds")),
    ("all Ready, s: ours / floor (ratio)", _compare("ready_seconds")),
    ("API server CPU, ms per model: ours / floor", _cpu("kube-apiserver")),
    ("CPU of all programs, ms per model: ours / floor", _cpu("all")),
    (
        "operator CPU, ms per model",
        lambda result: format_number(_get_ours(result)["cpu_ms_per_model"]["operator"]),
    ),
    ("writes / dry runs / events / reads per model", _requests),
    ("memory without models, MiB", _memory("memory_without_models")),
    ("memory, MiB", _memory("memory")),
    ("memory after a restart, MiB", _memory("memory_after_restart")),
    ("at rest: writes / reads / lists", _number("idle", "writes", "reads", "lists")),
    ("at rest: operator CPU, %", _number("idle", "operator_cpu_percent")),
    ("one more model: Deployment there, ms", _time("one_more", "deployment")),
    ("one more model: autoscaler there, ms", _time("one_more", "autoscaler")),
    ("one more model: Ready, ms", _time("one_more", "ready")),
    ("Deployment deleted: there again, ms", _time("deployment_deleted", "again")),
    ("Deployment deleted: Ready again, ms", _time("deployment_deleted", "ready")),
    ("model edited: its Deployment follows, ms", _time("edit", "deployment")),
    ("restart: reacts / settled, s", _number("restart", "reacted_seconds", "settled_seconds")),
    (
        "restart with one model edited: writes / dry runs / reads / lists",
        _number("restart", "writes", "dry_runs", "reads", "lists"),
    ),
    ("restart: operator CPU, s", _number("restart", "operator_cpu_seconds")),
    ("restart with 20 Deployments deleted: all there again, s", _number("restart_after_deletions", "repaired_seconds")),
    ("class edited: all Deployments follow / all Ready, s", _number("class_edit", "followed_seconds", "ready_seconds")),
)
