"""The operator's Prometheus metrics, in a registry of their own. docs/metrics.md explains each.

What the work tells as it goes is here; what is counted when somebody asks is in `census`.
"""

from importlib.metadata import version

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    Info,
    ProcessCollector,
    disable_created_metrics,
)

REQUEST_BUCKETS = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
RUN_BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0, 120.0)
WAIT_BUCKETS = (0.001, 0.005, 0.025, 0.1, 0.5, 1.0, 5.0, 30.0, 120.0, 600.0)

WATCH = "watch"

# A time stamp beside each series, as many bytes again, which nobody reads.
disable_created_metrics()


class Metrics:
    """What the operator tells of its work; `registry` renders it."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        Info("scoring_operator", "The operator; always 1.", registry=self.registry).info(
            {"version": version("scoring-operator")}
        )
        self._runs = Histogram(
            "scoring_operator_reconcile_seconds",
            "Time of one round for one model, by how it ended: success, error (of the API server; tried again) or crash.",
            ["outcome"],
            buckets=RUN_BUCKETS,
            registry=self.registry,
        )
        self.record_wait = Histogram(
            "scoring_operator_queue_wait_seconds",
            "Time that a model, once due, has waited for a worker.",
            buckets=WAIT_BUCKETS,
            registry=self.registry,
        ).observe
        self._requests = Counter(
            "scoring_operator_api_requests",
            "Requests to the API server by verb, resource and HTTP status; code none where no answer came.",
            ["verb", "resource", "code"],
            registry=self.registry,
        )
        self._answers = Histogram(
            "scoring_operator_api_request_seconds",
            "Time until the API server's answer began, by verb; of watches only their number is told.",
            ["verb"],
            buckets=REQUEST_BUCKETS,
            registry=self.registry,
        )
        self._leader = Gauge("scoring_operator_leader", "1 on the operator that leads, else 0.", registry=self.registry)

    def record_run(self, outcome: str, seconds: float) -> None:
        """Count one round for one model."""
        self._runs.labels(outcome).observe(seconds)

    def record_request(self, verb: str, resource: str, code: str, seconds: float) -> None:
        """Count one request to the API server."""
        self._requests.labels(verb, resource, code).inc()
        if verb != WATCH:
            self._answers.labels(verb).observe(seconds)

    def record_lead(self, is_leading: bool) -> None:
        """Tell whether this process leads."""
        self._leader.set(is_leading)
