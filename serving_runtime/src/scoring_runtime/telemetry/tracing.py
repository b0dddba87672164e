"""Traces: OpenTelemetry spans of requests and batches, with the caller's W3C context. Imported only where they are wished; see worker.py.

A request is a span with three children, `preprocess`, `queue` and `score`. A batch is a span of its own, linked with the requests in
it both ways: it belongs to all of them. What the model's code does is inside the batch's span.

Nothing of it stands in the way of a request that is not traced: the batcher's hooks and a layer in front of the routes are only
there when somebody has asked for traces.
"""

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from time import monotonic, time_ns
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Link, Span, SpanContext, SpanKind, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from scoring_runtime.batching import Batcher, Pending
from scoring_runtime.tasks import Inputs, Task

SCOPE = "scoring_runtime"
RESPONSE_HEADER = "traceresponse"
"""W3C's header of an answer: which trace and span it was."""

CARRIED = {"traceparent": "HTTP_TRACEPARENT", "tracestate": "HTTP_TRACESTATE"}
UNNAMED = "unknown_service"
"""How OpenTelemetry calls a service that nobody has named."""

NANOSECONDS = 1_000_000_000
CLOSE_SECONDS = 2.0
NOT_FOUND = 404
SERVER_ERROR = 500

_propagator = TraceContextTextMapPropagator()


class TracedPending(Pending):
    """A request in the queue that knows its span, and learns when its batch was scored and which that was."""

    __slots__ = ("batch", "ended", "span", "started")

    def __init__(self, task: Task, inputs: Inputs, arrived: float) -> None:
        super().__init__(task, inputs, arrived)
        self.span: Span = trace.INVALID_SPAN
        self.started = self.ended = arrived
        self.batch: SpanContext | None = None


@dataclass
class RequestTrace:
    """One request on its way: its span, and what is known of its stages."""

    span: Span
    preprocess_seconds: float = 0.0
    pending: TracedPending | None = None

    def write_header(self) -> str:
        """Return the span's context as `traceparent` and `traceresponse` have it."""
        context = self.span.get_span_context()
        return f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"


class _Current(threading.local):
    """The request that a thread is at."""

    request: RequestTrace | None = None


class Tracing:
    """Makes the spans of one worker."""

    def __init__(self, provider: TracerProvider) -> None:
        self._provider = provider
        self._tracer = provider.get_tracer(SCOPE, version("scoring-runtime"))
        self._current = _Current()

    def watch(self, batcher: Batcher) -> None:
        """Have the batcher tell of each request and batch, beside whom else it tells."""
        report_preprocess = batcher.report_preprocess

        def note_preprocess(seconds: float) -> None:
            report_preprocess(seconds)
            if self._current.request is not None:
                self._current.request.preprocess_seconds = seconds

        batcher.report_preprocess = note_preprocess
        batcher.make_pending = self._make_pending
        batcher.follow_batch = self._follow_batch

    def wrap(self, rest: WSGIApplication) -> "TracedRequests":
        """Return an application in front of another in which each POST is a span."""
        return TracedRequests(rest, self)

    def close(self) -> None:
        """Send what waits; gives up after two seconds when nobody takes it."""
        thread = threading.Thread(target=self._provider.shutdown, name="traces-end", daemon=True)
        thread.start()
        thread.join(CLOSE_SECONDS)

    @contextmanager
    def follow(self, name: str, carrier: Mapping[str, str], attributes: Mapping[str, str]) -> Iterator[RequestTrace]:
        """Hold the span of one request, a child of the caller's where the carrier has its `traceparent`."""
        span = self._tracer.start_span(
            name, _propagator.extract(carrier, Context()), SpanKind.SERVER, attributes=attributes
        )
        request = self._current.request = RequestTrace(span)
        try:
            yield request
        finally:
            self._current.request = None
            if span.is_recording():
                self._add_stages(request)
            span.end()

    def _make_pending(self, task: Task, inputs: Inputs, arrived: float) -> Pending:
        pending = TracedPending(task, inputs, arrived)
        request = self._current.request
        if request is not None:
            request.pending, pending.span = pending, request.span
        return pending

    @contextmanager
    def _follow_batch(self, batch: Sequence[Pending]) -> Iterator[None]:
        """Hold the span of a batch, current on the scoring thread; none where no request in it is traced."""
        traced = [one for one in batch if isinstance(one, TracedPending) and one.span.is_recording()]
        started = monotonic()
        if not traced:
            yield
            return
        links = [Link(one.span.get_span_context()) for one in traced]
        items = sum(one.items for one in batch)
        attributes = {"scoring.batch.items": items, "scoring.batch.requests": len(batch)}
        # In the first one's trace, so that a request that is scored alone has everything in its own.
        parent = trace.set_span_in_context(traced[0].span, Context())
        with self._tracer.start_as_current_span("batch", parent, attributes=attributes, links=links) as span:
            yield
        ended = monotonic()
        for one in traced:
            one.started, one.ended, one.batch = started, ended, span.get_span_context()

    def _add_stages(self, request: RequestTrace) -> None:
        """Add the stages of a request that came as far as the model."""
        pending = request.pending
        if pending is None:
            return
        begun = pending.arrived - request.preprocess_seconds
        self._add(request.span, "preprocess", begun, pending.arrived)
        self._add(request.span, "queue", pending.arrived, pending.started)
        links = [Link(pending.batch)] if pending.batch is not None else []
        self._add(request.span, "score", pending.started, pending.ended, links)

    def _add(self, parent: Span, name: str, started: float, ended: float, links: Sequence[Link] = ()) -> None:
        offset = time_ns() - int(monotonic() * NANOSECONDS)
        start, end = (offset + int(seconds * NANOSECONDS) for seconds in (started, ended))
        context = trace.set_span_in_context(parent, Context())
        self._tracer.start_span(name, context, links=links, start_time=start).end(end)


class TracedRequests:
    """A WSGI application in front of another: each POST is a span, its context goes on to the log and back to the caller."""

    def __init__(self, rest: WSGIApplication, tracing: Tracing) -> None:
        self._rest = rest
        self._tracing = tracing

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request."""
        if environ["REQUEST_METHOD"] != "POST":
            return self._rest(environ, start_response)
        carrier = {name: environ[key] for name, key in CARRIED.items() if key in environ}
        with self._tracing.follow("POST", carrier, {"http.request.method": "POST"}) as request:
            environ = {**environ, "HTTP_TRACEPARENT": request.write_header()}
            return self._rest(environ, _note_answer(request, environ["PATH_INFO"], start_response))


def _note_answer(request: RequestTrace, path: str, start_response: StartResponse) -> StartResponse:
    """Return the function that starts an answer, and puts what it is into the span, and the span into its headers."""

    def start(status: str, headers: list[tuple[str, str]], *exception: object) -> Callable[[bytes], object]:
        code = int(status[:3])
        span = request.span
        span.set_attribute("http.response.status_code", code)
        if code != NOT_FOUND:
            # Only of paths that there are: anybody can make up others.
            span.update_name(f"POST {path}")
            span.set_attribute("url.path", path)
        if code >= SERVER_ERROR:
            span.set_status(StatusCode.ERROR)
        return start_response(status, [*headers, (RESPONSE_HEADER, request.write_header())], *exception)  # type: ignore[arg-type]

    return start


def open_tracing(model_name: str) -> Tracing:
    """Return what makes spans and sends them, as the variables of OpenTelemetry (`OTEL_…`) say; the service is the model's name unless they name it."""
    resource = Resource.create({SERVICE_VERSION: version("scoring-runtime")})
    if str(resource.attributes.get(SERVICE_NAME, UNNAMED)).startswith(UNNAMED):
        resource = resource.merge(Resource({SERVICE_NAME: model_name}))
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return Tracing(provider)
