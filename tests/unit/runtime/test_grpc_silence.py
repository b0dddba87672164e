"""Calls over gRPC that send their headers and then nothing: they are cut, and nobody else waits for them."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import pytest

from runtime_clients import create_service
from scoring_runtime.access.gate import create_gate
from scoring_runtime.access.keys import hash_key
from scoring_runtime.bodies import PRESSED_SECONDS
from scoring_runtime.errors import BodyTimeoutError
from scoring_runtime.protocols import open_inference_pb2 as messages
from scoring_runtime.protocols.grpc_messages import MessageReader
from scoring_runtime.protocols.grpc_server import GrpcLimits, GrpcServer, start_grpc_server
from scoring_runtime.settings import Settings
from scoring_runtime.telemetry.metrics import Metrics
from tensor_models import TABLE_EXAMPLE, write_artifact

SERVICE = "/inference.GRPCInferenceService"
KEY = (("x-api-key", "good"),)
MAX_QUEUE = 4
MANY = 100
LONG_SECONDS = 60.0


class Endpoint:
    """A server, and one connection to it for those who ask and another for those who say nothing."""

    def __init__(self, settings: Settings, seconds: float) -> None:
        service = create_service(settings)
        self.metrics = Metrics(service.batcher)
        limits = GrpcLimits(settings.max_body_bytes, settings.max_queue, create_gate(settings, "model"), seconds)
        self.server: GrpcServer = start_grpc_server(0, service, self.metrics, limits)
        self._channel, self._silent = (grpc.insecure_channel(f"127.0.0.1:{self.server.port}") for _ in range(2))
        self.ended = threading.Event()

    def is_ready(self) -> bool:
        ask = self._channel.unary_unary(f"{SERVICE}/ServerReady", None, messages.ServerReadyResponse.FromString)
        return bool(ask(b"", timeout=10).ready)

    def infer(self) -> list[float]:
        row = messages.ModelInferRequest.InferInputTensor(name="features", datatype="FP64", shape=[1, 4])
        row.contents.fp64_contents.extend([1, 2, 3, 4.5])
        request = messages.ModelInferRequest(model_name="model", inputs=[row]).SerializeToString()
        ask = self._channel.unary_unary(f"{SERVICE}/ModelInfer", None, messages.ModelInferResponse.FromString)
        return list(ask(request, metadata=KEY, timeout=10).outputs[0].contents.fp64_contents)

    def say_nothing(self, count: int, method: str = "ModelInfer", metadata: Any = ()) -> list[Any]:
        """Start calls that send their headers alone, as anybody can."""
        # Only a call that may have many messages lets a client begin without one; on the wire there is no difference.
        call = self._silent.stream_unary(f"{SERVICE}/{method}")
        return [call.future(self._wait(), metadata=metadata) for _ in range(count)]

    def _wait(self) -> Iterator[bytes]:
        self.ended.wait()
        yield from ()

    def end(self) -> None:
        self.ended.set()
        self._silent.close()
        self._channel.close()
        self.server.stop(0)


Serve = Callable[..., Endpoint]


@pytest.fixture
def serve(make_settings: Callable[..., Settings], tmp_path: Path) -> Iterator[Serve]:
    started = []

    def start(seconds: float = LONG_SECONDS, **values: Any) -> Endpoint:
        uri = write_artifact(tmp_path / "model", "Table", example=TABLE_EXAMPLE).as_uri()
        started.append(Endpoint(make_settings(uri, max_queue=MAX_QUEUE, **values), seconds))
        return started[-1]

    yield start
    for endpoint in started:
        endpoint.end()


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    folder = tmp_path / "keys"
    folder.mkdir()
    (folder / "shop").write_text(hash_key("good"))
    return folder


def wait_until(is_so: Callable[[], bool]) -> None:
    pause = threading.Event()
    for _ in range(1000):
        if is_so():
            return
        pause.wait(0.01)
    raise AssertionError("it did not come about within 10 s")


def read_codes(calls: list[Any]) -> list[grpc.StatusCode]:
    return [call.code() for call in calls if call.done()]


def wait_for_codes(calls: list[Any]) -> list[grpc.StatusCode]:
    wait_until(lambda: all(call.done() for call in calls))
    return read_codes(calls)


def test_silent_calls_leave_probes_alone(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scoring_runtime.bodies.PRESSED_SECONDS", LONG_SECONDS)
    endpoint = serve()
    calls = endpoint.say_nothing(MANY)
    wait_until(lambda: len(read_codes(calls)) >= MANY - MAX_QUEUE - 1)
    assert all(endpoint.is_ready() for _ in range(100))
    # Those beyond the places are refused at once, as over HTTP.
    assert read_codes(calls) == [grpc.StatusCode.UNAVAILABLE] * (MANY - MAX_QUEUE - 1)
    assert all(("retry-after", "1") in call.trailing_metadata() for call in calls if call.done())


def test_silent_calls_without_a_key_are_refused_by_their_headers(serve: Serve, keys: Path) -> None:
    endpoint = serve(api_keys_dir=keys)
    calls = endpoint.say_nothing(MANY)
    assert wait_for_codes(calls) == [grpc.StatusCode.UNAUTHENTICATED] * MANY
    assert endpoint.is_ready()
    assert endpoint.infer() == [10.5]


def test_silent_probes_are_answered(serve: Serve) -> None:
    endpoint = serve()
    answers = [call.result(10) for call in endpoint.say_nothing(MANY, "ServerReady")]
    assert all(messages.ServerReadyResponse.FromString(answer).ready for answer in answers)


@pytest.mark.parametrize("method", ["ModelInfer", "ModelMetadata"])
def test_silent_calls_are_cut_and_their_places_are_free_again(serve: Serve, method: str) -> None:
    endpoint = serve(0.5)
    calls = endpoint.say_nothing(MAX_QUEUE + 1, method)
    assert wait_for_codes(calls) == [grpc.StatusCode.CANCELLED] * len(calls)
    assert endpoint.infer() == [10.5]


def test_cut_calls_are_counted(serve: Serve) -> None:
    endpoint = serve(0.1)
    wait_for_codes(endpoint.say_nothing(1))
    read = endpoint.metrics.registry.get_sample_value
    labels = {"code": "408", "protocol": "open-inference-grpc", "format": "(none)"}
    wait_until(lambda: read("scoring_requests_total", labels) == 1)


def test_client_that_leaves_before_its_message_came_gives_its_place_back(serve: Serve) -> None:
    endpoint = serve(max_requests_per_client=1)
    calls: list[Any] = []

    def is_place_held() -> bool:
        # The one that asks whether it is may have the place itself, and the other is refused.
        if not calls or calls[-1].done():
            calls.extend(endpoint.say_nothing(1))
        return is_refused(endpoint)

    wait_until(is_place_held)
    calls[-1].cancel()
    wait_until(lambda: not is_refused(endpoint))


def is_refused(endpoint: Endpoint) -> bool:
    try:
        endpoint.infer()
    except grpc.RpcError as error:
        return bool(error.code() == grpc.StatusCode.RESOURCE_EXHAUSTED)
    return False


def test_call_that_ends_without_a_message_is_told_so(serve: Serve) -> None:
    endpoint = serve()
    call = endpoint.say_nothing(1)[0]
    endpoint.ended.set()
    assert wait_for_codes([call]) == [grpc.StatusCode.INVALID_ARGUMENT]
    assert "No message came" in call.details()


class SilentCall:
    """A call without a message, as grpcio hands it to a method: both the messages and the context."""

    def __init__(self) -> None:
        self._cancelled = threading.Event()

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        self._cancelled.wait()
        raise grpc.RpcError

    def cancel(self) -> None:
        self._cancelled.set()


@pytest.mark.parametrize(("count", "seconds"), [(2, LONG_SECONDS), (3, PRESSED_SECONDS)])
def test_messages_have_less_time_while_they_take_more_than_half_of_the_places(count: int, seconds: float) -> None:
    clock = [0.0]
    reader = MessageReader(LONG_SECONDS, 4, lambda: clock[0])
    with ThreadPoolExecutor(count) as pool:
        calls = [SilentCall() for _ in range(count)]
        readings = [pool.submit(reader.read, call, call) for call in calls]
        wait_until(lambda: reader.count_waiting() == count)
        clock[0] = seconds
        reader.cut_late()
        assert not any(reading.done() for reading in readings)
        clock[0] += 0.1
        reader.cut_late()
        for reading in readings:
            with pytest.raises(BodyTimeoutError):
                reading.result(10)
    assert reader.count_waiting() == 0
