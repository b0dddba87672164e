"""The runtime's Prometheus metrics, in a registry of their own for each app. Filled by app.py and loading.py."""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector

from scoring_runtime.access import Caller
from scoring_runtime.batching import Batcher
from scoring_runtime.model import ServedModel

NOBODY = "(none)"
"""The label of requests that show no valid key: no name of a key has brackets."""

BATCH_BUCKETS = (1, 2, 4, 8, 16, 32, 64, 128)
DURATION_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
WAIT_BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class Metrics:
    """The metrics of one app; `registry` renders them."""

    def __init__(self, batcher: Batcher) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self._requests = Counter(
            "scoring_requests", "Scoring requests by HTTP status.", ["code"], registry=self.registry
        )
        # Finding a child by its labels costs several times what counting does.
        self._by_status: dict[int, Counter] = {}
        self._callers = Counter(
            "scoring_key_requests",
            "Scoring requests by the name of their API key and HTTP status.",
            ["key", "code"],
            registry=self.registry,
        )
        self._by_caller: dict[tuple[str, int], Counter] = {}
        self._duration = Histogram(
            "scoring_request_duration_seconds",
            "Time from the first byte read to the answer, waiting included.",
            buckets=DURATION_BUCKETS,
            registry=self.registry,
        )
        batches = Histogram(
            "scoring_batch_size", "Items scored at once.", buckets=BATCH_BUCKETS, registry=self.registry
        )
        batcher.report_batch = batches.observe
        waits = Histogram(
            "scoring_queue_wait_seconds",
            "Time that a request, once read, has waited for the model.",
            buckets=WAIT_BUCKETS,
            registry=self.registry,
        )
        batcher.report_wait = waits.observe
        inside = Gauge(
            "scoring_requests_in_flight", "Requests that are being answered or wait.", registry=self.registry
        )
        inside.set_function(batcher.count_inside)
        waiting = Gauge("scoring_queue_waiting", "Requests that wait for the model.", registry=self.registry)
        waiting.set_function(batcher.count_waiting)
        cut = Counter(
            "scoring_connections_cut", "Connections cut since one client held too many.", registry=self.registry
        )
        self.record_cut_connections: Callable[[int], None] = cut.inc
        self._load = Gauge(
            "scoring_model_load_seconds",
            "Time to verify, load and warm up, and to fetch where no other container has.",
            registry=self.registry,
        )
        labels = ["name", "version", "format", "task", "digest"]
        self._model = Gauge("scoring_model_info", "The served model; always 1.", labels, registry=self.registry)

    def record_caller(self, caller: Caller | None, status: int) -> None:
        """Count one scoring request of a key, or of nobody known."""
        label = NOBODY if caller is None else caller.label
        known = self._by_caller.get((label, status))
        if known is None:
            known = self._by_caller[label, status] = self._callers.labels(label, str(status))
        known.inc()

    def record_request(self, status: int, seconds: float) -> None:
        """Count one scoring request."""
        if status not in self._by_status:
            self._by_status[status] = self._requests.labels(str(status))
        self._by_status[status].inc()
        self._duration.observe(seconds)

    def record_model(self, model: ServedModel) -> None:
        """Show the model that is served and how long it took to load."""
        manifest = model.manifest
        self._model.labels(manifest.name, manifest.version, model.format, manifest.task, model.digest).set(1)
        self._load.set(model.load_seconds)
