"""The gate over gRPC, and unmodified clients of Triton with a key."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
import tritonclient.grpc

from runtime_clients import create_service
from scoring_runtime.access.gate import create_gate
from scoring_runtime.access.keys import hash_key
from scoring_runtime.protocols.grpc_server import GrpcLimits, start_grpc_server
from scoring_runtime.settings import Settings
from scoring_runtime.telemetry.metrics import Metrics
from tensor_models import TABLE_EXAMPLE, write_artifact

MakeSettings = Callable[..., Settings]
Serve = Callable[..., int]
KEY = {"authorization": "Bearer good"}


@pytest.fixture
def serve(make_settings: MakeSettings, tmp_path: Path) -> Iterator[Serve]:
    """Serve a model behind a gate; return the port."""
    started = []
    keys = tmp_path / "keys"
    keys.mkdir()
    (keys / "shop").write_text(hash_key("good"))
    (keys / "other").write_text(f"{hash_key('other')} models=another")

    def start(**values: Any) -> int:
        uri = write_artifact(tmp_path / "model", "Table", example=TABLE_EXAMPLE).as_uri()
        settings = make_settings(uri, **{"api_keys_dir": keys, **values})
        service = create_service(settings)
        limits = GrpcLimits(settings.max_body_bytes, settings.max_queue, create_gate(settings, "model"))
        started.append(start_grpc_server(0, service, Metrics(service.batcher), limits))
        return started[-1].port

    yield start
    for server in started:
        server.stop(0)


def infer(port: int, headers: dict[str, str] | None = None) -> Any:
    row = tritonclient.grpc.InferInput("features", [1, 4], "FP64")
    row.set_data_from_numpy(np.array([[1, 2, 3, 4.5]]))
    with tritonclient.grpc.InferenceServerClient(f"127.0.0.1:{port}") as client:
        return client.infer("model", [row], headers=headers)


def fail(port: int, headers: dict[str, str] | None = None) -> str:
    with pytest.raises(tritonclient.grpc.InferenceServerException) as raised:
        infer(port, headers)
    return str(raised.value.status())


@pytest.mark.parametrize("headers", [KEY, {"x-api-key": "good"}])
def test_tritons_client_scores_with_a_key(serve: Serve, headers: dict[str, str]) -> None:
    assert infer(serve(), headers).as_numpy("sum").tolist() == [10.5]


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        (None, "StatusCode.UNAUTHENTICATED"),
        ({"authorization": "Bearer bad"}, "StatusCode.UNAUTHENTICATED"),
        ({"x-api-key": "other"}, "StatusCode.PERMISSION_DENIED"),
    ],
)
def test_others_are_told_why_not(serve: Serve, headers: dict[str, str] | None, status: str) -> None:
    assert fail(serve(), headers) == status


def test_probes_need_no_key_and_metadata_does(serve: Serve) -> None:
    with tritonclient.grpc.InferenceServerClient(f"127.0.0.1:{serve()}") as client:
        assert client.is_server_live()
        assert client.is_server_ready()
        assert client.is_model_ready("model", headers=KEY)
        assert client.get_server_metadata(headers=KEY).name == "scoring-runtime"
        with pytest.raises(tritonclient.grpc.InferenceServerException, match="asks for a key"):
            client.get_model_metadata("model")


def test_client_that_asks_too_much_is_told_when_to_come_back(serve: Serve) -> None:
    port = serve(rate_per_client=0.01)
    infer(port, KEY)
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        ask = channel.unary_unary("/inference.GRPCInferenceService/ModelInfer")
        with pytest.raises(grpc.RpcError) as raised:
            ask(b"", metadata=(("x-api-key", "good"),), timeout=60)
    assert raised.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
    assert 0 < int(dict(raised.value.trailing_metadata())["retry-after"]) <= 100


def test_message_that_is_none_is_an_invalid_argument(serve: Serve) -> None:
    with grpc.insecure_channel(f"127.0.0.1:{serve()}") as channel:
        ask = channel.unary_unary("/inference.GRPCInferenceService/ModelInfer")
        for key, code in (("good", "INVALID_ARGUMENT"), ("bad", "UNAUTHENTICATED")):
            with pytest.raises(grpc.RpcError) as raised:
                ask(b"\xff\xff\xff", metadata=(("x-api-key", key),), timeout=60)
            assert raised.value.code().name == code
