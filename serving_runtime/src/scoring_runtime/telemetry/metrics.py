"""The runtime's Prometheus metrics, in a registry of their own for each app. Filled by routes.py, gRPC, batching.py and worker.py.

docs/metrics.md explains each. What each request counts is kept by instruments.py, and counted with that of many others.
"""

from collections.abc import Callable, Sequence
from importlib.metadata import version

import prometheus_client
from prometheus_client import CollectorRegistry, Gauge, Info, ProcessCollector, disable_created_metrics

from scoring_runtime.batching import Batcher
from scoring_runtime.model import ServedModel
from scoring_runtime.telemetry.instruments import Histogram
from scoring_runtime.telemetry.request_counts import RequestCounts
from scoring_runtime.telemetry.request_record import RequestRecord

BATCH_BUCKETS = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0)
STAGE_BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)

# A time stamp beside each series, as many bytes again, which nobody reads.
disable_created_metrics()


class Metrics:
    """The metrics of one app; `registry` renders them. The last two arguments are those of RequestCounts."""

    def __init__(
        self, batcher: Batcher, objective_seconds: float | None = None, *, counts_callers: bool = False
    ) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        Info("scoring_runtime", "The serving runtime; always 1.", registry=self.registry).info(
            {"version": version("scoring-runtime")}
        )
        self._requests = RequestCounts(objective_seconds, counts_callers=counts_callers)
        self.registry.register(self._requests)
        self.record_request: Callable[[RequestRecord], None] = self._requests.observe
        self._watch_stages(batcher)
        cut = prometheus_client.Counter(
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

    def _watch_stages(self, batcher: Batcher) -> None:
        """Have the batcher tell of what waits, and of each stage of a request."""
        registry, add = self.registry, self._add_histogram
        batcher.report_batch = add("scoring_batch_size", "Items scored at once.", BATCH_BUCKETS)
        text = "Time to receive a request's body and make the model's inputs of it."
        batcher.report_preprocess = add("scoring_preprocess_seconds", text, STAGE_BUCKETS)
        text = "Time that a request, once read, has waited for the model."
        batcher.report_wait = add("scoring_queue_wait_seconds", text, STAGE_BUCKETS)
        text = "Time that the model took for a request's batch, told for each request in it."
        batcher.report_score = add("scoring_score_seconds", text, STAGE_BUCKETS)
        inside = Gauge("scoring_requests_in_flight", "Requests that are being answered or wait.", registry=registry)
        inside.set_function(batcher.count_inside)
        waiting = Gauge("scoring_queue_waiting", "Requests that wait for the model.", registry=registry)
        waiting.set_function(batcher.count_waiting)

    def _add_histogram(self, name: str, text: str, buckets: Sequence[float]) -> Callable[[float], None]:
        histogram = Histogram(name, text, buckets)
        self.registry.register(histogram)
        return histogram.observe

    def record_model(self, model: ServedModel) -> None:
        """Show the model that is served and how long it took to load."""
        manifest = model.manifest
        self._requests.change_format(model.format)
        self._model.labels(manifest.name, manifest.version, model.format, manifest.task, model.digest).set(1)
        self._load.set(model.load_seconds)
