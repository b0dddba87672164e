"""The Open Inference Protocol over gRPC, on a port of its own. Imported only when that port is set: grpcio is optional.

A call passes the gate by its headers, then its message is read (grpc_messages.py), then it takes its place in the queue, with
its tensors still packed. Each of these lets in a bounded number, so that threads are left for those who are refused and for probes.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import grpc
from google.protobuf.message import Message

from scoring_runtime.access.gate import Gate
from scoring_runtime.errors import InvalidSettingsError, NotReadyError
from scoring_runtime.protocols import open_inference_pb2 as messages
from scoring_runtime.protocols.grpc_calls import Method, Records
from scoring_runtime.protocols.grpc_messages import MessageReader, UnreadMessages
from scoring_runtime.protocols.grpc_tensors import read_inputs, write_answer
from scoring_runtime.protocols.model_interface import ModelDirectory
from scoring_runtime.service import ScoringService
from scoring_runtime.telemetry.metrics import Metrics
from scoring_runtime.telemetry.request_log import RequestLog
from scoring_runtime.tensors import TensorSpec

SERVICE = "inference.GRPCInferenceService"
# Beside those that wait for a message or for the model: threads that refuse requests and answer probes.
SPARE_THREADS = 8
# Calls that may wait for one of those at once. None of them is held by anybody, so that this is a matter of milliseconds.
MAX_BURST = 1000
# After that long a connection is ended, and clients make another: one that does nothing, or never reads its answers, does not stay.
CONNECTION_SECONDS = 300.0
# For the calls that are on a connection then, beside the time for their messages.
FINISH_SECONDS = 300.0


@dataclass(frozen=True)
class GrpcLimits:
    """What one server takes: messages of at most so many bytes, so many requests at once, from whom the gate lets in.

    `message_seconds` is how long a message may be on its way.
    """

    max_message_bytes: int
    max_queue: int
    gate: Gate | None = None
    message_seconds: float = 30.0


class GrpcServer:
    """A running server."""

    def __init__(self, server: grpc.Server, reader: MessageReader, port: int) -> None:
        self._server = server
        self._reader = reader
        self.port = port

    def stop(self, grace_seconds: float) -> None:
        """Take no more requests, finish those that run, and return; what runs longer than the grace is cut."""
        self._server.stop(grace_seconds).wait()
        self._reader.end()


def start_grpc_server(
    port: int,
    service: ScoringService,
    metrics: Metrics,
    limits: GrpcLimits,
    log: RequestLog | None = None,
    interceptors: Sequence[grpc.ServerInterceptor] = (),
) -> GrpcServer:
    """Serve on this port (0: any free one) from now on. Raises InvalidSettingsError when it cannot be used."""
    # As many messages may be on their way as requests wait for the model and are scored.
    places = limits.max_queue + 1
    threads = 2 * places + SPARE_THREADS
    pool = ThreadPoolExecutor(threads, thread_name_prefix="grpc")
    # What comes beyond that, grpcio refuses with RESOURCE_EXHAUSTED.
    server = grpc.server(
        pool,
        interceptors=(UnreadMessages(), *interceptors),
        options=_list_options(limits),
        maximum_concurrent_rpcs=threads + MAX_BURST,
    )
    inference = InferenceService(service, ModelDirectory(service))
    reader = MessageReader(limits.message_seconds, places)
    methods = _list_methods(inference, reader, limits.gate, Records(metrics, log))
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, methods),))
    try:
        bound = server.add_insecure_port(f"[::]:{port}")
    except RuntimeError as error:
        raise InvalidSettingsError(f"SCORING_GRPC_PORT {port} cannot be used: choose another.") from error
    server.start()
    reader.watch()
    return GrpcServer(server, reader, bound)


def _list_options(limits: GrpcLimits) -> list[tuple[str, int]]:
    return [
        ("grpc.max_receive_message_length", limits.max_message_bytes),
        ("grpc.max_send_message_length", -1),
        # Else another process could share the port unseen.
        ("grpc.so_reuseport", 0),
        ("grpc.max_connection_age_ms", int(CONNECTION_SECONDS * 1000)),
        ("grpc.max_connection_age_grace_ms", int((FINISH_SECONDS + limits.message_seconds) * 1000)),
    ]


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


def _list_methods(
    inference: InferenceService, reader: MessageReader, gate: Gate | None, records: Records
) -> dict[str, grpc.RpcMethodHandler]:
    """Return the handlers by name. Probes ask without a key, and are answered whether their message has come or not."""
    probes: dict[str, tuple[Callable[[Any], Message], type[Message]]] = {
        "ServerLive": (inference.is_live, messages.ServerLiveRequest),
        "ServerReady": (inference.is_ready, messages.ServerReadyRequest),
    }
    questions: dict[str, tuple[Callable[[Any], Message], type[Message]]] = {
        "ModelReady": (inference.is_model_ready, messages.ModelReadyRequest),
        "ServerMetadata": (inference.describe_server, messages.ServerMetadataRequest),
        "ModelMetadata": (inference.describe_model, messages.ModelMetadataRequest),
    }
    methods = {
        **{name: Method(*method) for name, method in probes.items()},
        **{name: Method(*method, reader, gate) for name, method in questions.items()},
        "ModelInfer": Method(inference.infer, messages.ModelInferRequest, reader, gate, records),
    }
    return {name: method.make_handler() for name, method in methods.items()}


def _describe_tensor(spec: TensorSpec) -> messages.ModelMetadataResponse.TensorMetadata:
    return messages.ModelMetadataResponse.TensorMetadata(name=spec.name, datatype=spec.datatype, shape=spec.shape)
