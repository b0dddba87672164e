"""The HTTP interface over a real model: answers, and every error of a request with its code, status and message."""

import io
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from time import monotonic
from typing import Any

import numpy as np
import orjson
import pytest
from flask.testing import FlaskClient
from hypothesis import given, settings
from hypothesis import strategies as st
from werkzeug.test import TestResponse

from scoring_runtime.app import create_app
from scoring_runtime.batching import Batcher
from scoring_runtime.loading import load_model
from scoring_runtime.model import ModelSlot, ServedModel
from scoring_runtime.service import ScoringService
from scoring_runtime.tasks import check_finite
from scoring_runtime.telemetry.metrics import Metrics
from scoring_runtime.telemetry.request_record import RequestRecord
from scoring_runtime.tensors import Signature, TensorSpec

QUESTION = {"input": "How do I copy an array?"}
JSON = "application/json"


def expect_error(answer: TestResponse, status: int, code: str, message: str) -> None:
    assert (answer.status_code, answer.json) == (status, {"error": {"code": code, "message": message}})
    assert answer.content_type == JSON


def test_a_question_is_answered_with_its_best_matches(faq_client: FlaskClient) -> None:
    answer = faq_client.post("/score", json=QUESTION)

    assert answer.status_code == 200
    matches, computed = answer.json["result"]
    assert matches[0][:2] == [1, "a1"]
    assert len(matches) == 3
    assert ["three", 33] in [match[:2] for match in matches]
    probabilities = [match[2] for match in matches]
    assert probabilities == sorted(probabilities, reverse=True)
    assert computed.startswith("Computed in ")
    assert computed.endswith(" ms")
    assert float(computed.split()[2]) > 0


def test_a_content_type_with_a_charset_is_read(faq_client: FlaskClient) -> None:
    answer = faq_client.post("/score", data=orjson.dumps(QUESTION), content_type="application/json; charset=utf-8")
    assert answer.status_code == 200


@pytest.mark.parametrize(
    ("body", "code", "message"),
    [
        (b"", "InvalidJson", "The body is not JSON: Input is a zero-length, empty document: line 1 column 1 (char 0)."),
        (b"{", "InvalidJson", "The body is not JSON: unexpected end of data: line 1 column 2 (char 1)."),
        (b"[" * 2000, "InvalidJson", None),
        (b'{"input": "\xff"}', "InvalidJson", None),
        (b"{}", "MissingInput", 'The body has no input: send a JSON object such as {"input": …}.'),
        (b"[1]", "MissingInput", 'The body has no input: send a JSON object such as {"input": …}.'),
        (b'{"input": 5}', "MissingInput", 'input must be a string: send {"input": "<question>"}.'),
        (b'{"input": null}', "MissingInput", 'input must be a string: send {"input": "<question>"}.'),
        (b'{"input": ""}', "EmptyInput", "input is empty: send a question."),
        (b'{"input": " \\n\\u2003 "}', "EmptyInput", "input is empty: send a question."),
    ],
)
def test_a_bad_question_is_refused(faq_client: FlaskClient, body: bytes, code: str, message: str | None) -> None:
    answer = faq_client.post("/score", data=body, content_type=JSON)

    expect_error(answer, 400, code, message or answer.json["error"]["message"])


@pytest.mark.parametrize(
    ("content_type", "given"),
    [
        ("text/plain", "Content-Type 'text/plain' is not read here"),
        ("multipart/form-data; boundary=x", "Content-Type 'multipart/form-data' is not read here"),
        ("image/png", "Content-Type 'image/png' is not read here"),
        ("", "No Content-Type is given"),
    ],
)
def test_another_content_type_is_unsupported(faq_client: FlaskClient, content_type: str, given: str) -> None:
    answer = faq_client.post("/score", data=b"{}", content_type=content_type)
    expect_error(answer, 415, "UnsupportedMediaType", f"{given}. Send one of: application/json.")


def test_a_question_of_just_the_limit_is_read_and_one_character_more_is_refused(faq_client: FlaskClient) -> None:
    assert faq_client.post("/score", json={"input": "ä" * 10_000}).status_code == 200
    refused = faq_client.post("/score", json={"input": "ä" * 10_001})
    message = "The question has 10001 characters; at most 10000 are read. Send the question itself."
    expect_error(refused, 413, "InputTooLong", message)


def pad(size: int) -> bytes:
    body = orjson.dumps(QUESTION)
    return body + b" " * (size - len(body))


class Chunks(io.BytesIO):
    """A body whose length is not announced."""


def post_chunked(client: FlaskClient, body: bytes, content_type: str = JSON) -> TestResponse:
    stream = Chunks(body)
    return client.post(
        "/score",
        input_stream=stream,
        content_type=content_type,
        headers={"Transfer-Encoding": "chunked"},
        environ_overrides={"wsgi.input_terminated": True},
    )


def test_a_body_of_just_the_limit_is_read_and_one_byte_more_is_refused(make_client: Any, faq_folder: Any) -> None:
    client = make_client(faq_folder, max_body_bytes=100)
    message = "The body is larger than 100 bytes. Send less at once."

    assert client.post("/score", data=pad(100), content_type=JSON).status_code == 200
    expect_error(client.post("/score", data=pad(101), content_type=JSON), 413, "BodyTooLarge", message)
    expect_error(client.post("/score", data=pad(500), content_type=JSON), 413, "BodyTooLarge", message)
    assert post_chunked(client, pad(100)).status_code == 200
    expect_error(post_chunked(client, pad(101)), 413, "BodyTooLarge", message)
    expect_error(post_chunked(client, pad(500)), 413, "BodyTooLarge", message)


def test_a_length_of_more_digits_than_a_number_may_have_is_too_large(faq_client: FlaskClient) -> None:
    answer = faq_client.post("/score", json=QUESTION, environ_overrides={"CONTENT_LENGTH": "9" * 5000})
    assert (answer.status_code, answer.json["error"]["code"]) == (413, "BodyTooLarge")


def test_an_unknown_path_and_a_wrong_method_answer_in_the_error_shape(faq_client: FlaskClient) -> None:
    unknown = faq_client.get("/nothing")
    assert (unknown.status_code, unknown.json["error"]["code"]) == (404, "NotFound")
    wrong = faq_client.get("/score")
    assert (wrong.status_code, wrong.json["error"]["code"]) == (405, "MethodNotAllowed")
    assert "POST" in wrong.headers["Allow"]
    other = faq_client.get("/v21")
    assert (other.status_code, other.json["error"]["code"]) == (404, "NotFound")


def test_the_probes_and_the_version_describe_the_model(faq_client: FlaskClient) -> None:
    for path, text in (("/", "Healthy"), ("/healthz", "Healthy"), ("/readyz", "Ready")):
        answer = faq_client.get(path)
        assert (answer.status_code, answer.text, answer.mimetype) == (200, text, "text/plain")

    model = faq_client.get("/version").json["model"]
    assert {key: model[key] for key in ("name", "version", "format", "task")} == {
        "name": "small-faq",
        "version": "1.2.3",
        "format": "sklearn",
        "task": "faq-matching",
    }
    assert model["digest"].startswith("sha256:")
    assert model["bytes"] > 1000


def test_scoring_requests_are_counted_by_status_and_probes_are_not(faq_client: FlaskClient) -> None:
    before = faq_client.get("/metrics").text.splitlines()
    faq_client.post("/score", json=QUESTION)
    faq_client.post("/score", json=QUESTION)
    faq_client.post("/score", json={})
    faq_client.get("/healthz")

    answer = faq_client.get("/metrics")
    assert answer.mimetype == "text/plain"
    lines = answer.text.splitlines()
    assert 'scoring_requests_total{code="200",format="sklearn",protocol="score"} 2.0' in lines
    assert 'scoring_requests_total{code="400",format="sklearn",protocol="score"} 1.0' in lines
    assert "scoring_request_duration_seconds_count 3.0" in lines
    assert "scoring_queue_waiting 0.0" in lines
    assert "scoring_requests_in_flight 0.0" in lines
    # What warmed the model up has waited too.
    assert "scoring_queue_wait_seconds_count 1.0" in before
    assert "scoring_queue_wait_seconds_count 3.0" in lines
    assert "scoring_score_seconds_count 3.0" in lines
    # Warming up is read by no request.
    assert "scoring_preprocess_seconds_count 2.0" in lines
    assert any(line.startswith("scoring_model_load_seconds ") and not line.endswith(" 0.0") for line in lines)
    assert any(line.startswith("scoring_model_info{") and 'name="small-faq"' in line for line in lines)


@pytest.mark.parametrize(("objective_seconds", "slow"), [(60.0, 0.0), (0.000001, 2.0), (None, None)])
def test_answers_slower_than_the_objective_are_counted(objective_seconds: float | None, slow: float | None) -> None:
    metrics = Metrics(Batcher(1), objective_seconds)
    for seconds in (0.01, 0.02):
        metrics.record_request(RequestRecord(1.5, "id", "score", 200, seconds, 10, 20))
    assert metrics.registry.get_sample_value("scoring_slow_requests_total") == slow
    assert metrics.registry.get_sample_value("scoring_latency_objective_seconds") == objective_seconds


class StubTask:
    """A task whose scoring waits for the test or fails."""

    file_types: tuple[str, ...] = ()
    trusted_types: tuple[str, ...] = ()
    classes: int | None = None
    max_batch_size = 1
    signature = Signature(inputs=(TensorSpec(name="input", datatype="BYTES", shape=(-1,)),))

    def __init__(self, score: Callable[[Any], Any]) -> None:
        self._score = score

    def attach(self, scorer: Any) -> None: ...

    def make_example(self) -> Any: ...

    def read(self, body: Any) -> Any:
        return body.payload["input"]

    def read_tensors(self, tensors: Any) -> Any:
        return tensors["input"]

    def count(self, inputs: Any) -> int:
        return 1

    def score(self, requests: Sequence[Any]) -> list[Any]:
        return [self._score(inputs) for inputs in requests]

    def write(self, outputs: Any) -> Any:
        return outputs

    def write_tensors(self, outputs: Any) -> Any:
        return {"output": np.array([outputs])}


@pytest.fixture
def make_stub_client(make_settings: Any, faq_folder: Any) -> Callable[..., FlaskClient]:
    def make(score: Callable[[Any], Any], **values: Any) -> FlaskClient:
        stub_settings = make_settings(faq_folder.as_uri(), **values)
        slot, batcher = ModelSlot(), Batcher(stub_settings.max_queue)
        model: ServedModel = load_model(stub_settings, ModelSlot(), Batcher(1))
        slot.fill(replace(model, task=StubTask(score)))
        service = ScoringService(stub_settings.model_name, slot, batcher)
        return create_app(stub_settings, service, Metrics(batcher)).test_client()

    return make


def test_a_failing_model_answers_without_its_internals(
    make_stub_client: Callable[..., FlaskClient], caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(_inputs: Any) -> Any:
        raise ZeroDivisionError("a secret of the model")

    answer = make_stub_client(fail).post("/score", json=QUESTION)

    expect_error(answer, 500, "ScoringFailed", "The model failed on this request: the server's log says why.")
    assert "a secret of the model" in caplog.text + capsys.readouterr().out


def test_a_score_that_is_not_a_number_is_a_failure(make_stub_client: Callable[..., FlaskClient]) -> None:
    client = make_stub_client(lambda value: check_finite(np.array([0.5, float(value)])))
    for value in ("nan", "inf", "-inf"):
        answer = client.post("/score", json={"input": value})
        assert (answer.status_code, answer.json["error"]["code"]) == (500, "ScoringFailed")


def test_a_full_queue_refuses_new_requests_while_earlier_ones_are_answered(
    make_stub_client: Callable[..., FlaskClient],
) -> None:
    started, go = threading.Semaphore(0), threading.Semaphore(0)

    def wait(inputs: Any) -> Any:
        started.release()
        go.acquire()
        return inputs

    app = make_stub_client(wait, max_queue=2).application
    with ThreadPoolExecutor(4) as pool:

        def post(number: int) -> TestResponse:
            return app.test_client().post("/score", json={"input": number})

        earlier = [pool.submit(post, 0)]
        started.acquire()
        earlier += [pool.submit(post, number) for number in (1, 2)]
        deadline = monotonic() + 60
        while "scoring_queue_waiting 2.0" not in app.test_client().get("/metrics").text:
            assert monotonic() < deadline

        assert "scoring_requests_in_flight 3.0" in app.test_client().get("/metrics").text
        refused = post(3)
        expect_error(refused, 503, "Overloaded", "2 requests wait for the model already: try again later.")
        assert refused.headers["Retry-After"] == "1"
        malformed = app.test_client().post("/score", data=b"{", content_type=JSON)
        assert malformed.status_code == 503
        assert app.test_client().post("/score", data=b"{", content_type="text/plain").status_code == 415
        assert app.test_client().post("/score", data=bytes(9_000_000), content_type=JSON).status_code == 413
        assert app.test_client().get("/healthz").status_code == 200

        go.release(4)
        assert sorted(answer.result().json["result"][0] for answer in earlier) == [0, 1, 2]
    assert post(4).status_code == 200


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["input", "a"]), inner, max_size=2),
)


def test_any_json_gets_an_answer_or_a_400(faq_client: FlaskClient) -> None:
    @settings(deadline=None)
    @given(json_values)
    def check(value: Any) -> None:
        try:
            body = orjson.dumps(value)
        except orjson.JSONEncodeError:  # a lone surrogate, which JSON can't hold
            return
        assert faq_client.post("/score", data=body, content_type=JSON).status_code in (200, 400)

    check()


@pytest.mark.parametrize("header", ["X-Forwarded-For", "Forwarded", "Via"])
def test_metrics_are_not_told_through_a_proxy(faq_client: FlaskClient, header: str) -> None:
    answer = faq_client.get("/metrics", headers={header: "for=192.0.2.1"})
    assert answer.status_code == 403
    assert answer.get_json()["error"]["code"] == "Forbidden"
    assert "scrape the pod" in answer.get_json()["error"]["message"]
