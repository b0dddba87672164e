"""The dashboard of the fleet: all models, what asks for attention among them, and the operator."""

from grafana_foundation_sdk.builders import dashboard

from dashboards.panels import draw, list_series, show_number, start_dashboard

UID = "scoring-fleet"
RANGE = "$__rate_interval"
OPERATOR = "scoring_operator"
RECORDED = "namespace_scoring_model:scoring_"
MOST = 10
"""Models that a graph names: those that matter most."""


def build_fleet_dashboard() -> dashboard.Dashboard:
    """Return the dashboard."""
    board = start_dashboard(UID, "Scoring fleet", "All models, and the operator that looks after them.")
    for add in (add_summary, add_attention, add_traffic, add_capacity, add_operator, add_api_server):
        board = add(board)
    return board


def add_summary(board: dashboard.Dashboard) -> dashboard.Dashboard:
    """Add what one looks at first."""
    numbers = (
        ("Models", f"sum({OPERATOR}_models)", "short", None),
        ("Not ready", f'sum({OPERATOR}_models{{state!="ready"}})', "short", 1),
        ("Replicas ready", f'sum({OPERATOR}_replicas{{state="ready"}})', "short", None),
        ("Replicas without a node", f"sum({OPERATOR}_pending_replicas)", "short", 1),
        ("Requests", f"sum({RECORDED}requests:rate5m)", "reqps", None),
        ("Operators that lead", f"sum({OPERATOR}_leader)", "short", None),
    )
    for title, expression, unit, warning in numbers:
        board = board.with_panel(show_number(title, expression, unit, warning))
    return board


def add_attention(board: dashboard.Dashboard) -> dashboard.Dashboard:
    """Add the models that ask for attention."""
    labels = ("model_namespace", "model", "condition", "reason")
    return board.with_panel(
        list_series(
            "What asks for attention",
            f"max by ({', '.join(labels)}) ({OPERATOR}_model_condition)",
            labels,
            "Conditions and reasons are explained in docs/status.md.",
        )
    )


def add_traffic(board: dashboard.Dashboard) -> dashboard.Dashboard:
    """Add the models that are asked most, fail most and are slowest."""
    legend = "{{namespace}}/{{scoring_model}}"
    most = {
        "Requests": ("reqps", "requests:rate5m"),
        "Failed and refused": ("percentunit", None),
        "99 % answered within": ("s", "request_duration_seconds:p99_5m"),
    }
    board = board.with_row(dashboard.Row(f"Models, the {MOST} with most"))
    for title, (unit, name) in most.items():
        expression = (
            f"{RECORDED}{name}"
            if name
            else f"{RECORDED}requests_failed:ratio_rate5m + {RECORDED}requests_refused:ratio_rate5m"
        )
        board = board.with_panel(draw(title, unit, {legend: f"topk({MOST}, {expression})"}))
    return board


def add_capacity(board: dashboard.Dashboard) -> dashboard.Dashboard:
    """Add models and replicas over time, and what they wait for."""
    pending = f"sum by (hardware_class, accelerator) ({OPERATOR}_pending_replicas)"
    return (
        board.with_row(dashboard.Row("Models and hardware classes"))
        .with_panel(
            draw("Models by state", "short", {"{{state}}": f"sum by (state) ({OPERATOR}_models)"}, stacked=True)
        )
        .with_panel(
            draw(
                "Ready replicas by class",
                "short",
                {"{{hardware_class}}": f'sum by (hardware_class) ({OPERATOR}_replicas{{state="ready"}})'},
                stacked=True,
            )
        )
        .with_panel(
            draw("Replicas without a node", "short", {"{{hardware_class}} {{accelerator}}": pending}, stacked=True)
        )
    )


def add_operator(board: dashboard.Dashboard) -> dashboard.Dashboard:
    """Add how the operator does its work."""
    rounds = f"sum by (outcome) (rate({OPERATOR}_reconcile_seconds_count[{RANGE}]))"
    buckets = f"sum by (le) (rate({OPERATOR}_reconcile_seconds_bucket[{RANGE}]))"
    waits = f"sum by (le) (rate({OPERATOR}_queue_wait_seconds_bucket[{RANGE}]))"
    times = {
        "a round, 99 %": f"histogram_quantile(0.99, {buckets})",
        "wait before it, 99 %": f"histogram_quantile(0.99, {waits})",
        "the longest one now": f"max({OPERATOR}_longest_reconcile_seconds)",
        "the oldest that waits": f"max({OPERATOR}_queue_oldest_seconds)",
    }
    queue = {
        "waiting": f"sum({OPERATOR}_queue_depth)",
        "later": f"sum({OPERATOR}_queue_delayed)",
        "failing": f"sum({OPERATOR}_queue_failing)",
    }
    return (
        board.with_row(dashboard.Row("Operator"))
        .with_panel(draw("Rounds by outcome", "ops", {"{{outcome}}": rounds}, stacked=True))
        .with_panel(draw("Times", "s", times))
        .with_panel(draw("Queue", "short", queue))
    )


def add_api_server(board: dashboard.Dashboard) -> dashboard.Dashboard:
    """Add what the operator asks of the API server, and what it needs itself."""
    asked = f"sum by (verb, code) (rate({OPERATOR}_api_requests_total[{RANGE}]))"
    buckets = f"sum by (le, verb) (rate({OPERATOR}_api_request_seconds_bucket[{RANGE}]))"
    resources = {
        "CPUs {{instance}}": f"rate(process_cpu_seconds_total[{RANGE}]) and on (instance) {OPERATOR}_leader",
        "GiB {{instance}}": f"(process_resident_memory_bytes and on (instance) {OPERATOR}_leader) / 2^30",
    }
    return (
        board.with_panel(draw("Requests to the API server", "reqps", {"{{verb}} {{code}}": asked}, stacked=True))
        .with_panel(draw("Its answers begin, 99 %", "s", {"{{verb}}": f"histogram_quantile(0.99, {buckets})"}))
        .with_panel(draw("CPU and memory", "short", resources))
    )
