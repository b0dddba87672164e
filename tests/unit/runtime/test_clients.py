"""Clients that nobody here wrote, unmodified, against the runtime as a process: Triton's over HTTP and gRPC, MLServer's types."""

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tritonclient.grpc
import tritonclient.http
from tritonclient.utils import InferenceServerException

from free_ports import find_free_port
from local_clusters import ROOT
from runtime_processes import Runtime
from tensor_models import DATATYPES, TABLE_EXAMPLE, write_artifact

SUPPORT = ROOT / "tests" / "support"
MLSERVER = ROOT / "build" / "mlserver" / "bin" / "python"
ROWS = np.array([[1, 2, 3, 4.5], [-1, -2, -3, -4]])

TRANSPORTS = {"http": tritonclient.http, "grpc": tritonclient.grpc}
Client = Any


class ServedModel:
    """A runtime process that serves one of the models of tensor_models over both transports."""

    def __init__(self, folder: Path, class_name: str, **fields: Any) -> None:
        artifact = write_artifact(folder / class_name, class_name, **fields)
        self.grpc_port = find_free_port()
        self.runtime = Runtime(
            {
                "PYTHONPATH": os.pathsep.join([str(SUPPORT), os.environ.get("PYTHONPATH", "")]),
                "SCORING_MODEL_URI": artifact.as_uri(),
                "SCORING_MODEL_NAME": "model",
                "SCORING_GRPC_PORT": str(self.grpc_port),
                "SCORING_WORK_DIR": str(folder / "work"),
                "SCORING_TERMINATION_LOG": str(folder / "termination-log"),
                "SCORING_DRAIN_SECONDS": "1",
            }
        )
        try:
            self.runtime.wait_for_log("ready")
            self.runtime.wait_for_server()
        except AssertionError:
            self.runtime.end()
            raise

    def open_client(self, transport: str) -> Client:
        ports = {"http": self.runtime.port, "grpc": self.grpc_port}
        return TRANSPORTS[transport].InferenceServerClient(f"127.0.0.1:{ports[transport]}")


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedModel]:
    served = ServedModel(tmp_path_factory.mktemp("table"), "Table", example=TABLE_EXAMPLE)
    yield served
    served.runtime.end()


@pytest.fixture(scope="module")
def mirror(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedModel]:
    served = ServedModel(tmp_path_factory.mktemp("mirror"), "Mirror")
    yield served
    served.runtime.end()


@pytest.fixture(scope="module")
def columns(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedModel]:
    served = ServedModel(tmp_path_factory.mktemp("columns"), "Columns")
    yield served
    served.runtime.end()


@pytest.fixture(params=list(TRANSPORTS))
def transport(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
def client(table: ServedModel, transport: str) -> Iterator[Client]:
    opened = table.open_client(transport)
    yield opened
    opened.close()


def make_input(transport: str, name: str, datatype: str, values: Any, **options: Any) -> Any:
    made = TRANSPORTS[transport].InferInput(name, list(values.shape), datatype)
    made.set_data_from_numpy(values, **options)
    return made


def test_tritons_client_finds_server_and_model_ready(client: Client) -> None:
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("model")
    assert client.is_model_ready("model", "1.2.3")


def test_tritons_http_client_reads_metadata_and_the_repository(table: ServedModel) -> None:
    client = table.open_client("http")
    assert client.get_server_metadata()["name"] == "scoring-runtime"
    assert client.get_model_metadata("model")["inputs"] == [{"name": "features", "datatype": "FP64", "shape": [-1, 4]}]
    assert [entry["state"] for entry in client.get_model_repository_index()] == ["READY"]
    with pytest.raises(InferenceServerException, match=r"change spec\.model"):
        client.load_model("model")
    client.close()


def test_tritons_grpc_client_reads_metadata(table: ServedModel) -> None:
    client = table.open_client("grpc")
    assert client.get_server_metadata(as_json=True)["name"] == "scoring-runtime"
    model = client.get_model_metadata("model", as_json=True)
    assert model["inputs"] == [{"name": "features", "datatype": "FP64", "shape": ["-1", "4"]}]
    client.close()


def test_tritons_client_infers_a_batch(client: Client, transport: str) -> None:
    result = client.infer("model", [make_input(transport, "features", "FP64", ROWS)], request_id="a-1")
    assert result.as_numpy("sum").tolist() == [10.5, -10]
    assert result.as_numpy("sign").tolist() == [b"positive", b"negative"]
    answer = result.get_response()
    assert (answer["id"] if transport == "http" else answer.id) == "a-1"


def test_tritons_client_asks_for_one_output_and_a_version(client: Client, transport: str) -> None:
    asked = [TRANSPORTS[transport].InferRequestedOutput("sum")]
    row = make_input(transport, "features", "FP64", ROWS)
    result = client.infer("model", [row], model_version="1.2.3", outputs=asked)
    assert result.as_numpy("sum").tolist() == [10.5, -10]
    assert result.as_numpy("sign") is None


@pytest.mark.parametrize("is_binary", [True, False])
def test_tritons_http_client_sends_and_gets_json_or_bytes(table: ServedModel, *, is_binary: bool) -> None:
    client = table.open_client("http")
    asked = [tritonclient.http.InferRequestedOutput(name, binary_data=is_binary) for name in ("sign", "sum")]
    row = make_input("http", "features", "FP32", ROWS.astype(np.float32), binary_data=is_binary)
    result = client.infer("model", [row], outputs=asked)
    assert result.as_numpy("sum").tolist() == [10.5, -10]
    assert list(result.as_numpy("sign")) == ([b"positive", b"negative"] if is_binary else ["positive", "negative"])
    client.close()


def test_tritons_client_gets_every_datatype_back(mirror: ServedModel, transport: str) -> None:
    client = mirror.open_client(transport)
    values: dict[str, Any] = {name: np.array([[0, 1], [1, 0]]).astype(kind) for name, kind in DATATYPES.items()}
    values["BYTES"] = np.array([["ä".encode(), b""], [b"b", b"c"]], dtype=object)
    inputs = [make_input(transport, name.lower(), name, tensor) for name, tensor in values.items()]
    result = client.infer("model", inputs)
    for name, tensor in values.items():
        answered = result.as_numpy(name)
        assert answered.dtype == tensor.dtype
        assert answered.tolist() == tensor.tolist()
    client.close()


@pytest.mark.parametrize(
    ("name", "model", "message"),
    [("features", "other", "There is no model 'other'"), ("other", "model", "There is no input 'other'")],
)
def test_tritons_client_raises_what_is_wrong(
    client: Client, transport: str, name: str, model: str, message: str
) -> None:
    with pytest.raises(InferenceServerException, match=message):
        client.infer(model, [make_input(transport, name, "FP64", ROWS)])


def test_tritons_http_client_is_told_that_compression_is_not_read(table: ServedModel) -> None:
    client = table.open_client("http")
    with pytest.raises(InferenceServerException, match="Content-Encoding 'gzip' is not read here"):
        client.infer("model", [make_input("http", "features", "FP64", ROWS)], request_compression_algorithm="gzip")
    client.close()


def test_grpc_calls_are_answered_until_the_process_has_drained(tmp_path: Path) -> None:
    served = ServedModel(tmp_path, "Table", example=TABLE_EXAMPLE)
    client = served.open_client("grpc")
    rows = [make_input("grpc", "features", "FP64", ROWS)]
    try:
        served.runtime.process.send_signal(signal.SIGTERM)
        served.runtime.wait_for(lambda: not client.is_server_ready())
        assert client.infer("model", rows).as_numpy("sum").tolist() == [10.5, -10]
        assert served.runtime.wait() == 0
    finally:
        client.close()
        served.runtime.end()


def ask_with_mlserver(table: ServedModel, columns: ServedModel) -> Any:
    ports = (table.runtime.port, table.grpc_port, columns.runtime.port)
    command = [str(MLSERVER), str(SUPPORT / "mlserver_client.py"), *map(str, ports)]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.skipif(
    not MLSERVER.exists(), reason="MLServer has an environment of its own: make build/mlserver/installed"
)
def test_mlservers_types_and_codecs_encode_requests_and_decode_answers(
    table: ServedModel, columns: ServedModel
) -> None:
    assert ask_with_mlserver(table, columns) == {
        "metadata": [["features", "FP64", [-1, 4]]],
        "numpy": [10.5, -10],
        "numpy over gRPC": [10.5, -10],
        "strings": ["positive", "negative"],
        "pandas": {"known": [True, False], "months": [24, 36]},
        "base64": [True],
        "error": "There is no input 'other'. The model takes: 'features'.",
    }
