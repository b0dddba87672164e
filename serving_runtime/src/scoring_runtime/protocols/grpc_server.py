"""The Open Inference Protocol over gRPC, on a port of its own. Imported only when that port is set: grpcio is optional.

grpcio reads a message before a thread takes it, so a request takes its place in the queue with its tensors still packed.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.metadata import version
from operator import methodcaller
from time import perf_counter
from typing import Any
from urllib.parse import unquote

import grpc
import structlog
from google.protobuf.message import DecodeError, Message

from scoring_runtime.access.gate import Credentials, Gate, Visit
from scoring_runtime.errors import (
    ForbiddenError,
    InvalidInputError,
    InvalidSettingsError,
    ModelNotFoundError,
    NotReadyError,
    OverloadedError,
    RequestError,
    ScoringFailedError,
    TooManyRequestsError,
    UnauthorizedError,
)
from scoring_runtime.metrics import Metrics
from scoring_runtime.protocols import find_status, list_headers
from scoring_runtime.protocols import open_inference_pb2 as messages
from scoring_runtime.protocols.grpc_tensors import read_inputs, write_answer
from scoring_runtime.protocols.model_interface import ModelDirectory
from scoring_runtime.service import ScoringService
from scoring_runtime.tensors import TensorSpec

SERVICE = "inference.GRPCInferenceService"
# Beside those that wait for the model: threads that refuse requests and answer probes.
SPARE_THREADS = 8

_OK = 200
_TOO_LARGE = 413
_CODES: dict[type[RequestError], grpc.StatusCode] = {
    UnauthorizedError: grpc.StatusCode.UNAUTHENTICATED,
    ForbiddenError: grpc.StatusCode.PERMISSION_DENIED,
    TooManyRequestsError: grpc.StatusCode.RESOURCE_EXHAUSTED,
    ModelNotFoundError: grpc.StatusCode.NOT_FOUND,
    NotReadyError: grpc.StatusCode.UNAVAILABLE,
    OverloadedError: grpc.StatusCode.UNAVAILABLE,
    ScoringFailedError: grpc.StatusCode.INTERNAL,
}

_logger = structlog.stdlib.get_logger(__name__)


@dataclass(frozen=True)
class GrpcLimits:
    """What one server takes: messages of at most so many bytes, so many requests at once, from whom the gate lets in."""

    max_message_bytes: int
    max_queue: int
    gate: Gate | None = None


class GrpcServer:
    """A running server."""

    def __init__(self, server: grpc.Server, port: int) -> None:
        self._server = server
        self.port = port

    def stop(self, grace_seconds: float) -> None:
        """Take no more requests, finish those that run, and return; what runs longer than the grace is cut."""
        self._server.stop(grace_seconds).wait()


def start_grpc_server(port: int, service: ScoringService, metrics: Metrics, limits: GrpcLimits) -> GrpcServer:
    """Serve on this port (0: any free one) from now on. Raises InvalidSettingsError when it cannot be used."""
    threads = limits.max_queue + SPARE_THREADS
    options = [
        ("grpc.max_receive_message_length", limits.max_message_bytes),
        ("grpc.max_send_message_length", -1),
        # Else another process could share the port unseen.
        ("grpc.so_reuseport", 0),
    ]
    pool = ThreadPoolExecutor(threads, thread_name_prefix="grpc")
    # Beyond the threads, grpcio refuses with RESOURCE_EXHAUSTED what would wait for one unseen.
    server = grpc.server(pool, options=options, maximum_concurrent_rpcs=threads)
    inference = InferenceService(service, ModelDirectory(service))
    methods = _list_methods(inference, limits.gate, metrics)
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, methods),))
    try:
        bound = server.add_insecure_port(f"[::]:{port}")
    except RuntimeError as error:
        raise InvalidSettingsError(f"SCORING_GRPC_PORT {port} cannot be used: choose another.") from error
    server.start()
    return GrpcServer(server, bound)


class InferenceService:
    """The methods of GRPCInferenceService. Each takes its message and returns its answer, or raises RequestError."""

    def __init__(self, service: ScoringService, directory: ModelDirectory) -> None:
        self._service = service
        self._directory = directory

    def is_live(self, _request: messages.ServerLiveRequest) -> messages.ServerLiveResponse:
        """Answer that the process works."""
        return messages.ServerLiveResponse(live=True)

    def is_ready(self, _request: messages.ServerReadyRequest) -> messages.ServerReadyResponse:
        """Tell whether new requests should be sent here."""
        return messages.ServerReadyResponse(ready=self._is_ready())

    def is_model_ready(self, request: messages.ModelReadyRequest) -> messages.ModelReadyResponse:
        """Tell the same of the one model. Raises ModelNotFoundError for another."""
        self._directory.check_name(request.name)
        ready = self._is_ready()
        if ready:
            self._directory.find(request.name, request.version)
        return messages.ModelReadyResponse(ready=ready)

    def describe_server(self, _request: messages.ServerMetadataRequest) -> messages.ServerMetadataResponse:
        """Return name and version of this runtime."""
        return messages.ServerMetadataResponse(name="scoring-runtime", version=version("scoring-runtime"))

    def describe_model(self, request: messages.ModelMetadataRequest) -> messages.ModelMetadataResponse:
        """Return the tensors that the model takes and gives."""
        interface = self._directory.find(request.name, request.version)
        return messages.ModelMetadataResponse(
            name=interface.name,
            versions=[interface.version],
            platform=interface.platform,
            inputs=[_describe_tensor(spec) for spec in interface.inputs.values()],
            outputs=[_describe_tensor(spec) for spec in interface.outputs.values()],
        )

    def infer(self, request: messages.ModelInferRequest) -> messages.ModelInferResponse:
        """Score the tensors of a request."""
        interface = self._directory.find(request.model_name, request.model_version)
        task = interface.task
        outputs = self._service.score(task, lambda: task.read_tensors(read_inputs(interface, request)))
        return write_answer(interface, request, task.write_tensors(outputs))

    def _is_ready(self) -> bool:
        try:
            self._service.slot.check_ready()
        except NotReadyError:
            return False
        return True


@dataclass(frozen=True)
class _Method:
    """One method as grpcio calls it, with the message still packed: whoever is not let in has nothing unpacked."""

    answer: Callable[[Any], Message]
    request: type[Message]
    gate: Gate | None = None
    metrics: Metrics | None = None
    """Counts the requests of the method that scores."""

    def __call__(self, body: bytes, context: grpc.ServicerContext) -> Message:
        """Let the call in, answer it, take note of it."""
        started, status = perf_counter(), _OK
        visit: Visit | None = None
        try:
            visit = None if self.gate is None else self.gate.enter(_read_credentials(context))
            return self.answer(_parse(self.request, body))
        except Exception as error:
            known = error if isinstance(error, RequestError) else _explain_failure(error)
            status = find_status(known)
            context.set_trailing_metadata(tuple((name.lower(), value) for name, value in list_headers(known)))
            context.abort(_find_code(known), known.message)
            raise  # abort ends the call by an exception of its own
        finally:
            if visit is not None and self.gate is not None:
                self.gate.leave(visit)
            if self.metrics is not None:
                self.metrics.record_request(status, perf_counter() - started)
                if self.gate is not None and self.gate.asks_for_credentials:
                    self.metrics.record_caller(visit.caller if visit else None, status)


def _list_methods(inference: InferenceService, gate: Gate | None, metrics: Metrics) -> dict[str, grpc.RpcMethodHandler]:
    methods = {
        "ServerLive": _Method(inference.is_live, messages.ServerLiveRequest),
        "ServerReady": _Method(inference.is_ready, messages.ServerReadyRequest),
        "ModelReady": _Method(inference.is_model_ready, messages.ModelReadyRequest, gate),
        "ServerMetadata": _Method(inference.describe_server, messages.ServerMetadataRequest, gate),
        "ModelMetadata": _Method(inference.describe_model, messages.ModelMetadataRequest, gate),
        "ModelInfer": _Method(inference.infer, messages.ModelInferRequest, gate, metrics),
    }
    write = methodcaller("SerializeToString")
    return {name: grpc.unary_unary_rpc_method_handler(method, None, write) for name, method in methods.items()}


def _parse(request: type[Message], body: bytes) -> Message:
    try:
        return request.FromString(body)
    except DecodeError as error:
        raise InvalidInputError(f"The message is no {request.DESCRIPTOR.name}: send one.") from error


def _explain_failure(error: Exception) -> ScoringFailedError:
    _logger.error("scoring failed", exc_info=error)
    return ScoringFailedError("The model failed on this request: the server's log says why.")


def _read_credentials(context: grpc.ServicerContext) -> Credentials:
    """Return what a call shows; its address is ipv4:192.0.2.7:1234, ipv6:%5B2001:db8::7%5D:1234 or unix:…."""
    shown = dict(context.invocation_metadata())
    peer = unquote(context.peer().partition(":")[2])
    return Credentials(shown.get("authorization"), shown.get("x-api-key"), peer, shown.get("x-forwarded-for"))


def _find_code(error: RequestError) -> grpc.StatusCode:
    if find_status(error) == _TOO_LARGE:
        return grpc.StatusCode.RESOURCE_EXHAUSTED
    return _CODES.get(type(error), grpc.StatusCode.INVALID_ARGUMENT)


def _describe_tensor(spec: TensorSpec) -> messages.ModelMetadataResponse.TensorMetadata:
    return messages.ModelMetadataResponse.TensorMetadata(name=spec.name, datatype=spec.datatype, shape=spec.shape)
