"""Tables over each protocol of JSON: texts that are missing reach the model as the NaN that it was trained with; what it does not know is refused."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import skops.io
from flask.testing import FlaskClient
from pydantic import ValidationError
from sklearn.compose import make_column_transformer
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from runtime_clients import open_client
from scoring_runtime.settings import Settings
from scoring_runtime.tensors import TensorSpec

TABLE = pd.DataFrame({"city": ["Oslo", np.nan, "Bergen", np.nan], "note": ["a good one", "bad", "good", "bad one"]})
LABELS = ["known", "unknown", "known", "unknown"]
ROW = {"city": None, "note": "one"}


@pytest.fixture(scope="module")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that tells by the missing city alone, at the place of an imputed one."""
    folder = tmp_path_factory.mktemp("missing")
    cities = make_pipeline(SimpleImputer(strategy="constant", fill_value="none"), OneHotEncoder())
    columns = make_column_transformer((cities, ["city"]), (CountVectorizer(), "note"))
    skops.io.dump(make_pipeline(columns, LogisticRegression()).fit(TABLE, LABELS), folder / "model.skops")
    manifest: dict[str, Any] = {
        "name": "missing",
        "version": "1",
        "format": "sklearn",
        "task": "prediction",
        "model": "model.skops",
    }
    manifest["example"] = {"input": [ROW]}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


@pytest.fixture
def client(artifact: Path, make_settings: Callable[..., Settings]) -> FlaskClient:
    return open_client(make_settings(artifact.as_uri()))


def ask(client: FlaskClient, path: str, body: Any) -> Any:
    answer = client.post(path, json=body)
    assert answer.status_code == 200, answer.text
    return answer.json


def test_score(client: FlaskClient) -> None:
    assert ask(client, "/score", {"input": [ROW, {**ROW, "city": "Oslo"}]})["result"][0] == ["unknown", "known"]


def test_open_inference_protocol(client: FlaskClient) -> None:
    tensors = [
        {"name": name, "datatype": "BYTES", "shape": [2], "data": data}
        for name, data in {"city": [None, "Oslo"], "note": ["one", "one"]}.items()
    ]
    answer = ask(client, "/v2/models/model/infer", {"inputs": tensors})
    assert answer["outputs"][0]["data"] == ["unknown", "known"]


@pytest.mark.parametrize("body", [{"instances": [ROW]}, {"inputs": {"city": [None], "note": ["one"]}}])
def test_predict(client: FlaskClient, body: Any) -> None:
    answer = ask(client, "/v1/models/model:predict", body)
    assert (answer.get("predictions") or answer["outputs"]) == ["unknown"]


def test_openapi_tells_which_texts_may_be_missing(client: FlaskClient) -> None:
    document = client.get("/openapi.json").json
    assert document is not None
    schema = document["paths"]["/score"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    rows = json.dumps(schema)
    assert '"city": {"type": ["string", "null"]}' in rows
    assert '"note": {"type": ["string", "null"]}' not in rows


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/score", {"input": [{"city": "Oslo", "note": None}]}),
        ("/v1/models/model:predict", {"instances": [{"city": "Oslo", "note": None}]}),
    ],
)
def test_text_of_a_vectoriser_may_not_be_missing(client: FlaskClient, path: str, body: Any) -> None:
    answer = client.post(path, json=body)
    assert answer.status_code == 400
    assert "note" in answer.text


def test_category_that_the_encoder_does_not_know_is_the_requests_error(client: FlaskClient) -> None:
    answer = client.post("/score", json={"input": [{**ROW, "city": "Atlantis"}]})
    assert answer.status_code == 400
    assert "not trained with the categories ['Atlantis']" in answer.text
    assert client.post("/score", json={"input": [ROW]}).status_code == 200


def test_wrong_value_is_told_that_null_would_do(client: FlaskClient) -> None:
    answer = client.post("/score", json={"input": [{**ROW, "city": 7}]})
    assert "input[0].city is 7; a text or null is expected here" in answer.text


def test_only_texts_can_be_declared_nullable() -> None:
    with pytest.raises(ValidationError, match="only BYTES can be nullable"):
        TensorSpec(name="age", datatype="INT32", shape=(-1,), nullable=True)
