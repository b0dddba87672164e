"""The Open Inference Protocol over gRPC, on a port of its own. Imported only when that port is set: grpcio is optional.

grpcio reads a message before a thread takes it, so a request takes its place in the queue with its tensors still packed.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.metadata import version
from operator import methodcaller
from time import perf_counter, time
from typing import Any, NamedTuple

import grpc
import structlog
from google.protobuf.message import Message

from scoring_runtime.errors import (
    InvalidSettingsError,
    ModelNotFoundError,
    NotReadyError,
    OverloadedError,
    RequestError,
    ScoringFailedError,
)
from scoring_runtime.metrics import Metrics
from scoring_runtime.protocols import find_status, get_retry_after
from scoring_runtime.protocols import open_inference_pb2 as messages
from scoring_runtime.protocols.grpc_tensors import read_inputs, write_answer
from scoring_runtime.protocols.model_interface import ModelDirectory, ModelInterface
from scoring_runtime.request_ids import HEADER, TRACE_HEADER, choose_request_id, find_trace_id
from scoring_runtime.request_log import RequestLog, RequestRecord
from scoring_runtime.service import ScoringService
from scoring_runtime.tensors import TensorSpec

SERVICE = "inference.GRPCInferenceService"
PROTOCOL = "open-inference-grpc"
REQUEST_ID = HEADER.lower()
RETRY_AFTER = "retry-after"
# Beside those that wait for the model: threads that refuse requests and answer probes.
SPARE_THREADS = 8

_OK = 200
_TOO_LARGE = 413
_CODES: dict[type[RequestError], grpc.StatusCode] = {
    ModelNotFoundError: grpc.StatusCode.NOT_FOUND,
    NotReadyError: grpc.StatusCode.UNAVAILABLE,
    OverloadedError: grpc.StatusCode.UNAVAILABLE,
    ScoringFailedError: grpc.StatusCode.INTERNAL,
}

_logger = structlog.stdlib.get_logger(__name__)


@dataclass(frozen=True)
class GrpcLimits:
    """What one server takes: messages of at most so many bytes, and so many requests at once."""

    max_message_bytes: int
    max_queue: int


class Received(NamedTuple):
    """A message, and how many bytes it had on the way."""

    message: Any
    size_bytes: int


class GrpcServer:
    """A running server."""

    def __init__(self, server: grpc.Server, port: int) -> None:
        self._server = server
        self.port = port

    def stop(self, grace_seconds: float) -> None:
        """Take no more requests, finish those that run, and return; what runs longer than the grace is cut."""
        self._server.stop(grace_seconds).wait()


def start_grpc_server(
    port: int, service: ScoringService, metrics: Metrics, limits: GrpcLimits, log: RequestLog | None = None
) -> GrpcServer:
    """Serve on this port (0: any free one) from now on, and tell `log` of each scoring request.

    Raises InvalidSettingsError when the port cannot be used.
    """
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
    inference = InferenceService(service, ModelDirectory(service), metrics)
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, _list_methods(inference, log)),))
    try:
        bound = server.add_insecure_port(f"[::]:{port}")
    except RuntimeError as error:
        raise InvalidSettingsError(f"SCORING_GRPC_PORT {port} cannot be used: choose another.") from error
    server.start()
    return GrpcServer(server, bound)


class InferenceService:
    """The methods of GRPCInferenceService. Each takes its message and returns its answer, or raises RequestError."""

    def __init__(self, service: ScoringService, directory: ModelDirectory, metrics: Metrics) -> None:
        self._service = service
        self._directory = directory
        self._metrics = metrics

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

    def infer(self, request: messages.ModelInferRequest, request_id: str = "") -> messages.ModelInferResponse:
        """Score the tensors of a request; count it and its time."""
        started, status = perf_counter(), _OK
        try:
            return self._infer(self._directory.find(request.model_name, request.model_version), request)
        except RequestError as error:
            status = find_status(error)
            raise
        except Exception as error:
            _logger.exception("request failed", request_id=request_id)
            failed = ScoringFailedError("The model failed on this request: the server's log says why.")
            status = find_status(failed)
            raise failed from error
        finally:
            self._metrics.record_request(status, perf_counter() - started)

    def _infer(self, interface: ModelInterface, request: messages.ModelInferRequest) -> messages.ModelInferResponse:
        task = interface.task
        outputs = self._service.score(task, lambda: task.read_tensors(read_inputs(interface, request)))
        return write_answer(interface, request, task.write_tensors(outputs))

    def _is_ready(self) -> bool:
        try:
            self._service.slot.check_ready()
        except NotReadyError:
            return False
        return True


def _list_methods(inference: InferenceService, log: RequestLog | None) -> dict[str, grpc.RpcMethodHandler]:
    methods: dict[str, tuple[Callable[[Any], Message], type[Message]]] = {
        "ServerLive": (inference.is_live, messages.ServerLiveRequest),
        "ServerReady": (inference.is_ready, messages.ServerReadyRequest),
        "ModelReady": (inference.is_model_ready, messages.ModelReadyRequest),
        "ServerMetadata": (inference.describe_server, messages.ServerMetadataRequest),
        "ModelMetadata": (inference.describe_model, messages.ModelMetadataRequest),
    }
    handlers = {name: _handle(answer, request) for name, (answer, request) in methods.items()}
    return {
        **handlers,
        "ModelInfer": grpc.unary_unary_rpc_method_handler(_Scoring(inference, log).call, _receive, None),
    }


def _handle(answer: Callable[[Any], Message], request: type[Message]) -> grpc.RpcMethodHandler:
    def call(message: Message, context: grpc.ServicerContext) -> Message:
        try:
            return answer(message)
        except RequestError as error:
            _abort(context, error)
            raise

    return grpc.unary_unary_rpc_method_handler(call, request.FromString, methodcaller("SerializeToString"))


class _Scoring:
    """ModelInfer: as the other methods, with a request id and a line in the log."""

    def __init__(self, inference: InferenceService, log: RequestLog | None) -> None:
        self._inference = inference
        self._log = log

    def call(self, received: Received, context: grpc.ServicerContext) -> bytes:
        """Score, and return the packed answer."""
        started, metadata = perf_counter(), dict(context.invocation_metadata())
        request_id = choose_request_id(metadata.get(REQUEST_ID))
        error: RequestError | None = None
        answer = b""
        try:
            answer = self._inference.infer(received.message, request_id).SerializeToString()
        except RequestError as problem:
            error = problem
        seconds = perf_counter() - started
        if self._log is not None:
            status, code = (find_status(error), error.code) if error else (_OK, None)
            sizes = received.size_bytes, len(answer)
            trace_id = find_trace_id(metadata.get(TRACE_HEADER))
            self._log.add(RequestRecord(time(), request_id, PROTOCOL, status, seconds, *sizes, code, trace_id))
        if error is not None:
            _abort(context, error, ((REQUEST_ID, request_id),))
            raise error
        context.set_trailing_metadata(((REQUEST_ID, request_id),))
        return answer


def _receive(data: bytes) -> Received:
    return Received(messages.ModelInferRequest.FromString(data), len(data))


def _abort(context: grpc.ServicerContext, error: RequestError, metadata: tuple[tuple[str, str], ...] = ()) -> None:
    """End the call with the error: grpcio raises an exception of its own for that."""
    seconds = get_retry_after(error)
    if seconds is not None:
        metadata = (*metadata, (RETRY_AFTER, str(seconds)))
    context.set_trailing_metadata(metadata)
    context.abort(_find_code(error), error.message)


def _find_code(error: RequestError) -> grpc.StatusCode:
    if find_status(error) == _TOO_LARGE:
        return grpc.StatusCode.RESOURCE_EXHAUSTED
    return _CODES.get(type(error), grpc.StatusCode.INVALID_ARGUMENT)


def _describe_tensor(spec: TensorSpec) -> messages.ModelMetadataResponse.TensorMetadata:
    return messages.ModelMetadataResponse.TensorMetadata(name=spec.name, datatype=spec.datatype, shape=spec.shape)
