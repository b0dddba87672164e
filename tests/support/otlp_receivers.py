"""A receiver of OpenTelemetry traces: an HTTP server that takes OTLP protobuf, as a collector does."""

import gzip
import threading
from collections.abc import Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.trace.v1.trace_pb2 import Span

PATH = "/v1/traces"


class OtlpReceiver:
    """Keeps the spans that it is sent, and by which service."""

    def __init__(self) -> None:
        self._spans: list[Span] = []
        self.services: set[str] = set()
        owner = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.headers.get("Content-Encoding") == "gzip":
                    body = gzip.decompress(body)
                known = self.path == PATH and self.headers["Content-Type"] == "application/x-protobuf"
                self.send_response(200 if known else 404)
                self.end_headers()
                if known:
                    owner.take(ExportTraceServiceRequest.FromString(body))
                    self.wfile.write(ExportTraceServiceResponse().SerializeToString())

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)

    @property
    def address(self) -> str:
        """Return what OTEL_EXPORTER_OTLP_ENDPOINT is set to."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    @property
    def spans(self) -> Sequence[Span]:
        """Return what has come so far."""
        return list(self._spans)

    def find(self, name: str) -> list[Span]:
        """Return the spans of a name that have come so far."""
        return [span for span in self.spans if span.name == name]

    def take(self, request: ExportTraceServiceRequest) -> None:
        """Keep the spans of one message."""
        for group in request.resource_spans:
            attributes = read_attributes(group.resource)
            self.services.add(str(attributes["service.name"]))
            self._spans += [span for scope in group.scope_spans for span in scope.spans]

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()


def read_attributes(described: Any) -> dict[str, object]:
    """Return the attributes of a span or resource."""
    return {one.key: getattr(one.value, one.value.WhichOneof("value")) for one in described.attributes}
