"""The dashboard of one model: what is asked of it, how fast and how well it answers, and what it needs for that."""

from grafana_foundation_sdk.builders import dashboard

from dashboards.panels import choose_label, draw, list_series, show_number, start_dashboard

UID = "scoring-model"
MODEL = 'namespace="$namespace", scoring_model="$model"'
RECORDED = "namespace_scoring_model:scoring_"
RANGE = "$__rate_interval"
STAGES = {"preprocess": "preprocess", "queue": "queue_wait", "score": "score"}


def build_model_dashboard() -> dashboard.Dashboard:
    """Return the dashboard."""
    board = start_dashboard(UID, "Scoring model", "One model: requests, latency by stage, batches, resources.")
    board = board.with_variable(choose_label("namespace", "namespace", "scoring_model_info"))
    board = board.with_variable(choose_label("model", "scoring_model", 'scoring_model_info{namespace="$namespace"}'))
    for add in (add_summary, add_requests, add_latency, add_batches, add_resources):
        board = add(board)
    return board


def add_summary(board: dashboard.Dashboard) -> dashboard.Dashboard:
    """Add what one looks at first."""
    duration = f"{RECORDED}request_duration_seconds"
    numbers = (
        ("Requests", f"{RECORDED}requests:rate5m{{{MODEL}}}", "reqps", None),
        ("Failed (500)", f"{RECORDED}requests_failed:ratio_rate5m{{{MODEL}}}", "percentunit", 0.05),
        ("Refused (503)", f"{RECORDED}requests_refused:ratio_rate5m{{{MODEL}}}", "percentunit", 0.05),
        ("Slower than the objective", f"{RECORDED}slow_requests:ratio_rate5m{{{MODEL}}}", "percentunit", 0.01),
        ("99 % within", f"{duration}:p99_5m{{{MODEL}}}", "s", None),
        ("Replicas that serve", f"count(scoring_model_info{{{MODEL}}})", "short", None),
    )
    for title, expression, unit, warning in numbers:
        board = board.with_panel(show_number(title, expression, unit, warning))
    return board


def add_requests(board: dashboard.Dashboard) -> dashboard.Dashboard:
    """Add who asks for what, and how it ends."""
    requests = f"rate(scoring_requests_total{{{MODEL}}}[{RANGE}])"
    keys = f"rate(scoring_key_requests_total{{{MODEL}}}[{RANGE}])"
    return (
        board.with_row(dashboard.Row("Requests"))
        .with_panel(draw("By status", "reqps", {"{{code}}": f"sum by (code) ({requests})"}, stacked=True))
        .with_panel(draw("By protocol", "reqps", {"{{protocol}}": f"sum by (protocol) ({requests})"}, stacked=True))
        .with_panel(
            draw(
                "By API key",
                "reqps",
                {"{{key}}": f"sum by (key) ({keys})"},
                stacked=True,
                description="Only of models that ask for keys or tokens.",
            )
        )
    )


def add_latency(board: dashboard.Dashboard) -> dashboard.Dashboard:
    """Add how long answers take, and which stage takes it."""
    buckets = f"sum by (le) (rate(scoring_request_duration_seconds_bucket{{{MODEL}}}[{RANGE}]))"
    quantiles = {f"{share:.0%}": f"histogram_quantile({share}, {buckets})" for share in (0.5, 0.9, 0.99)}
    quantiles["objective"] = f"max(scoring_latency_objective_seconds{{{MODEL}}})"
    waits = f"sum by (le) (rate(scoring_queue_wait_seconds_bucket{{{MODEL}}}[{RANGE}]))"
    stages = {legend: find_mean(f"scoring_{name}_seconds") for legend, name in STAGES.items()}
    return (
        board.with_row(dashboard.Row("Latency"))
        .with_panel(draw("Answered within, by share of requests", "s", quantiles))
        .with_panel(
            draw(
                "Mean time by stage",
                "s",
                stages,
                stacked=True,
                description="Preprocess: receiving the body and making inputs of it. Queue: waiting for the model. Score: the model.",
            )
        )
        .with_panel(draw("Wait for the model, 99 %", "s", {"99%": f"histogram_quantile(0.99, {waits})"}))
    )


def add_batches(board: dashboard.Dashboard) -> dashboard.Dashboard:
    """Add what waits, and how it is gathered."""
    inside, waiting = (f"sum by (pod) (scoring_{name}{{{MODEL}}})" for name in ("requests_in_flight", "queue_waiting"))
    return (
        board.with_row(dashboard.Row("Queue and batches"))
        .with_panel(draw("Requests in flight", "short", {"{{pod}}": inside}, stacked=True))
        .with_panel(draw("Of these waiting", "short", {"{{pod}}": waiting}, stacked=True))
        .with_panel(draw("Items in a batch, mean", "short", {"items": find_mean("scoring_batch_size")}))
    )


def add_resources(board: dashboard.Dashboard) -> dashboard.Dashboard:
    """Add what the replicas need, and what they serve."""
    cpu = f"sum by (pod) (rate(process_cpu_seconds_total{{{MODEL}}}[{RANGE}]))"
    memory = f"sum by (pod) (process_resident_memory_bytes{{{MODEL}}})"
    labels = ("pod", "version", "format", "task", "digest", "name")
    return (
        board.with_row(dashboard.Row("Replicas"))
        .with_panel(draw("CPU", "short", {"{{pod}}": cpu}))
        .with_panel(draw("Memory", "bytes", {"{{pod}}": memory}))
        .with_panel(draw("Time to load", "s", {"{{pod}}": f"max by (pod) (scoring_model_load_seconds{{{MODEL}}})"}))
        .with_panel(list_series("What is served", f"scoring_model_info{{{MODEL}}}", labels))
    )


def find_mean(histogram: str) -> str:
    """Return the expression for a histogram's mean."""
    total, count = (f"sum(rate({histogram}_{suffix}{{{MODEL}}}[{RANGE}]))" for suffix in ("sum", "count"))
    return f"{total} / {count}"
