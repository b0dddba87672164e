"""Spans of calls over gRPC: an interceptor, there only where traces are wished. Used by worker.py."""

from collections.abc import Callable
from typing import Any

import grpc
from opentelemetry.trace import Span, StatusCode

from scoring_runtime.telemetry.tracing import Tracing

SCORING_METHOD = "ModelInfer"


SERVER_ERRORS = {grpc.StatusCode.INTERNAL, grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.UNKNOWN}


class TracingInterceptor(grpc.ServerInterceptor):  # type: ignore[misc]  # grpcio has no types
    """Makes a span of each call that scores, a child of the caller's where its metadata has `traceparent`."""

    def __init__(self, tracing: Tracing) -> None:
        self._tracing = tracing

    def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], grpc.RpcMethodHandler | None],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler | None:
        """Return the handler of a method, inside a span where it scores."""
        handler = continuation(handler_call_details)
        service, _, method = handler_call_details.method.strip("/").partition("/")
        if handler is None or method != SCORING_METHOD:
            return handler
        carrier = {
            key: value for key, value in handler_call_details.invocation_metadata or () if isinstance(value, str)
        }
        attributes = {"rpc.system": "grpc", "rpc.service": service, "rpc.method": method}

        def answer(body: Any, context: grpc.ServicerContext) -> Any:  # noqa: ANN401  # packed messages
            with self._tracing.follow(f"{service}/{method}", carrier, attributes) as request:
                try:
                    return handler.unary_unary(body, context)
                finally:
                    _note_status(request.span, context.code() or grpc.StatusCode.OK)

        return grpc.unary_unary_rpc_method_handler(answer, handler.request_deserializer, handler.response_serializer)


def _note_status(span: Span, code: grpc.StatusCode) -> None:
    span.set_attribute("rpc.grpc.status_code", code.value[0])
    if code in SERVER_ERRORS:
        span.set_status(StatusCode.ERROR)
