"""The runtime behind a route with a path: it answers below the prefix, and without it."""

from collections.abc import Callable
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from scoring_runtime.errors import InvalidSettingsError
from scoring_runtime.settings import read_settings

MakeClient = Callable[..., FlaskClient]

QUESTION = {"input": "How do I copy a list?"}


@pytest.fixture
def client(make_client: MakeClient, faq_folder: Path) -> FlaskClient:
    return make_client(faq_folder, path_prefix="/team/faq")


@pytest.mark.parametrize("prefix", ["", "/team/faq"])
def test_model_scores_with_the_prefix_and_without_it(client: FlaskClient, prefix: str) -> None:
    answer = client.post(f"{prefix}/score", json=QUESTION)
    assert answer.status_code == 200
    assert answer.json
    assert answer.json["result"][0][0][:2] == [1, "a1"]


@pytest.mark.parametrize(
    "path", ["/", "/version", "/healthz", "/readyz", "/v2/health/ready", "/docs", "/docs/static/docs.css"]
)
@pytest.mark.parametrize("prefix", ["", "/team/faq"])
def test_pages_and_probes_answer_with_the_prefix_and_without_it(client: FlaskClient, prefix: str, path: str) -> None:
    with client.get(f"{prefix}{path}") as answer:
        assert answer.status_code == 200


def test_prefix_alone_is_the_root(client: FlaskClient) -> None:
    assert client.get("/team/faq").text == "Healthy"


@pytest.mark.parametrize("path", ["/team/faqs/score", "/team/faqscore", "/team/faq/team/faq/score", "/team/score"])
def test_only_whole_segments_are_stripped_and_only_once(client: FlaskClient, path: str) -> None:
    assert client.post(path, json=QUESTION).status_code == 404


def test_openapi_document_says_where_its_paths_are(client: FlaskClient) -> None:
    document = client.get("/team/faq/openapi.json").json
    assert document
    assert document["servers"] == [{"url": "/team/faq"}]


@pytest.mark.parametrize("prefix", ["faq", "/faq/", "/", "/a b"])
def test_prefix_that_is_none_is_refused(monkeypatch: pytest.MonkeyPatch, prefix: str) -> None:
    monkeypatch.setenv("SCORING_MODEL_URI", "file:///m")
    monkeypatch.setenv("SCORING_PATH_PREFIX", prefix)
    with pytest.raises(InvalidSettingsError, match="SCORING_PATH_PREFIX is"):
        read_settings()
