"""One call over gRPC: through the gate, read, unpacked, answered, counted and told to the log. grpc_server.py has the methods."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from time import perf_counter, time
from typing import Any
from urllib.parse import unquote

import grpc
import structlog
from google.protobuf.message import DecodeError, Message

from scoring_runtime.access.errors import ForbiddenError, TooManyRequestsError, UnauthorizedError
from scoring_runtime.access.gate import NOT_LET_IN, Gate, Visit
from scoring_runtime.errors import (
    BodyTimeoutError,
    InvalidInputError,
    ModelNotFoundError,
    NotReadyError,
    OverloadedError,
    RequestError,
    ScoringFailedError,
)
from scoring_runtime.protocols import find_status, list_headers
from scoring_runtime.protocols.grpc_messages import MessageReader
from scoring_runtime.telemetry.metrics import Metrics
from scoring_runtime.telemetry.request_ids import HEADER, TRACE_HEADER, choose_request_id, find_trace_id
from scoring_runtime.telemetry.request_log import RequestLog
from scoring_runtime.telemetry.request_record import RequestRecord

PROTOCOL = "open-inference-grpc"
REQUEST_ID = HEADER.lower()

_OK = 200
_TOO_LARGE = 413
_CODES: dict[type[RequestError], grpc.StatusCode] = {
    UnauthorizedError: grpc.StatusCode.UNAUTHENTICATED,
    ForbiddenError: grpc.StatusCode.PERMISSION_DENIED,
    TooManyRequestsError: grpc.StatusCode.RESOURCE_EXHAUSTED,
    ModelNotFoundError: grpc.StatusCode.NOT_FOUND,
    # What the client has been told by then: grpc_messages.py.
    BodyTimeoutError: grpc.StatusCode.CANCELLED,
    NotReadyError: grpc.StatusCode.UNAVAILABLE,
    OverloadedError: grpc.StatusCode.UNAVAILABLE,
    ScoringFailedError: grpc.StatusCode.INTERNAL,
}

_logger = structlog.stdlib.get_logger(__name__)


@dataclass(frozen=True)
class Records:
    """Where calls that score are counted and told."""

    metrics: Metrics
    log: RequestLog | None

    def add(self, record: RequestRecord) -> None:
        """Take note of one call."""
        self.metrics.record_request(record)
        if self.log is not None:
            self.log.add(record)


@dataclass(frozen=True)
class Method:
    """One method, as grpcio calls it when the headers are there: for whoever is not let in, no message is read.

    Without a reader the message is taken for empty, whatever comes: those that probes send are.
    """

    answer: Callable[[Any], Message]
    request: type[Message]
    reader: MessageReader | None = None
    gate: Gate | None = None
    records: Records | None = None

    def __call__(self, messages: Iterator[bytes], context: grpc.ServicerContext) -> bytes:
        """Return the packed answer, or end the call with its error."""
        started, metadata = perf_counter(), dict(context.invocation_metadata())
        request_id = choose_request_id(metadata.get(REQUEST_ID))
        use, caller = NOT_LET_IN
        failure: RequestError | None = None
        body, answer = b"", b""
        try:
            if self.gate is not None:
                use, caller = _enter(self.gate, metadata, context.peer())
            if self.reader is not None:
                body = self.reader.read(messages, context)
            answer = self.answer(_unpack(self.request, body)).SerializeToString()
        except Exception as error:  # noqa: BLE001  # whatever a model raises is the call's answer
            failure = error if isinstance(error, RequestError) else _explain(error, request_id)
        finally:
            if self.gate is not None:
                self.gate.leave(use)
        if self.records is not None:
            status, code = (_OK, None) if failure is None else (find_status(failure), failure.code)
            told = status, perf_counter() - started, len(body), len(answer), code
            trace_id = find_trace_id(metadata.get(TRACE_HEADER))
            self.records.add(RequestRecord(time(), request_id, PROTOCOL, *told, trace_id, caller))
        headers = [] if failure is None else list_headers(failure)
        context.set_trailing_metadata(tuple((name.lower(), value) for name, value in [*headers, (HEADER, request_id)]))
        if failure is not None:
            # grpcio raises an exception of its own for that.
            context.abort(_find_code(failure), failure.message)
        return answer

    def make_handler(self) -> grpc.RpcMethodHandler:
        """Return the handler that grpcio is given, behind UnreadMessages; messages stay packed."""
        return grpc.unary_unary_rpc_method_handler(self, None, None)


def _unpack(request: type[Message], body: bytes) -> Message:
    try:
        return request.FromString(body)
    except DecodeError as error:
        raise InvalidInputError(f"The message is no {request.DESCRIPTOR.name}: send one.") from error


def _explain(error: Exception, request_id: str) -> ScoringFailedError:
    _logger.error("request failed", request_id=request_id, exc_info=error)
    return ScoringFailedError("The model failed on this request: the server's log says why.")


def _enter(gate: Gate, metadata: Mapping[str, str], peer: str) -> Visit:
    """Let a call in; its peer is written as ipv4:192.0.2.7:1234, ipv6:%5B2001:db8::7%5D:1234 or unix:…."""
    address, get = unquote(peer.partition(":")[2]), metadata.get
    return gate.enter(address, get("authorization"), get("x-api-key"), get("x-forwarded-for"))


def _find_code(error: RequestError) -> grpc.StatusCode:
    if find_status(error) == _TOO_LARGE:
        return grpc.StatusCode.RESOURCE_EXHAUSTED
    return _CODES.get(type(error), grpc.StatusCode.INVALID_ARGUMENT)
