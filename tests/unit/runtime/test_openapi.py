"""The OpenAPI document of each task, and the page that shows it."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from flask.testing import FlaskClient
from openapi_spec_validator import OpenAPIV31SpecValidator

from runtime_clients import open_client
from scoring_runtime.settings import Settings
from tensor_models import TABLE_EXAMPLE, write_artifact

MakeSettings = Callable[..., Settings]
MakeTensorClient = Callable[..., FlaskClient]


@pytest.fixture
def make_tensor_client(make_settings: MakeSettings, tmp_path: Path) -> MakeTensorClient:
    def make(class_name: str, **fields: Any) -> FlaskClient:
        return open_client(make_settings(write_artifact(tmp_path / class_name, class_name, **fields).as_uri()))

    return make


@pytest.fixture
def table(make_tensor_client: MakeTensorClient) -> FlaskClient:
    return make_tensor_client("Table", example=TABLE_EXAMPLE)


def read_document(client: FlaskClient) -> Any:
    document: Any = client.get("/openapi.json").json
    OpenAPIV31SpecValidator(document).validate()
    return document


def list_requests(document: Any) -> Iterator[tuple[str, Any]]:
    """Yield each path that scores with the JSON part of its request."""
    for path, methods in document["paths"].items():
        if "post" in methods:
            yield path, methods["post"]["requestBody"]["content"]["application/json"]


@pytest.mark.parametrize("class_name", ["Table", "Mirror", "Upper", "Columns"])
def test_every_example_is_a_request_that_scores_and_fits_its_schema(
    make_tensor_client: MakeTensorClient, class_name: str
) -> None:
    fields = {"example": TABLE_EXAMPLE} if class_name == "Table" else {}
    client = make_tensor_client(class_name, **fields)
    document = read_document(client)
    requests = dict(list_requests(document))
    assert len(requests) == 5
    for path, request in requests.items():
        jsonschema.validate(request["example"], request["schema"])
        answer = client.post(path, json=request["example"])
        assert answer.status_code == 200, answer.text
        answered = document["paths"][path]["post"]["responses"]["200"]["content"]["application/json"]["schema"]
        jsonschema.validate(answer.json, answered)


def test_every_path_that_is_asked_answers(table: FlaskClient) -> None:
    asked = [path for path, methods in read_document(table)["paths"].items() if "get" in methods]
    assert {"/", "/version", "/metrics", "/v2", "/v2/models/model", "/v1/models/model/metadata"} <= set(asked)
    assert {path: table.get(path).status_code for path in asked} == dict.fromkeys(asked, 200)


def test_the_document_names_the_model(table: FlaskClient) -> None:
    info = read_document(table)["info"]
    assert info["title"] == "model: tensors"
    assert info["version"] == "1.2.3"


def test_errors_have_the_shape_that_the_document_tells(table: FlaskClient) -> None:
    document = read_document(table)
    for path in dict(list_requests(document)):
        name = document["paths"][path]["post"]["responses"]["400"]["$ref"].rpartition("/")[2]
        content = document["components"]["responses"][name]["content"]["application/json"]
        schema = {**content["schema"], "components": document["components"]}
        jsonschema.validate(table.post(path, json={}).json, schema)


def test_the_example_of_the_manifest_is_in_every_request(table: FlaskClient) -> None:
    requests = dict(list_requests(read_document(table)))
    assert requests["/score"]["example"] == TABLE_EXAMPLE
    assert requests["/v1/models/model:predict"]["example"] == {"instances": [[1, 2, 3, 4]]}
    assert requests["/v2/models/model/infer"]["example"]["inputs"][0]["data"] == [1, 2, 3, 4]


def test_an_example_too_long_to_read_is_left_out(make_tensor_client: MakeTensorClient) -> None:
    rows = {"input": [[1, 2, 3, 4]] * 50}
    requests = dict(list_requests(read_document(make_tensor_client("Table", example=rows))))
    assert "example" not in requests["/v2/models/model/infer"]


def test_faq_matching_is_described_with_its_question(faq_client: FlaskClient) -> None:
    requests = dict(list_requests(read_document(faq_client)))
    assert requests["/score"]["schema"]["properties"]["input"]["type"] == "string"
    assert requests["/v1/models/model:predict"]["example"] == {"instances": ["How do I copy a list?"]}


def test_image_classification_is_described_with_its_uploads(image_client: FlaskClient) -> None:
    content = read_document(image_client)["paths"]["/score"]["post"]["requestBody"]["content"]
    assert set(content) == {"application/json", "multipart/form-data", "image/*"}


def test_there_is_no_document_before_the_model_is_loaded(make_settings: MakeSettings) -> None:
    client = open_client(make_settings("file:///model"), is_loaded=False)
    for path in ("/openapi.json", "/docs"):
        assert client.get(path).status_code == 503


def test_the_page_shows_every_path_and_the_example(table: FlaskClient) -> None:
    page = table.get("/docs")
    assert page.content_type == "text/html; charset=utf-8"
    for path in read_document(table)["paths"]:
        assert f"<code>{path}</code>" in page.text
    assert "--json" in page.text
    assert "[[1,2,3,4]]" in page.text


def test_the_page_loads_its_own_style_sheet_and_nothing_else(table: FlaskClient) -> None:
    page = table.get("/docs")
    assert page.headers["Content-Security-Policy"].startswith("default-src 'none'; style-src 'self'")
    assert page.headers["X-Content-Type-Options"] == "nosniff"
    assert re.findall(r'<(?:link|script|img)[^>]*(?:href|src)="([^"]+)"', page.text) == ["docs/static/docs.css"]
    style = table.get("/docs/static/docs.css")
    assert style.status_code == 200
    assert style.mimetype == "text/css"
    style.close()


def test_what_a_manifest_says_is_text_on_the_page(make_tensor_client: MakeTensorClient) -> None:
    evil = "<script>alert('x')</script>"
    client = make_tensor_client("Upper", name=evil, example={"input": [evil]})
    page = client.get("/docs").text
    assert "<script" not in page
    assert "&lt;script&gt;" in page
