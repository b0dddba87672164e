"""The Open Inference Protocol over REST: what is read, what is answered, and what is told of a wrong request."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from runtime_clients import open_client
from scoring_runtime.settings import Settings
from tensor_models import DATATYPES, TABLE_EXAMPLE, write_artifact

INFER = "/v2/models/model/infer"
LENGTH = "Inference-Header-Content-Length"
ROW = {"name": "features", "datatype": "FP64", "shape": [1, 4], "data": [1, 2, 3, 4.5]}

MakeSettings = Callable[..., Settings]
MakeClient = Callable[..., FlaskClient]


@pytest.fixture
def make_tensor_client(make_client: MakeClient, tmp_path: Path) -> MakeClient:
    def make(class_name: str, **fields: Any) -> FlaskClient:
        return make_client(write_artifact(tmp_path / class_name, class_name, **fields))

    return make


@pytest.fixture
def table(make_tensor_client: MakeClient) -> FlaskClient:
    return make_tensor_client("Table", example=TABLE_EXAMPLE)


@pytest.fixture
def mirror(make_tensor_client: MakeClient) -> FlaskClient:
    return make_tensor_client("Mirror")


@pytest.fixture
def loading(make_settings: MakeSettings) -> FlaskClient:
    return open_client(make_settings("file:///model"), is_loaded=False)


@pytest.fixture
def upper(make_tensor_client: MakeClient) -> FlaskClient:
    return make_tensor_client("Upper")


def infer(client: FlaskClient, *inputs: Any, **fields: Any) -> TestResponse:
    return client.post(INFER, json={"inputs": inputs, **fields})


def get_error(answer: TestResponse, status: int = 400) -> str:
    assert answer.status_code == status
    assert answer.json is not None
    assert list(answer.json) == ["error"]
    message: str = answer.json["error"]
    return message


def make_inputs(rows: int = 1) -> dict[str, Any]:
    """Two elements of each datatype per row; the largest that it holds among them."""
    values: dict[str, Any] = {name: np.array([[0, 1]] * rows).astype(dtype) for name, dtype in DATATYPES.items()}
    for tensor in values.values():
        if tensor.dtype.kind in "iu":
            tensor[:, 1] = np.iinfo(tensor.dtype).max
    values["BYTES"] = np.array([["ä", ""]] * rows, dtype=object)
    return values


def test_infer_answers_outputs_in_their_order(table: FlaskClient) -> None:
    answer = infer(table, ROW, id="a-1")
    assert answer.status_code == 200
    assert answer.content_type == "application/json"
    assert answer.json == {
        "model_name": "model",
        "model_version": "1.2.3",
        "id": "a-1",
        "outputs": [
            {"name": "sum", "datatype": "FP64", "shape": [1], "data": [10.5]},
            {"name": "sign", "datatype": "BYTES", "shape": [1], "data": ["positive"]},
        ],
    }


def test_infer_takes_the_version_that_is_served(table: FlaskClient) -> None:
    answer = table.post("/v2/models/model/versions/1.2.3/infer", json={"inputs": [ROW]})
    assert answer.json is not None
    assert answer.json["outputs"][0]["data"] == [10.5]
    assert "id" not in answer.json


@pytest.mark.parametrize("given", [{}, 7, ["a"], True])
def test_an_id_that_is_no_text_is_refused(table: FlaskClient, given: Any) -> None:
    # Found by fuzzing: the answer's own schema says that it is a text.
    answer = infer(table, ROW, id=given)
    assert answer.status_code == 400
    assert answer.json == {"error": "id must be a text: it comes back in the answer."}


@pytest.mark.parametrize(
    ("path", "served"),
    [("/v2/models/other/infer", "'model' is served"), ("/v2/models/model/versions/9/infer", "'1.2.3' is served")],
)
def test_infer_tells_what_is_served_for_another_model(table: FlaskClient, path: str, served: str) -> None:
    assert served in get_error(table.post(path, json={"inputs": [ROW]}), 404)


def test_infer_is_not_ready_before_the_model_is_loaded(loading: FlaskClient) -> None:
    answer = infer(loading, ROW)
    assert "about to be fetched" in get_error(answer, 503)
    assert answer.headers["Retry-After"] == "1"


@pytest.mark.parametrize(
    "data", [[1, 2, 3, 4, -1, -2, -3, -4], [[1, 2, 3, 4], [-1, -2, -3, -4]]], ids=["flat", "nested"]
)
def test_data_may_be_flat_or_nested(table: FlaskClient, data: Any) -> None:
    answer = infer(table, {**ROW, "shape": [2, 4], "data": data})
    assert [output["data"] for output in answer.json["outputs"]] == [[10, -10], ["positive", "negative"]]


def test_every_datatype_comes_back_as_it_was_sent_in_json(mirror: FlaskClient) -> None:
    inputs = [
        {"name": name.lower(), "datatype": name, "shape": [1, 2], "data": values.tolist()}
        for name, values in make_inputs().items()
    ]
    outputs = infer(mirror, *inputs).json["outputs"]
    expected = [{**part, "name": part["name"].upper(), "data": part["data"][0]} for part in inputs]
    assert outputs == expected


def encode(values: Any) -> bytes:
    if values.dtype != object:
        content: bytes = values.tobytes()
        return content
    texts = [text.encode() for text in values.flat]
    return b"".join(len(text).to_bytes(4, "little") + text for text in texts)


def send_binary(client: FlaskClient, payload: Any, *contents: bytes, length: str | None = None) -> TestResponse:
    header = json.dumps(payload).encode()
    headers = {LENGTH: str(len(header)) if length is None else length}
    return client.post(
        INFER, data=header + b"".join(contents), headers=headers, content_type="application/octet-stream"
    )


def test_every_datatype_comes_back_as_it_was_sent_in_bytes(mirror: FlaskClient) -> None:
    contents = {name: encode(values) for name, values in make_inputs(rows=3).items()}
    inputs = [
        {"name": name.lower(), "datatype": name, "shape": [3, 2], "parameters": {"binary_data_size": len(content)}}
        for name, content in contents.items()
    ]
    answer = send_binary(mirror, {"inputs": inputs, "parameters": {"binary_data_output": True}}, *contents.values())

    assert answer.status_code == 200
    assert answer.content_type == "application/octet-stream"
    length = int(answer.headers[LENGTH])
    outputs = json.loads(answer.data[:length])["outputs"]
    assert outputs == [{**part, "name": str(part["name"]).upper()} for part in inputs]
    assert answer.data[length:] == b"".join(contents.values())


def test_outputs_are_those_asked_for_each_in_its_form(table: FlaskClient) -> None:
    asked = [{"name": "sign"}, {"name": "sum", "parameters": {"binary_data": True}}]
    answer = infer(table, ROW, outputs=asked)
    length = int(answer.headers[LENGTH])
    assert json.loads(answer.data[:length])["outputs"] == [
        {"name": "sign", "datatype": "BYTES", "shape": [1], "data": ["positive"]},
        {"name": "sum", "datatype": "FP64", "shape": [1], "parameters": {"binary_data_size": 8}},
    ]
    assert np.frombuffer(answer.data[length:]) == [10.5]


def test_an_output_that_the_model_does_not_give_is_refused(table: FlaskClient, upper: FlaskClient) -> None:
    assert "The model gives: 'sum', 'sign'" in get_error(infer(table, ROW, outputs=[{"name": "total"}]))
    text = {"name": "text", "datatype": "BYTES", "shape": [1], "data": ["a"]}
    assert "The model gives: 'upper', 'length'" in get_error(infer(upper, text, outputs=[{"name": "total"}]))


def test_outputs_the_model_does_not_tell_beforehand_can_be_asked_for(upper: FlaskClient) -> None:
    text = {"name": "text", "datatype": "BYTES", "shape": [1], "data": ["a"]}
    answer = infer(upper, text, outputs=[{"name": "upper"}])
    assert [output["data"] for output in answer.json["outputs"]] == [["A"]]


def test_an_output_that_is_asked_for_twice_is_refused(table: FlaskClient, upper: FlaskClient) -> None:
    # A short request could ask for an answer of any length.
    asked = [{"name": "sum"}, {"name": "sign"}, {"name": "sum", "parameters": {"binary_data": True}}]
    assert get_error(infer(table, ROW, outputs=asked)) == "Output 'sum' is asked for twice: name each once."
    text = {"name": "text", "datatype": "BYTES", "shape": [1], "data": ["a"]}
    assert "'upper' is asked for twice" in get_error(infer(upper, text, outputs=[{"name": "upper"}] * 4000))
    assert "There is no output {}" in get_error(infer(upper, text, outputs=[{"name": {}}] * 2))


@pytest.mark.parametrize("datatype", ["FP32", "INT32", "INT64", "UINT8"])
def test_narrower_numbers_are_widened(table: FlaskClient, datatype: str) -> None:
    assert infer(table, {**ROW, "datatype": datatype, "data": [1, 2, 3, 4]}).json["outputs"][0]["data"] == [10]


@pytest.mark.parametrize("shape", [[2], [2, 1]])
def test_a_column_may_have_an_axis_of_length_one(upper: FlaskClient, shape: list[int]) -> None:
    text = {"name": "text", "datatype": "BYTES", "shape": shape, "data": ["a", "b"]}
    assert infer(upper, text).json["outputs"][0] == {
        "name": "upper",
        "datatype": "BYTES",
        "shape": [2],
        "data": ["A", "B"],
    }


def test_base64_texts_are_decoded_when_the_content_type_says_so(upper: FlaskClient) -> None:
    text = {
        "name": "text",
        "datatype": "BYTES",
        "shape": [1],
        "data": ["w6Q="],
        "parameters": {"content_type": "base64"},
    }
    assert infer(upper, text).json["outputs"][0]["data"] == ["Ä"]
    assert "'text' is not base64" in get_error(infer(upper, {**text, "data": ["ä"]}))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"name": "feature"}, "There is no input 'feature'. The model takes: 'features'."),
        ({"name": None}, "There is no input None"),
        ({"datatype": "fp64"}, "'features' is FP64, not 'fp64'"),
        ({"datatype": "BYTES", "data": ["1", "2", "3", "4"]}, "is FP64, not 'BYTES'"),
        ({"datatype": None}, "is FP64, not None"),
        ({"shape": [4]}, "has the shape [4]; the model takes [-1, 4]"),
        ({"shape": [2, 3]}, "has the shape [2, 3]"),
        ({"shape": [0, 4], "data": []}, "is empty"),
        ({"shape": [-1, 4]}, "shape is [-1, 4]: send a list of sizes"),
        ({"shape": [True, 4]}, "send a list of sizes"),
        ({"shape": [2**62, 4]}, f"has 4 values; the model takes {2**64}"),
        ({"shape": [10**30, 4]}, "send a list of sizes"),
        ({"shape": None}, "shape is None"),
        ({"shape": [2, 4]}, "has 4 values; the model takes 8"),
        ({"data": [1, 2, 3]}, "has 3 values; the model takes 4"),
        ({"data": [[1, 2, 3, 4], [5, 6]], "shape": [2, 4]}, "element [1] has 2 values"),
        ({"data": [1, "2", 3, 4]}, "element [1] is the text '2'"),
        ({"data": [1, True, 3, 4]}, "element [1] is true"),
        ({"data": 7}, "has no data"),
        ({"data": None}, "has no data"),
        ({"parameters": 3}, "parameters must be an object"),
        ({"parameters": {"shared_memory_region": "x"}}, "'shared_memory_region' is of an extension"),
    ],
)
def test_a_wrong_input_is_told_by_name(table: FlaskClient, change: dict[str, Any], message: str) -> None:
    assert message in get_error(infer(table, {**ROW, **change}))


@pytest.mark.parametrize(
    ("payload", "message"),
    [
        ([], "The body has no inputs"),
        ({}, "The body has no inputs"),
        ({"inputs": {}}, "The body has no inputs"),
        ({"inputs": []}, "lacks the input 'features'"),
        ({"inputs": [3]}, "must be an object"),
        ({"inputs": [ROW, ROW]}, "'features' is there twice"),
        ({"inputs": [ROW], "outputs": [3]}, "outputs must be a list of objects"),
        ({"inputs": [ROW], "outputs": [{"name": "sign", "parameters": {"classification": 2}}]}, "'classification'"),
    ],
)
def test_a_wrong_request_is_told(table: FlaskClient, payload: Any, message: str) -> None:
    assert message in get_error(table.post(INFER, json=payload))


def test_what_a_message_quotes_of_a_long_input_is_cut_and_its_advice_stays(table: FlaskClient) -> None:
    for name in ("x" * 100_000, "😀" * 100_000):
        message = get_error(infer(table, {**ROW, "name": name}))
        assert message.startswith("There is no input '" + name[:300])
        assert message.endswith(name[:50] + "'. The model takes: 'features'.")
        assert "…" in message
        assert len(message.encode()) <= 2_000


def test_a_body_that_is_no_json_is_told(table: FlaskClient) -> None:
    assert "not JSON" in get_error(table.post(INFER, data=b"{"))


def test_inputs_with_different_numbers_of_items_are_told(make_tensor_client: MakeClient) -> None:
    city = {"name": "city", "datatype": "BYTES", "shape": [2], "data": ["Bern", "Chur"]}
    age = {"name": "age", "datatype": "INT64", "shape": [1], "data": [3]}
    columns = make_tensor_client("Columns")
    assert "different numbers of items" in get_error(infer(columns, city, age))
    assert "lacks the input 'age'" in get_error(infer(columns, city))


BINARY_ROW = {"name": "features", "datatype": "FP64", "shape": [1, 4], "parameters": {"binary_data_size": 32}}


@pytest.mark.parametrize(
    ("size", "content", "length", "message"),
    [
        (32, bytes(31), None, "binary_data_size is 32, and 31 bytes are left"),
        (32, bytes(33), None, "1 bytes follow the last tensor"),
        (31, bytes(31), None, "takes 32 bytes, and 31 came"),
        (-1, bytes(32), None, "binary_data_size is -1"),
        ("32", bytes(32), None, "binary_data_size is '32'"),
        (2**70, bytes(32), None, "binary_data_size is"),
        (32, bytes(32), "100000", "is '100000', and the body has"),
        (32, bytes(32), "-5", "is '-5'"),
        (32, bytes(32), "9" * 5000, "send the length of its JSON"),
        (32, bytes(32), "0", "is 0: send the JSON"),
        (32, bytes(32), "7", "not JSON"),
    ],
)
def test_wrong_sizes_of_bytes_are_told(
    table: FlaskClient, size: Any, content: bytes, length: str | None, message: str
) -> None:
    payload = {"inputs": [{**BINARY_ROW, "parameters": {"binary_data_size": size}}]}
    assert message in get_error(send_binary(table, payload, content, length=length))


def test_an_input_with_data_and_bytes_is_refused(table: FlaskClient) -> None:
    payload = {"inputs": [{**BINARY_ROW, "data": [1, 2, 3, 4]}]}
    assert "both data and binary_data_size" in get_error(send_binary(table, payload, bytes(32)))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\x01\x00\x00\x00a\x05\x00\x00\x00b", "ends within its element 1"),
        (b"\x01\x00\x00\x00a\x05\x00", "ends within its element 1"),
        (b"\xff\xff\xff\xffa", "ends within its element 0"),
        (b"\x01\x00\x00\x00a", "has 2 elements, and 1 came"),
        (b"\x01\x00\x00\x00\xff\x01\x00\x00\x00a", "not UTF-8"),
    ],
)
def test_truncated_and_wrong_texts_are_told(upper: FlaskClient, content: bytes, message: str) -> None:
    part = {"name": "text", "datatype": "BYTES", "shape": [2], "parameters": {"binary_data_size": len(content)}}
    assert message in get_error(send_binary(upper, {"inputs": [part]}, content))


def test_a_failing_model_is_told_without_its_internals(table: FlaskClient) -> None:
    message = get_error(infer(table, {**ROW, "data": [0, 0, 0, 0]}), 500)
    assert "secret" not in message


def test_a_large_body_is_refused(make_client: MakeClient, tmp_path: Path) -> None:
    client = make_client(write_artifact(tmp_path / "table", "Table", example=TABLE_EXAMPLE), max_body_bytes=100)
    assert "larger than 100 bytes" in get_error(infer(client, {**ROW, "data": list(range(100))}), 413)


def test_infer_counts_into_the_metrics(table: FlaskClient) -> None:
    infer(table, ROW)
    infer(table)
    metrics = table.get("/metrics").text
    assert 'scoring_requests_total{code="200",format="python",protocol="open-inference"} 1.0' in metrics
    assert 'scoring_requests_total{code="400",format="python",protocol="open-inference"} 1.0' in metrics


def test_faq_matching_answers_tensors(faq_client: FlaskClient) -> None:
    question = {"name": "question", "datatype": "BYTES", "shape": [1], "data": ["How do I copy an array?"]}
    outputs = infer(faq_client, question).json["outputs"]
    assert [(output["name"], output["shape"]) for output in outputs] == [
        ("id", [1, 3]),
        ("answer_id", [1, 3]),
        ("probability", [1, 3]),
    ]
    assert outputs[0]["data"][0] == "1"


def test_the_server_describes_itself(table: FlaskClient) -> None:
    server = table.get("/v2").json
    assert server["name"] == "scoring-runtime"
    assert "binary_tensor_data" in server["extensions"]
    assert table.get("/v2/health/live").json == {"live": True}
    assert table.get("/v2/health/ready").json == {"ready": True}


@pytest.mark.parametrize("path", ["/v2/models/model", "/v2/models/model/versions/1.2.3"])
def test_the_model_describes_itself(table: FlaskClient, path: str) -> None:
    assert table.get(path).json == {
        "name": "model",
        "versions": ["1.2.3"],
        "platform": "python",
        "inputs": [{"name": "features", "datatype": "FP64", "shape": [-1, 4]}],
        "outputs": [
            {"name": "sum", "datatype": "FP64", "shape": [-1]},
            {"name": "sign", "datatype": "BYTES", "shape": [-1]},
        ],
        "parameters": {"task": "prediction"},
    }
    assert table.get(f"{path}/ready").json == {"name": "model", "ready": True}


@pytest.mark.parametrize("path", ["/v2/models/other", "/v2/models/model/versions/2", "/v2/models/other/ready"])
def test_another_model_is_not_found(table: FlaskClient, path: str) -> None:
    assert "served" in get_error(table.get(path), 404)


@pytest.mark.parametrize("path", ["/v2/health/ready", "/v2/models/model", "/v2/models/model/ready"])
def test_nothing_is_ready_before_the_model_is_loaded(loading: FlaskClient, path: str) -> None:
    assert "Not ready" in get_error(loading.get(path), 503)


def test_readiness_ends_with_draining_and_scoring_goes_on(make_settings: MakeSettings, tmp_path: Path) -> None:
    folder = write_artifact(tmp_path / "table", "Table", example=TABLE_EXAMPLE)
    client = open_client(make_settings(folder.as_uri()), is_draining=True)
    assert client.get("/v2/models/model/ready").status_code == 503
    assert client.post("/v2/repository/index").json[0]["state"] == "UNAVAILABLE"
    assert infer(client, ROW).status_code == 200


def test_the_repository_lists_the_one_model(table: FlaskClient, loading: FlaskClient) -> None:
    entry = {"name": "model", "version": "1.2.3", "state": "READY", "reason": ""}
    assert table.post("/v2/repository/index").json == [entry]

    assert loading.post("/v2/repository/index").json[0]["state"] == "UNAVAILABLE"
    assert loading.post("/v2/repository/index", json={"ready": True}).json == []


def test_a_body_that_is_no_json_is_told_to_who_asks_for_the_list(table: FlaskClient) -> None:
    for body in (b"{", b"[" * 30_000):
        assert "not JSON" in get_error(table.post("/v2/repository/index", data=body))


@pytest.mark.parametrize("verb", ["load", "unload"])
def test_the_repository_cannot_be_changed(table: FlaskClient, verb: str) -> None:
    message = get_error(table.post(f"/v2/repository/models/model/{verb}"))
    assert "change spec.model of the ScoringModel" in message


@pytest.mark.parametrize("path", ["/v2/nothing", "/v2/models/model/nothing", "/v1/models", "/v1"])
def test_an_unknown_path_is_told_in_the_shape_of_the_protocols(table: FlaskClient, path: str) -> None:
    assert "not found" in get_error(table.get(path), 404)


@pytest.mark.parametrize("path", [INFER, "/v2/models/model/versions/1.2.3/infer", "/v1/models/model:predict"])
def test_a_wrong_method_is_told_in_the_shape_of_the_protocols(table: FlaskClient, path: str) -> None:
    answer = table.get(path)
    assert get_error(answer, 405) == "This path takes POST only."
    assert answer.headers["Allow"] == "POST"
    assert "not allowed" in get_error(table.get("/v2/repository/index"), 405)
