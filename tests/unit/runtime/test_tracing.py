"""Traces of a runtime process, as a real receiver of OTLP gets them."""

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path

import grpc
import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from free_ports import find_free_port
from local_clusters import ROOT
from otlp_receivers import OtlpReceiver, read_attributes
from runtime_processes import Runtime
from scoring_runtime.artifacts.digests import compute_digest
from scoring_runtime.protocols import open_inference_pb2 as messages
from scoring_runtime.worker import wants_traces
from tensor_models import TABLE_EXAMPLE, write_artifact
from waiting import wait_for

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
CALLER = "00f067aa0ba902b7"
GOOD = {"input": [[1, 2, 3, 4]]}
FAILING = {"input": [[0, 0, 0, 0]]}
REQUESTS = 24
ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"


@pytest.fixture(scope="module")
def receiver() -> Iterator[OtlpReceiver]:
    with OtlpReceiver() as receiver:
        yield receiver


@pytest.fixture(scope="module")
def grpc_port() -> int:
    return find_free_port()


@pytest.fixture(scope="module")
def runtime(receiver: OtlpReceiver, grpc_port: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runtime]:
    folder = tmp_path_factory.mktemp("traced")
    write_artifact(folder / "table", "UnhurriedTable", example=TABLE_EXAMPLE)
    environment = {
        "PYTHONPATH": str(ROOT / "tests" / "support"),
        "SCORING_MODEL_NAME": "table",
        "SCORING_MODEL_URI": (folder / "table").as_uri(),
        "SCORING_MODEL_DIGEST": compute_digest(folder / "table"),
        "SCORING_WORK_DIR": str(folder / "work"),
        "SCORING_TERMINATION_LOG": str(folder / "end"),
        "SCORING_DRAIN_SECONDS": "0",
        "SCORING_GRPC_PORT": str(grpc_port),
        "SCORING_BATCH_MAX_SIZE": "8",
        "SCORING_BATCH_MAX_DELAY_MILLISECONDS": "100",
        ENDPOINT: receiver.address,
        "OTEL_BSP_SCHEDULE_DELAY": "50",
    }
    process = Runtime(environment)
    process.wait_for_log("ready")
    process.wait_for_server()
    process.follow_log()
    yield process
    process.end()


def ask(runtime: Runtime, body: object = GOOD, trace: str = TRACE, flags: str = "01", path: str = "/score") -> str:
    """Send a request as part of a trace; return the span id that the answer tells."""
    headers = {"traceparent": f"00-{trace}-{CALLER}-{flags}"}
    answered = runtime.client.post(path, json=body, headers=headers).headers["traceresponse"]
    version, trace_id, span_id, answered_flags = answered.split("-")
    assert (version, trace_id, answered_flags) == ("00", trace, flags)
    return str(span_id)


def wait_for_span(receiver: OtlpReceiver, span_id: str) -> Span:
    def look() -> list[Span]:
        return [span for span in receiver.spans if span.span_id.hex() == span_id]

    return wait_for(look, f"span {span_id}")[0]


def find_children(receiver: OtlpReceiver, parent: Span) -> dict[str, Span]:
    return {span.name: span for span in receiver.spans if span.parent_span_id == parent.span_id}


def test_request_is_a_child_of_its_caller_with_its_stages_in_their_order(
    runtime: Runtime, receiver: OtlpReceiver
) -> None:
    span = wait_for_span(receiver, ask(runtime))
    assert (span.name, span.kind) == ("POST /score", Span.SPAN_KIND_SERVER)
    assert (span.trace_id.hex(), span.parent_span_id.hex()) == (TRACE, CALLER)
    assert read_attributes(span) == {
        "http.request.method": "POST",
        "http.response.status_code": 200,
        "url.path": "/score",
    }
    stages = find_children(receiver, span)
    assert stages.keys() == {"preprocess", "queue", "score", "batch"}
    order = [span, stages["preprocess"], stages["queue"], stages["score"]]
    starts = [one.start_time_unix_nano for one in order]
    # Two clocks meet here, which agree within some microseconds.
    assert all(late - early > -100_000 for early, late in pairwise(starts))
    assert all(one.end_time_unix_nano - span.end_time_unix_nano < 100_000 for one in order)
    assert receiver.services == {"table"}


def test_log_line_has_the_trace_also_of_a_request_without_a_caller(runtime: Runtime, receiver: OtlpReceiver) -> None:
    answer = runtime.client.post("/score", json=GOOD)
    _, trace_id, span_id, _ = answer.headers["traceresponse"].split("-")
    assert wait_for_span(receiver, span_id).parent_span_id == b""
    request_id = answer.headers["X-Request-Id"]
    line = wait_for(lambda: next((line for line in runtime.log if request_id in line), None), "the line")
    assert json.loads(line)["trace_id"] == trace_id


def test_batches_and_their_requests_are_linked_both_ways(runtime: Runtime, receiver: OtlpReceiver) -> None:
    traces = [f"{number:032x}" for number in range(1, REQUESTS + 1)]
    with ThreadPoolExecutor(REQUESTS) as pool:
        ids = list(pool.map(lambda trace: ask(runtime, trace=trace), traces))
    requests = [wait_for_span(receiver, span_id) for span_id in ids]
    batches: Counter[bytes] = Counter()
    for trace, request in zip(traces, requests, strict=True):
        assert request.trace_id.hex() == trace
        (link,) = find_children(receiver, request)["score"].links
        batches[link.span_id] += 1
        batch = wait_for_span(receiver, link.span_id.hex())
        assert (request.trace_id, request.span_id) in {(one.trace_id, one.span_id) for one in batch.links}
        assert read_attributes(batch)["scoring.batch.requests"] == len(batch.links)
    assert sum(batches.values()) == REQUESTS
    assert max(batches.values()) > 1
    assert len(batches) < REQUESTS


def test_request_that_its_caller_does_not_sample_is_not_sent(runtime: Runtime, receiver: OtlpReceiver) -> None:
    ask(runtime, trace="f" * 32, flags="00")
    wait_for_span(receiver, ask(runtime))
    assert not [span for span in receiver.spans if span.trace_id.hex() == "f" * 32]


def test_failure_is_told_and_bad_input_is_no_error(runtime: Runtime, receiver: OtlpReceiver) -> None:
    failed = wait_for_span(receiver, ask(runtime, FAILING))
    assert (failed.status.code, read_attributes(failed)["http.response.status_code"]) == (Status.STATUS_CODE_ERROR, 500)
    refused = wait_for_span(receiver, ask(runtime, {"input": "x"}))
    assert (refused.status.code, read_attributes(refused)["http.response.status_code"]) == (
        Status.STATUS_CODE_UNSET,
        400,
    )
    assert "queue" not in find_children(receiver, refused)


def test_path_that_there_is_not_names_no_span(runtime: Runtime, receiver: OtlpReceiver) -> None:
    span = wait_for_span(receiver, ask(runtime, path="/made/up/by-anybody"))
    assert span.name == "POST"
    assert "by-anybody" not in str(span)


def test_call_over_grpc_is_a_child_of_its_caller(runtime: Runtime, receiver: OtlpReceiver, grpc_port: int) -> None:
    del runtime
    row = messages.InferTensorContents(fp64_contents=[1, 2, 3, 4])
    features = messages.ModelInferRequest.InferInputTensor(name="features", datatype="FP64", shape=[1, 4], contents=row)
    request = messages.ModelInferRequest(model_name="table", inputs=[features])
    trace = "a" * 32
    with grpc.insecure_channel(f"127.0.0.1:{grpc_port}") as channel:
        infer = channel.unary_unary("/inference.GRPCInferenceService/ModelInfer")
        infer(request.SerializeToString(), metadata=[("traceparent", f"00-{trace}-{CALLER}-01")])
        with pytest.raises(grpc.RpcError):
            infer(messages.ModelInferRequest(model_name="other").SerializeToString())
    name = "inference.GRPCInferenceService/ModelInfer"
    good, bad = wait_for(lambda: found if len(found := receiver.find(name)) == 2 else None, "both spans")
    assert (good.trace_id.hex(), good.parent_span_id.hex()) == (trace, CALLER)
    assert read_attributes(good)["rpc.grpc.status_code"] == 0
    assert find_children(receiver, good).keys() == {"preprocess", "queue", "score", "batch"}
    assert read_attributes(bad)["rpc.grpc.status_code"] == grpc.StatusCode.NOT_FOUND.value[0]
    assert bad.status.code == Status.STATUS_CODE_UNSET


def test_spans_hold_nothing_of_what_was_sent(receiver: OtlpReceiver, runtime: Runtime) -> None:
    secret = "planted-secret"
    headers = {"Authorization": f"Bearer {secret}", "X-API-Key": secret}
    answer = runtime.client.post(f"/score?key={secret}", json={"input": secret}, headers=headers)
    wait_for_span(receiver, answer.headers["traceresponse"].split("-")[2])
    assert secret not in str(receiver.spans)


@pytest.mark.parametrize(
    ("variables", "wanted"),
    [
        ({}, False),
        ({ENDPOINT: ""}, False),
        ({ENDPOINT: "http://collector:4318"}, True),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://collector:4318/v1/traces"}, True),
        ({ENDPOINT: "http://collector:4318", "OTEL_TRACES_EXPORTER": "none"}, False),
        ({ENDPOINT: "http://collector:4318", "OTEL_SDK_DISABLED": "true"}, False),
    ],
)
def test_traces_are_made_where_opentelemetrys_own_variables_ask_for_them(
    variables: dict[str, str], wanted: bool
) -> None:
    assert wants_traces(variables) is wanted


def test_without_traces_nothing_of_opentelemetry_is_imported() -> None:
    modules = "scoring_runtime.worker, scoring_runtime.protocols.grpc_server, sys"
    code = f"import {modules}; print([name for name in sys.modules if name.startswith('opentelemetry')])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_collector_that_is_not_there_keeps_no_answer_and_no_end_waiting(tmp_path: Path) -> None:
    write_artifact(tmp_path / "table", "Table", example=TABLE_EXAMPLE)
    runtime = Runtime(
        {
            "PYTHONPATH": str(ROOT / "tests" / "support"),
            "SCORING_MODEL_URI": (tmp_path / "table").as_uri(),
            "SCORING_MODEL_DIGEST": compute_digest(tmp_path / "table"),
            "SCORING_WORK_DIR": str(tmp_path / "work"),
            "SCORING_TERMINATION_LOG": str(tmp_path / "end"),
            "SCORING_DRAIN_SECONDS": "0",
            ENDPOINT: f"http://127.0.0.1:{find_free_port()}",
        }
    )
    runtime.wait_for_log("ready")
    runtime.wait_for_server()
    runtime.follow_log()
    assert runtime.client.post("/score", json=GOOD).elapsed.total_seconds() < 1
    runtime.end()
    assert runtime.process.returncode == 0
