"""The Open Inference Protocol over gRPC, asked through its own messages. test_clients.py asks as others' clients do."""

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
import tritonclient.grpc.service_pb2 as others

from local_clusters import ROOT
from runtime_clients import create_service
from scoring_runtime.errors import InvalidSettingsError
from scoring_runtime.protocols import open_inference_pb2 as messages
from scoring_runtime.protocols.grpc_server import GrpcLimits, GrpcServer, start_grpc_server
from scoring_runtime.settings import Settings
from scoring_runtime.telemetry.metrics import Metrics
from tensor_models import DATATYPES, TABLE_EXAMPLE, Gate, write_artifact

GENERATED = ROOT / "serving_runtime" / "src" / "scoring_runtime" / "protocols"
Message = Any
MakeSettings = Callable[..., Settings]


class Client:
    """Calls methods of GRPCInferenceService by name."""

    def __init__(self, port: int) -> None:
        self.channel = grpc.insecure_channel(f"127.0.0.1:{port}")

    def call(self, method: str, **fields: Any) -> Message:
        request, answer = getattr(messages, f"{method}Request"), getattr(messages, f"{method}Response")
        path = f"/inference.GRPCInferenceService/{method}"
        ask = self.channel.unary_unary(path, request.SerializeToString, answer.FromString)
        return ask(request(**fields), timeout=60)

    def infer(self, *inputs: Message, **fields: Any) -> Message:
        return self.call("ModelInfer", **{"model_name": "model", "inputs": inputs, **fields})

    def fail(self, method: str, **fields: Any) -> grpc.RpcError:
        with pytest.raises(grpc.RpcError) as raised:
            self.call(method, **fields)
        return raised.value

    def fail_to_infer(self, *inputs: Message, **fields: Any) -> grpc.RpcError:
        return self.fail("ModelInfer", **{"model_name": "model", "inputs": inputs, **fields})


class Served:
    """A served model with its server, its metrics and a client."""

    def __init__(self, settings: Settings, *, is_loaded: bool, is_draining: bool) -> None:
        self.service = create_service(settings, is_loaded=is_loaded, is_draining=is_draining)
        self.metrics = Metrics(self.service.batcher)
        limits = GrpcLimits(settings.max_body_bytes, settings.max_queue)
        self.server: GrpcServer = start_grpc_server(0, self.service, self.metrics, limits)
        self.client = Client(self.server.port)

    def end(self) -> None:
        self.client.channel.close()
        self.server.stop(0)


Serve = Callable[..., Served]


@pytest.fixture
def serve(make_settings: MakeSettings, tmp_path: Path) -> Iterator[Serve]:
    started: list[Served] = []

    def start(class_name: str, *, is_loaded: bool = True, is_draining: bool = False, **values: Any) -> Served:
        fields = {"example": TABLE_EXAMPLE} if class_name == "Table" else {}
        settings = make_settings(write_artifact(tmp_path / class_name, class_name, **fields).as_uri(), **values)
        started.append(Served(settings, is_loaded=is_loaded, is_draining=is_draining))
        return started[-1]

    yield start
    for served in started:
        served.end()


@pytest.fixture
def table(serve: Serve) -> Client:
    return serve("Table").client


def make_input(name: str, datatype: str, *shape: int, **contents: Any) -> Message:
    part = messages.ModelInferRequest.InferInputTensor(name=name, datatype=datatype, shape=shape)
    for field, values in contents.items():
        getattr(part.contents, field).extend(values)
    return part


ROW = make_input("features", "FP64", 1, 4, fp64_contents=[1, 2, 3, 4.5])
RAW_ROW = make_input("features", "FP64", 1, 4)
TEXT = make_input("text", "BYTES", 1, bytes_contents=[b"a"])


def test_typed_contents_are_answered_by_typed_contents(table: Client) -> None:
    answer = table.infer(ROW, id="a-1")
    assert (answer.model_name, answer.model_version, answer.id) == ("model", "1.2.3", "a-1")
    assert [(output.name, output.datatype, list(output.shape)) for output in answer.outputs] == [
        ("sum", "FP64", [1]),
        ("sign", "BYTES", [1]),
    ]
    assert list(answer.outputs[0].contents.fp64_contents) == [10.5]
    assert list(answer.outputs[1].contents.bytes_contents) == [b"positive"]
    assert not answer.raw_output_contents


def test_raw_contents_are_answered_by_raw_contents(table: Client) -> None:
    answer = table.infer(RAW_ROW, raw_input_contents=[np.array([1, 2, 3, 4.5]).tobytes()], model_version="1.2.3")
    assert list(answer.raw_output_contents) == [np.array([10.5]).tobytes(), b"\x08\x00\x00\x00positive"]
    assert not answer.outputs[0].HasField("contents")


def test_outputs_are_those_asked_for(table: Client) -> None:
    asked = [messages.ModelInferRequest.InferRequestedOutputTensor(name="sign")]
    assert [output.name for output in table.infer(ROW, outputs=asked).outputs] == ["sign"]

    asked[0].name = "total"
    error = table.fail_to_infer(ROW, outputs=asked)
    assert error.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert error.details() == "There is no output 'total'. The model gives: 'sum', 'sign'."


@pytest.mark.parametrize("class_name", ["Table", "Upper"])
def test_an_output_that_is_asked_for_twice_is_refused(serve: Serve, class_name: str) -> None:
    # A short request could ask for an answer of any length; Upper does not tell its outputs beforehand.
    part, name = (ROW, "sum") if class_name == "Table" else (TEXT, "upper")
    asked = [messages.ModelInferRequest.InferRequestedOutputTensor(name=name)] * 2
    error = serve(class_name).client.fail_to_infer(part, outputs=asked)
    assert error.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert error.details() == f"Output '{name}' is asked for twice: name each once."


@pytest.mark.parametrize("character", ["x", "%", "😀"])
def test_a_message_that_quotes_a_long_input_reaches_the_client(table: Client, character: str) -> None:
    # Metadata of more than 16 KiB are refused by the client itself, and each byte that is not plain ASCII takes three.
    error = table.fail_to_infer(make_input(character * 100_000, "FP64", 1, 4))
    assert error.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert error.details().startswith(f"There is no input '{character}")
    assert error.details().endswith("The model takes: 'features'.")


def test_every_datatype_comes_back_raw(serve: Serve) -> None:
    client = serve("Mirror").client
    inputs = [make_input(name.lower(), name, 1, 2) for name in DATATYPES]
    texts = b"\x02\x00\x00\x00\xc3\xa4\x00\x00\x00\x00"
    raw = [texts if name == "BYTES" else np.array([[0, 1]]).astype(kind).tobytes() for name, kind in DATATYPES.items()]
    answer = client.infer(*inputs, raw_input_contents=raw)
    assert [output.datatype for output in answer.outputs] == list(DATATYPES)
    assert list(answer.raw_output_contents) == raw


FIELDS = [
    ("BOOL", "bool_contents", [True, False]),
    ("INT8", "int_contents", [-128, 127]),
    ("INT16", "int_contents", [-1, 2**15 - 1]),
    ("INT32", "int_contents", [-1, 2**31 - 1]),
    ("INT64", "int64_contents", [-1, 2**63 - 1]),
    ("UINT8", "uint_contents", [0, 255]),
    ("UINT16", "uint_contents", [0, 2**16 - 1]),
    ("UINT32", "uint_contents", [0, 2**32 - 1]),
    ("UINT64", "uint64_contents", [0, 2**64 - 1]),
    ("FP32", "fp32_contents", [0.5, 1]),
    ("FP64", "fp64_contents", [0.1, 1]),
    ("BYTES", "bytes_contents", ["ä".encode(), b""]),
]


def test_every_datatype_but_fp16_comes_back_in_its_field(
    serve: Serve, make_settings: MakeSettings, tmp_path: Path
) -> None:
    # FP16 has no field: the model is one without it.
    signature = {
        part: [{"name": change(name), "datatype": name, "shape": [-1, 2]} for name, _, _ in FIELDS]
        for part, change in (("inputs", str.lower), ("outputs", str))
    }
    folder = write_artifact(tmp_path / "fields", "Mirror", signature=signature)
    served = Served(make_settings(folder.as_uri()), is_loaded=True, is_draining=False)
    try:
        inputs = [make_input(name.lower(), name, 1, 2, **{field: values}) for name, field, values in FIELDS]
        outputs = served.client.infer(*inputs).outputs
        assert {
            output.name: list(getattr(output.contents, field))
            for output, (_, field, _) in zip(outputs, FIELDS, strict=True)
        } == {name: values for name, _, values in FIELDS}
    finally:
        served.end()


@pytest.mark.parametrize(
    ("part", "raw", "message"),
    [
        (make_input("other", "FP64", 1, 4), [], "There is no input 'other'. The model takes: 'features'."),
        (make_input("features", "BYTES", 1, 4), [], "is FP64, not 'BYTES'"),
        (make_input("features", "FP16", 1, 4), [], "FP16, which has no contents"),
        (make_input("features", "FP64", 4), [], "has the shape [4]; the model takes [-1, 4]"),
        (make_input("features", "FP64", -1, 4), [], "shape is [-1, 4]"),
        (make_input("features", "FP64"), [], "shape is []"),
        (make_input("features", "FP64", 0, 4), [], "is empty"),
        (make_input("features", "FP64", 2**62, 4, fp64_contents=[1]), [], f"takes {2**64} values"),
        (
            make_input("features", "FP64", 1, 4, fp64_contents=[1]),
            [],
            "takes 4 values in contents.fp64_contents, and 1 ",
        ),
        (make_input("features", "FP64", 1, 4, fp32_contents=[1]), [], "and contents.fp32_contents came"),
        (make_input("features", "INT8", 1, 4, int_contents=[1, 2, 3, 400]), [], "beyond the range of INT8"),
        (RAW_ROW, [bytes(31)], "takes 32 bytes, and 31 came"),
        (RAW_ROW, [bytes(32), bytes(32)], "2 entries for 1 inputs"),
        (ROW, [bytes(32)], "both contents and raw_input_contents"),
    ],
)
def test_a_wrong_input_is_told_by_name(table: Client, part: Message, raw: list[bytes], message: str) -> None:
    error = table.fail_to_infer(part, raw_input_contents=raw)
    assert error.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert message in error.details()


def test_missing_and_doubled_inputs_are_told(table: Client) -> None:
    assert "lacks the input 'features'" in table.fail_to_infer().details()
    assert "is there twice" in table.fail_to_infer(ROW, ROW).details()


@pytest.mark.parametrize("fields", [{"model_name": "other"}, {"model_version": "9"}, {"model_name": ""}])
def test_another_model_is_not_found(table: Client, fields: dict[str, str]) -> None:
    error = table.fail_to_infer(ROW, **fields)
    assert error.code() == grpc.StatusCode.NOT_FOUND
    assert "is served" in error.details()


def test_a_failing_model_is_an_internal_error_without_its_internals(table: Client) -> None:
    error = table.fail_to_infer(make_input("features", "FP64", 1, 4, fp64_contents=[0, 0, 0, 0]))
    assert error.code() == grpc.StatusCode.INTERNAL
    assert "secret" not in error.details()


def test_too_large_messages_are_refused(serve: Serve) -> None:
    client = serve("Table", max_body_bytes=1000).client
    error = client.fail_to_infer(RAW_ROW, raw_input_contents=[bytes(1000)])
    assert error.code() == grpc.StatusCode.RESOURCE_EXHAUSTED


def test_a_model_that_is_being_loaded_is_unavailable_and_not_ready(serve: Serve) -> None:
    client = serve("Table", is_loaded=False).client
    error = client.fail_to_infer(ROW)
    assert error.code() == grpc.StatusCode.UNAVAILABLE
    assert ("retry-after", "1") in error.trailing_metadata()
    assert client.call("ServerLive").live
    assert not client.call("ServerReady").ready
    assert not client.call("ModelReady", name="model").ready


def test_readiness_ends_with_draining_and_scoring_goes_on(serve: Serve) -> None:
    client = serve("Table", is_draining=True).client
    assert not client.call("ServerReady").ready
    assert client.infer(ROW).outputs


def test_requests_beyond_the_queue_are_refused_while_probes_are_answered(serve: Serve) -> None:
    served = serve("Gate", max_queue=1)
    value = make_input("value", "FP64", 1, fp64_contents=[1])
    with ThreadPoolExecutor(2) as pool:
        Gate.close()
        try:
            inside = [pool.submit(served.client.infer, value) for _ in range(2)]
            while served.service.batcher.count_waiting() < 1:
                threading.Event().wait(0.001)
            error = served.client.fail_to_infer(value)
            assert served.client.call("ServerReady").ready
        finally:
            Gate.open()
        assert all(answer.result().outputs for answer in inside)
    assert error.code() == grpc.StatusCode.UNAVAILABLE
    assert ("retry-after", "1") in error.trailing_metadata()


def test_stopping_finishes_what_runs_and_takes_no_more(serve: Serve) -> None:
    served = serve("Gate")
    value = make_input("value", "FP64", 1, fp64_contents=[1])
    with ThreadPoolExecutor(2) as pool:
        Gate.close()
        try:
            running = pool.submit(served.client.infer, value)
            Gate.wait_for_visitor()
            stopping = pool.submit(served.server.stop, 60)
            error: grpc.RpcError | None = None
            while error is None:
                error = try_to_connect(served.server.port)
        finally:
            Gate.open()
        assert running.result().outputs
        stopping.result()
    # CANCELLED when the connection was made just before.
    assert error.code() in {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED}


def try_to_connect(port: int) -> grpc.RpcError | None:
    client = Client(port)
    try:
        client.call("ServerLive")
    except grpc.RpcError as error:
        return error
    finally:
        client.channel.close()
    return None


def test_metadata_tells_server_and_model(table: Client) -> None:
    assert table.call("ServerMetadata").name == "scoring-runtime"
    assert table.call("ModelReady", name="model", version="1.2.3").ready
    model = table.call("ModelMetadata", name="model")
    assert (model.name, list(model.versions), model.platform) == ("model", ["1.2.3"], "python")
    assert [(tensor.name, tensor.datatype, list(tensor.shape)) for tensor in (*model.inputs, *model.outputs)] == [
        ("features", "FP64", [-1, 4]),
        ("sum", "FP64", [-1]),
        ("sign", "BYTES", [-1]),
    ]


@pytest.mark.parametrize("method", ["ModelReady", "ModelMetadata"])
def test_questions_about_another_model_are_not_found(table: Client, method: str) -> None:
    assert table.fail(method, name="other").code() == grpc.StatusCode.NOT_FOUND
    assert table.fail(method, name="model", version="2").code() == grpc.StatusCode.NOT_FOUND


def test_infer_counts_into_the_metrics(serve: Serve) -> None:
    served = serve("Table")
    served.client.infer(ROW)
    served.client.fail_to_infer()
    counted = {
        sample.labels["code"]: sample.value
        for metric in served.metrics.registry.collect()
        for sample in metric.samples
        if sample.name == "scoring_requests_total"
    }
    assert counted == {"200": 1, "400": 1}


def test_a_port_in_use_is_told(serve: Serve) -> None:
    served = serve("Table")
    limits = GrpcLimits(1000, 1)
    with pytest.raises(InvalidSettingsError, match="SCORING_GRPC_PORT"):
        start_grpc_server(served.server.port, served.service, served.metrics, limits)


def list_fields(message: Message) -> Iterator[tuple[Any, ...]]:
    """Yield name, number, type and kind of each field of a message and those within it."""
    for field in message.fields:
        kind = field.message_type.full_name if field.message_type else ""
        oneof = field.containing_oneof.name if field.containing_oneof else ""
        yield message.full_name, field.name, field.number, field.type, field.is_repeated, kind, oneof
    for nested in message.nested_types:
        yield from list_fields(nested)


@pytest.mark.parametrize("name", sorted(messages.DESCRIPTOR.message_types_by_name))
def test_messages_are_those_of_tritons_client(name: str) -> None:
    ours, theirs = (module.DESCRIPTOR.message_types_by_name[name] for module in (messages, others))
    assert set(list_fields(ours)) == set(list_fields(theirs))


def test_methods_are_those_of_tritons_client() -> None:
    ours, theirs = (
        module.DESCRIPTOR.services_by_name["GRPCInferenceService"].methods_by_name for module in (messages, others)
    )
    assert set(ours) == {"ServerLive", "ServerReady", "ModelReady", "ServerMetadata", "ModelMetadata", "ModelInfer"}
    for name, method in ours.items():
        assert method.input_type.full_name == theirs[name].input_type.full_name
        assert method.output_type.full_name == theirs[name].output_type.full_name


@pytest.mark.parametrize("name", ["open_inference_pb2.py", "open_inference_pb2.pyi"])
def test_generated_code_is_up_to_date(tmp_path: Path, name: str) -> None:
    protos = ROOT / "serving_runtime" / "proto"
    command = [
        sys.executable,
        "-m",
        "grpc_tools.protoc",
        f"-I{protos}",
        f"--python_out={tmp_path}",
        f"--pyi_out={tmp_path}",
    ]
    subprocess.run([*command, "open_inference.proto"], check=True, timeout=60)
    fresh = (tmp_path / name).read_text().replace("_descriptor_pool.Default()", "_descriptor_pool.DescriptorPool()")
    assert (GENERATED / name).read_text() == fresh, "run make protos"
