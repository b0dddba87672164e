"""TensorFlow Serving's REST shape: rows and columns in, predictions and outputs out."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from runtime_clients import open_client
from scoring_runtime.json_tensors import write_tensor
from scoring_runtime.settings import Settings
from tensor_models import TABLE_EXAMPLE, write_artifact

PREDICT = "/v1/models/model:predict"

MakeSettings = Callable[..., Settings]
MakeTensorClient = Callable[[str], FlaskClient]


@pytest.fixture
def make_tensor_client(make_settings: MakeSettings, tmp_path: Path) -> MakeTensorClient:
    def make(class_name: str) -> FlaskClient:
        fields = {"example": TABLE_EXAMPLE} if class_name == "Table" else {}
        return open_client(make_settings(write_artifact(tmp_path / class_name, class_name, **fields).as_uri()))

    return make


@pytest.fixture
def table(make_tensor_client: MakeTensorClient) -> FlaskClient:
    return make_tensor_client("Table")


@pytest.fixture
def columns(make_tensor_client: MakeTensorClient) -> FlaskClient:
    return make_tensor_client("Columns")


@pytest.fixture
def loading(make_settings: MakeSettings) -> FlaskClient:
    return open_client(make_settings("file:///model"), is_loaded=False)


def nest(value: Any, depth: int) -> Any:
    return [nest(value, depth - 1)] if depth else value


def get_error(answer: TestResponse, status: int = 400) -> str:
    assert answer.status_code == status
    assert answer.json is not None
    assert list(answer.json) == ["error"]
    message: str = answer.json["error"]
    return message


def test_rows_are_answered_by_rows_of_all_outputs(table: FlaskClient) -> None:
    answer = table.post(PREDICT, json={"instances": [[1, 2, 3, 4], [-1, -2, -3, -4]]})
    assert answer.status_code == 200
    assert answer.json == {"predictions": [{"sum": 10, "sign": "positive"}, {"sum": -10, "sign": "negative"}]}


def test_rows_may_name_their_values(columns: FlaskClient) -> None:
    rows = [{"city": "Bern", "age": 2}, {"age": 3, "city": "Chur"}]
    answer = columns.post(PREDICT, json={"signature_name": "serving_default", "instances": rows})
    assert answer.json == {"predictions": [{"known": True, "months": 24}, {"known": False, "months": 36}]}


def test_columns_are_answered_by_columns(columns: FlaskClient) -> None:
    answer = columns.post(PREDICT, json={"inputs": {"city": ["Bern", "Chur"], "age": [2, 3]}})
    assert answer.json == {"outputs": {"known": [True, False], "months": [24, 36]}}


def test_the_only_input_needs_no_name_and_the_only_output_has_none(make_settings: MakeSettings, tmp_path: Path) -> None:
    signature = {
        "inputs": [{"name": "features", "datatype": "FP64", "shape": [-1, 4]}],
        "outputs": [{"name": "sum", "datatype": "FP64", "shape": [-1]}],
    }
    folder = write_artifact(tmp_path / "one", "Table", signature=signature, example=TABLE_EXAMPLE)
    client = open_client(make_settings(folder.as_uri()))
    assert client.post(PREDICT, json={"inputs": [[1, 2, 3, 4]]}).json == {"outputs": [10]}
    assert client.post(PREDICT, json={"instances": [[1, 2, 3, 4]]}).json == {"predictions": [10]}
    assert client.post(PREDICT, json={"inputs": {"features": [[1, 2, 3, 4]]}}).json == {"outputs": [10]}


def test_bytes_may_be_base64(make_tensor_client: MakeTensorClient) -> None:
    upper = make_tensor_client("Upper")
    answer = upper.post(PREDICT, json={"instances": [{"b64": "w6Q="}, "b"]})
    assert answer.json == {"predictions": [{"upper": "Ä", "length": 1}, {"upper": "B", "length": 1}]}
    named = upper.post(PREDICT, json={"instances": [{"text": {"b64": "w6Q="}}]})
    assert named.json == {"predictions": [{"upper": "Ä", "length": 1}]}
    assert "'text' is not base64" in get_error(upper.post(PREDICT, json={"instances": [{"b64": 3}]}))


def test_bytes_that_are_no_text_are_answered_as_base64() -> None:
    values = np.array([[b"a", b"\xff"], ["ä", 3]], dtype=object)
    assert write_tensor(values) == [["a", {"b64": "/w=="}], ["ä", "3"]]


def test_the_version_that_is_served_may_be_named(table: FlaskClient) -> None:
    path = "/v1/models/model/versions/1.2.3:predict"
    assert table.post(path, json={"instances": [[1, 2, 3, 4]]}).status_code == 200


@pytest.mark.parametrize("path", ["/v1/models/other:predict", "/v1/models/model/versions/9:predict"])
def test_another_model_or_version_is_not_found(table: FlaskClient, path: str) -> None:
    assert "served" in get_error(table.post(path, json={"instances": [[1, 2, 3, 4]]}), 404)


@pytest.mark.parametrize(
    ("payload", "message"),
    [
        ([], "neither instances nor inputs"),
        ({}, "neither instances nor inputs"),
        ({"instances": [], "inputs": []}, "both instances and inputs"),
        ({"instances": 3}, "instances must be a list"),
        ({"instances": []}, "is empty"),
        ({"instances": [[1, 2, 3]]}, "instances[0] has 3 values; the model takes 4"),
        ({"instances": [[1, 2, 3, "4"]]}, "instances[0][3] is the text '4'"),
        ({"instances": [[1, 2, 3, 4]], "signature_name": "other"}, "The model has one signature"),
        ({"instances": [{"other": [1, 2, 3, 4]}]}, "There is no input 'other'"),
        ({"instances": [{"features": [1, 2, 3, 4]}, {"other": 1}]}, "name different inputs"),
        ({"instances": [{"features": [1, 2, 3, 4]}, 3]}, "name different inputs"),
        ({"inputs": {}}, "lacks the input 'features'"),
        ({"inputs": {"features": [[1, None, 3]]}}, "inputs.features[0] has 3 values"),
    ],
)
def test_a_wrong_request_is_told(table: FlaskClient, payload: Any, message: str) -> None:
    assert message in get_error(table.post(PREDICT, json=payload))


@pytest.mark.parametrize(
    ("payload", "message"),
    [
        ({"instances": [[1]]}, "several inputs, 'city', 'age'"),
        ({"inputs": [[1]]}, "several inputs, 'city', 'age'"),
        ({"instances": [{"city": 3, "age": 1}]}, "'city' holds other values than texts"),
        ({"instances": [{"city": "Bern", "age": 1.5}]}, "instances[0].age is 1.5"),
        ({"inputs": {"city": nest("Bern", 34), "age": [1]}}, "'city' has the shape [1, 1"),
        ({"inputs": {"city": nest("Bern", 100), "age": [1]}}, "'city' has the shape [1, 1"),
        ({"inputs": {"city": ["Bern"], "age": [1, 2]}}, "different numbers of items"),
    ],
)
def test_wrong_columns_are_told(columns: FlaskClient, payload: Any, message: str) -> None:
    assert message in get_error(columns.post(PREDICT, json=payload))


def test_a_failing_model_is_told_without_its_internals(table: FlaskClient) -> None:
    assert "secret" not in get_error(table.post(PREDICT, json={"instances": [[0, 0, 0, 0]]}), 500)


def test_the_status_tells_the_version_and_that_it_is_available(table: FlaskClient) -> None:
    status = {"version": "1.2.3", "state": "AVAILABLE", "status": {"error_code": "OK", "error_message": ""}}
    for path in ("/v1/models/model", "/v1/models/model/versions/1.2.3"):
        assert table.get(path).json == {"model_version_status": [status]}
    assert "served" in get_error(table.get("/v1/models/other"), 404)


def test_the_status_tells_that_the_model_is_being_loaded(loading: FlaskClient) -> None:
    status = loading.get("/v1/models/model").json["model_version_status"][0]
    assert status["state"] == "LOADING"
    assert "Not ready" in get_error(loading.post(PREDICT, json={"instances": [1]}), 503)


def test_the_metadata_tells_the_signature(columns: FlaskClient) -> None:
    metadata = columns.get("/v1/models/model/metadata").json
    assert metadata["model_spec"] == {"name": "model", "signature_name": "", "version": "1.2.3"}
    signature = metadata["metadata"]["signature_def"]["signature_def"]["serving_default"]
    assert signature["inputs"]["city"] == {
        "dtype": "DT_STRING",
        "tensor_shape": {"dim": [{"size": "-1", "name": ""}], "unknown_rank": False},
        "name": "city",
    }
    assert {name: output["dtype"] for name, output in signature["outputs"].items()} == {
        "known": "DT_BOOL",
        "months": "DT_INT64",
    }
