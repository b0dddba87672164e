"""The request log and request ids: what a line tells, that writing it holds nobody up, and which ids are taken."""

import fcntl
import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import grpc
import pytest
from flask.testing import FlaskClient

from runtime_clients import create_service, open_client
from scoring_runtime.access import Caller
from scoring_runtime.app import create_app
from scoring_runtime.protocols import open_inference_pb2 as messages
from scoring_runtime.protocols.grpc_server import GrpcLimits, start_grpc_server
from scoring_runtime.settings import Settings
from scoring_runtime.telemetry.metrics import Metrics
from scoring_runtime.telemetry.request_ids import choose_request_id, find_trace_id
from scoring_runtime.telemetry.request_log import LINES_AT_ONCE, PAGE_BYTES, RequestLog, write_line
from scoring_runtime.telemetry.request_record import RequestRecord
from tensor_models import TABLE_EXAMPLE, write_artifact

SHOP = Caller("shop", "shop")
RECORD = RequestRecord(1.5, "id", "score", 200, 0.0123456, 10, 20)
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
TRACE_PARENT = f"00-{TRACE}-00f067aa0ba902b7-01"
ROW = {"input": [[1, 2, 3, 4]]}


class Lines:
    """Takes what a log writes."""

    def __init__(self) -> None:
        self.chunks: list[bytes] = []

    def read(self, log: RequestLog) -> list[dict[str, Any]]:
        """Close the log and return its lines."""
        log.close()
        return [json.loads(line) for line in b"".join(self.chunks).splitlines()]


def test_a_line_tells_of_the_request_and_leaves_out_what_there_is_not() -> None:
    lines = Lines()
    log = RequestLog(lines.chunks.append)
    log.add(RECORD)
    log.add(RECORD._replace(status=401, error="Unauthorized", trace_id=TRACE, caller=SHOP))
    plain, full = lines.read(log)
    assert plain == {
        "timestamp": "1970-01-01T00:00:01.500000Z",
        "level": "info",
        "logger": "scoring_runtime.telemetry.request_log",
        "event": "request",
        "request_id": "id",
        "protocol": "score",
        "status": 200,
        "milliseconds": 12.346,
        "bytes_in": 10,
        "bytes_out": 20,
    }
    assert full == {**plain, "status": 401, "error": "Unauthorized", "trace_id": TRACE, "key": "shop"}


def test_name_of_a_key_that_is_no_text_can_be_written() -> None:
    assert json.loads(write_line(RECORD._replace(caller=Caller("shop\udcff", "shop"))))["key"] == "shop\\udcff"


def test_many_lines_are_written_at_once_and_each_page_of_a_pipe_is_whole_lines() -> None:
    lines = Lines()
    log = RequestLog(lines.chunks.append)
    count = 3 * LINES_AT_ONCE
    for number in range(count):
        log.add(RECORD._replace(request_id="a" * (number % 128 + 1)))
    assert len(lines.read(log)) == count
    assert len(lines.chunks) <= 4
    for chunk in lines.chunks:
        pages = [chunk[start : start + PAGE_BYTES] for start in range(0, len(chunk), PAGE_BYTES)]
        assert all(page.endswith(b"\n") for page in pages)


@pytest.mark.parametrize("pipe_bytes", [4096, 65536])
def test_lines_of_another_process_come_between_ours_never_within_one(pipe_bytes: int) -> None:
    reading, writing = os.pipe()
    fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, pipe_bytes)
    count, shout = 3000, b'{"event": "other"}\n'
    command = "import os\nwhile True: os.write(1, %r)"
    other = subprocess.Popen([sys.executable, "-c", command % shout], stdout=writing)
    log = RequestLog(partial(write_whole, writing))
    told: list[dict[str, Any]] = []
    with other, os.fdopen(reading, "rb") as stream:
        for number in range(count):
            log.add(RECORD._replace(request_id="a" * (number % 128 + 1)))
        while len(told) < count:
            line = json.loads(stream.readline())
            told += [line] if line["event"] == "request" else []
        other.kill()
        log.close()
    os.close(writing)
    assert [len(line["request_id"]) for line in told] == [number % 128 + 1 for number in range(count)]


def write_whole(descriptor: int, piece: bytes) -> None:
    assert os.write(descriptor, piece) == len(piece)


def test_no_line_of_many_threads_is_lost_and_those_of_one_keep_their_order() -> None:
    lines = Lines()
    log = RequestLog(lines.chunks.append)
    threads, each = 4, 5 * LINES_AT_ONCE + 7

    def add(thread: int) -> None:
        for number in range(each):
            log.add(RECORD._replace(protocol=f"{thread}", bytes_in=number))

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(add, range(threads)))
    told = lines.read(log)
    for thread in range(threads):
        assert [line["bytes_in"] for line in told if line["protocol"] == f"{thread}"] == list(range(each))
    assert len(told) == threads * each


def test_few_lines_do_not_wait_for_more() -> None:
    written = threading.Event()
    RequestLog(lambda _chunk: written.set()).add(RECORD)
    assert written.wait(60)


def test_nobody_waits_for_a_reader_who_does_not_read_and_the_loss_is_told() -> None:
    lines = Lines()
    is_writing, may_write = threading.Event(), threading.Event()

    def write(chunk: bytes) -> None:
        is_writing.set()
        assert may_write.wait(60)
        lines.chunks.append(chunk)

    log = RequestLog(write, max_lines=5)
    log.add(RECORD)
    assert is_writing.wait(60)
    for _ in range(12):
        log.add(RECORD)
    may_write.set()
    told = lines.read(log)
    assert [line["event"] for line in told].count("request") == 6
    assert told[-1]["level"] == "warning"
    assert told[-1]["count"] == 7


@pytest.mark.parametrize("given", ["a", "7f1c9e0a-5c55-4d6f-8a5e-0b8f6d1a2b3c", "A" * 128, "Root-1.2_3"])
def test_a_well_formed_request_id_is_taken(given: str) -> None:
    assert choose_request_id(given) == given


@pytest.mark.parametrize(
    "given", [None, "", "-a", "a" * 129, "a b", "a\nb", "ü", 'a"b', "hf_abcdefghijklmnopqrstuvwxyz", "x" * 5000]
)
def test_a_request_id_that_is_missing_malformed_or_a_credential_is_replaced(given: str | None) -> None:
    made = {choose_request_id(given) for _ in range(3)}
    assert len(made) == 3
    assert all(re.fullmatch("[0-9a-f]{32}", one) for one in made)


@pytest.mark.parametrize(
    ("header", "trace_id"),
    [
        (TRACE_PARENT, TRACE),
        ("cc" + TRACE_PARENT[2:] + "-what-will-come", TRACE),
        (None, None),
        ("", None),
        ("ff" + TRACE_PARENT[2:], None),
        (TRACE_PARENT.replace(TRACE, "0" * 32), None),
        (TRACE_PARENT.upper(), None),
        (TRACE_PARENT[:-1], None),
        (f"{TRACE_PARENT}\n", None),
    ],
)
def test_the_trace_id_is_that_of_a_well_formed_header(header: str | None, trace_id: str | None) -> None:
    assert find_trace_id(header) == trace_id


@pytest.fixture
def settings(tmp_path: Path, make_settings: Callable[..., Settings]) -> Settings:
    return make_settings(write_artifact(tmp_path / "table", "Table", example=TABLE_EXAMPLE).as_uri())


def test_each_scoring_request_has_one_line_with_the_id_of_its_answer(settings: Settings) -> None:
    lines = Lines()
    log = RequestLog(lines.chunks.append)
    client = open_logged_client(settings, log)
    own = client.post("/score", json=ROW, headers={"X-Request-Id": "mine", "traceparent": TRACE_PARENT})
    bad = client.post("/score", data=b"{", content_type="application/json")
    other = client.post("/v2/models/other/infer", json={})
    failed = client.post("/v1/models/model:predict", json={"instances": [[0, 0, 0, 0]]})
    assert client.get("/version").status_code == 200

    told = lines.read(log)
    answers = [own, bad, other, failed]
    assert [line["request_id"] for line in told] == [answer.headers["X-Request-Id"] for answer in answers]
    assert [line["status"] for line in told] == [200, 400, 404, 500]
    assert [line.get("error") for line in told] == [None, "InvalidJson", "ModelNotFound", "ScoringFailed"]
    assert [line["protocol"] for line in told] == ["score", "score", "open-inference", "predict"]
    assert [line["bytes_out"] for line in told] == [len(answer.data) for answer in answers]
    assert (told[0]["request_id"], told[0]["trace_id"], told[0]["bytes_in"]) == (
        "mine",
        TRACE,
        len('{"input": [[1, 2, 3, 4]]}'),
    )


def open_logged_client(settings: Settings, log: RequestLog) -> FlaskClient:
    service = create_service(settings)
    return create_app(settings, service, Metrics(service.batcher), log).test_client()


def test_answers_have_an_id_also_without_a_log(settings: Settings) -> None:
    answer = open_client(settings).post("/score", json=ROW, headers={"X-Request-Id": "mine"})
    assert answer.headers["X-Request-Id"] == "mine"


def test_requests_over_grpc_have_lines_and_ids_too(settings: Settings) -> None:
    lines = Lines()
    log = RequestLog(lines.chunks.append)
    service = create_service(settings)
    server = start_grpc_server(0, service, Metrics(service.batcher), GrpcLimits(2**20, 4), log)
    tensor = messages.ModelInferRequest.InferInputTensor(name="features", datatype="FP64", shape=[1, 4])
    tensor.contents.fp64_contents.extend([1, 2, 3, 4])
    request = messages.ModelInferRequest(model_name="model", inputs=[tensor])
    with grpc.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        infer = channel.unary_unary(
            "/inference.GRPCInferenceService/ModelInfer",
            messages.ModelInferRequest.SerializeToString,
            messages.ModelInferResponse.FromString,
        )
        answer, call = infer.with_call(request, metadata=[("x-request-id", "mine"), ("traceparent", TRACE_PARENT)])
        request.model_name = "other"
        with pytest.raises(grpc.RpcError) as caught:
            infer(request)
    server.stop(1)

    good, bad = lines.read(log)
    assert dict(call.trailing_metadata())["x-request-id"] == good["request_id"] == "mine"
    assert (good["protocol"], good["status"], good["trace_id"]) == ("open-inference-grpc", 200, TRACE)
    assert good["bytes_out"] == answer.ByteSize()
    assert good["bytes_in"] > 20
    assert dict(caught.value.trailing_metadata())["x-request-id"] == bad["request_id"]
    assert (bad["status"], bad["error"]) == (404, "ModelNotFound")
