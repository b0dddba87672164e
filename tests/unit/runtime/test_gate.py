"""The gate over HTTP: who is let in, what the others are told, and what is counted."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from runtime_clients import open_client
from scoring_runtime.access import Caller
from scoring_runtime.access.clients import MAX_FORWARDED_CHARACTERS, ClientFinder
from scoring_runtime.access.gate import OPEN_PATHS, Gate, Limits
from scoring_runtime.access.keys import KeyRing, hash_key
from scoring_runtime.access.limits import UseLimit
from scoring_runtime.settings import Settings
from tensor_models import TABLE_EXAMPLE, write_artifact

MakeSettings = Callable[..., Settings]
OpenGate = Callable[..., FlaskClient]

SCORING_PATHS = ("/score", "/v2/models/model/infer", "/v1/models/model:predict")
ROW = [[1.0, 2, 3, 4.5]]
BODIES: dict[str, Any] = {
    "/score": {"input": ROW},
    "/v2/models/model/infer": {"inputs": [{"name": "features", "datatype": "FP64", "shape": [1, 4], "data": ROW}]},
    "/v1/models/model:predict": {"instances": ROW},
}


@pytest.fixture
def open_gate(make_settings: MakeSettings, tmp_path: Path) -> OpenGate:
    """Return a client of a model behind a gate with four keys."""
    keys = tmp_path / "keys"
    keys.mkdir()
    (keys / "shop").write_text(hash_key("good"))
    (keys / "old").write_text(f"{hash_key('old')} expires=2020-01-01T00:00:00Z")
    (keys / "other").write_text(f"{hash_key('other')} models=another")
    (keys / "mine").write_text(f"{hash_key('mine')} models=another,model expires=2100-01-01T00:00:00+01:00")

    def make(**values: Any) -> FlaskClient:
        uri = write_artifact(tmp_path / "model", "Table", example=TABLE_EXAMPLE).as_uri()
        return open_client(make_settings(uri, **{"api_keys_dir": keys, **values}))

    return make


def post(client: FlaskClient, path: str = "/score", key: str | None = None, **headers: str) -> Any:
    bearer = {} if key is None else {"Authorization": f"Bearer {key}"}
    return client.post(path, json=BODIES[path], headers={**bearer, **headers})


@pytest.mark.parametrize("path", SCORING_PATHS)
@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": "Bearer good"},
        {"authorization": "bEARER  good "},
        {"X-API-Key": "good"},
        {"X-API-Key": "mine"},
    ],
)
def test_key_is_let_in(open_gate: OpenGate, path: str, headers: dict[str, str]) -> None:
    assert post(open_gate(), path, **headers).status_code == 200


@pytest.mark.parametrize("path", SCORING_PATHS)
@pytest.mark.parametrize(
    ("headers", "status", "challenge"),
    [
        ({}, 401, 'Bearer realm="scoring"'),
        ({"Authorization": "Basic Z29vZDo="}, 401, 'Bearer realm="scoring"'),
        ({"Authorization": "Bearer"}, 401, 'Bearer realm="scoring"'),
        ({"Authorization": "Bearer bad"}, 401, 'Bearer realm="scoring", error="invalid_token"'),
        ({"Authorization": "Bearer good,Bearer bad"}, 401, 'Bearer realm="scoring", error="invalid_token"'),
        ({"Authorization": "Bearer " + hash_key("good")}, 401, 'Bearer realm="scoring", error="invalid_token"'),
        ({"X-API-Key": ""}, 401, 'Bearer realm="scoring", error="invalid_token"'),
        ({"X-API-Key": "x" * 10_000}, 401, 'Bearer realm="scoring", error="invalid_token"'),
        ({"X-API-Key": "old"}, 401, 'Bearer realm="scoring", error="invalid_token"'),
        ({"X-API-Key": "other"}, 403, 'Bearer realm="scoring", error="insufficient_scope"'),
        ({"Authorization": "Bearer bad", "X-API-Key": "good"}, 401, 'Bearer realm="scoring", error="invalid_token"'),
    ],
)
def test_others_are_told_why_not(
    open_gate: OpenGate, path: str, headers: dict[str, str], status: int, challenge: str
) -> None:
    answer = post(open_gate(), path, **headers)
    assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (status, challenge)
    error = answer.json["error"]
    if path == "/score":
        assert error["code"] == ("Unauthorized" if status == 401 else "Forbidden")
    else:
        assert isinstance(error, str)
    assert "good" not in answer.text


@pytest.mark.parametrize("path", sorted(OPEN_PATHS))
def test_probes_need_no_key(open_gate: OpenGate, path: str) -> None:
    assert open_gate(rate_per_client=0.001).get(path).status_code == 200


@pytest.mark.parametrize("path", ["/version", "/openapi.json", "/docs", "/v2", "/v2/models/model", "/nothing"])
def test_what_tells_of_the_model_needs_a_key(open_gate: OpenGate, path: str) -> None:
    client = open_gate()
    assert client.get(path).status_code == 401
    assert client.get(path, headers={"X-API-Key": "good"}).status_code in {200, 404}


def test_key_counts_by_name(open_gate: OpenGate) -> None:
    client = open_gate()
    for key in ("good", "good", "bad", "other"):
        post(client, key=key)
    lines = client.get("/metrics").text.splitlines()
    assert 'scoring_key_requests_total{code="200",key="shop"} 2.0' in lines
    assert 'scoring_key_requests_total{code="401",key="(none)"} 1.0' in lines
    assert 'scoring_requests_total{code="403",format="(none)",protocol="score"} 1.0' in lines
    assert not [line for line in lines if "good" in line]


def test_document_tells_of_keys_only_where_they_are_asked_for(open_gate: OpenGate) -> None:
    document = open_gate().get("/openapi.json", headers={"X-API-Key": "good"}).json
    assert set(document["components"]["securitySchemes"]) == {"bearer", "apiKey"}
    assert document["paths"]["/readyz"]["get"]["security"] == []
    assert {"401", "403"} <= document["paths"]["/score"]["post"]["responses"].keys()
    assert "429" not in document["paths"]["/score"]["post"]["responses"]
    assert "securitySchemes" not in open_gate(api_keys_dir=None).get("/openapi.json").text


def test_document_tells_of_limits_where_there_are_some(open_gate: OpenGate) -> None:
    document = open_gate(api_keys_dir=None, max_requests_per_client=4).get("/openapi.json").json
    assert "429" in document["paths"]["/v2/models/model/infer"]["post"]["responses"]
    assert "429" not in document["paths"]["/readyz"]["get"]["responses"]
    assert not {"401", "403"} & document["paths"]["/score"]["post"]["responses"].keys()


def test_client_that_asks_too_much_is_told_when_to_come_back(open_gate: OpenGate) -> None:
    client = open_gate(api_keys_dir=None, rate_per_client=0.01, burst_per_client=2)
    statuses = [post(client).status_code for _ in range(3)]
    answer = post(client)
    assert statuses == [200, 200, 429]
    assert (answer.status_code, answer.json["error"]["code"]) == (429, "TooManyRequests")
    assert 0 < int(answer.headers["Retry-After"]) <= 100
    assert answer.headers["RateLimit-Policy"] == '"client";q=2;w=200'
    assert answer.headers["RateLimit"] == f'"client";r=0;t={answer.headers["Retry-After"]}'
    assert post(client, **{"X-Forwarded-For": "192.0.2.1"}).status_code == 429


def test_clients_behind_a_trusted_proxy_are_told_apart(open_gate: OpenGate) -> None:
    limits = {"rate_per_client": 0.01, "trusted_proxies": ("127.0.0.1/32",)}
    client = open_gate(api_keys_dir=None, **limits)
    addresses = ("192.0.2.1", "192.0.2.2", "192.0.2.1")
    assert [post(client, **{"X-Forwarded-For": address}).status_code for address in addresses] == [200, 200, 429]
    # However much stands before it: only the end is kept, and remembered.
    assert post(client, **{"X-Forwarded-For": "192.0.2.9, " * 1000 + "192.0.2.2"}).status_code == 429


def test_long_list_of_addresses_is_cut_between_two_of_them() -> None:
    clients = ClientFinder(("127.0.0.1/32",))
    kept = clients.take_forwarded("192.0.2.9," * 1000 + "192.0.2.2")
    assert kept is not None
    assert len(kept) <= MAX_FORWARDED_CHARACTERS
    assert set(kept.split(",")) == {"192.0.2.9", "192.0.2.2"}
    assert clients.take_forwarded("1" * 100_000) == ""
    assert ClientFinder(()).take_forwarded("192.0.2.1") is None


def test_key_that_looks_like_a_token_is_a_key(tmp_path: Path) -> None:
    (tmp_path / "sent").write_text(hash_key("SG.from.elsewhere"))
    gate = Gate("model", ClientFinder(()), Limits(), KeyRing(tmp_path), BrokenTokens())
    _, caller = gate.enter("192.0.2.7", "Bearer SG.from.elsewhere")
    assert caller is not None
    assert caller.name == "sent"


def test_key_that_asks_too_much_leaves_other_keys_alone(open_gate: OpenGate) -> None:
    client = open_gate(rate_per_key=0.01)
    assert [post(client, key=key).status_code for key in ("good", "good", "mine", "bad")] == [200, 429, 200, 401]


def test_guessing_keys_counts_against_the_client(open_gate: OpenGate) -> None:
    client = open_gate(rate_per_client=0.01, burst_per_client=3)
    assert [post(client, key=str(number)).status_code for number in range(4)] == [401, 401, 401, 429]


@pytest.mark.parametrize("path", SCORING_PATHS)
@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "zstd", "identity, gzip"])
def test_compressed_body_is_refused(open_gate: OpenGate, path: str, encoding: str) -> None:
    answer = post(open_gate(), path, "good", **{"Content-Encoding": encoding})
    assert answer.status_code == 415
    assert answer.headers["Accept-Encoding"] == "identity"


@pytest.mark.parametrize("path", SCORING_PATHS)
def test_other_methods_pass_the_gate_too(open_gate: OpenGate, path: str) -> None:
    assert open_gate().get(path).status_code == 401
    assert open_gate().get(path, headers={"X-API-Key": "good"}).status_code == 405
    limited = open_gate(api_keys_dir=None, rate_per_client=0.01, burst_per_client=1)
    assert [limited.put(path).status_code for _ in range(2)] == [405, 429]


def test_large_body_of_another_method_ends_the_connection(open_gate: OpenGate) -> None:
    answer = open_gate(api_keys_dir=None).put("/score", data=b" " * 400_000)
    assert (answer.status_code, answer.headers["Connection"]) == (413, "close")


def test_body_of_a_page_is_bounded(open_gate: OpenGate) -> None:
    client = open_gate(api_keys_dir=None)
    assert client.post("/v2/repository/index", data=b" " * 2**16).status_code == 200
    assert client.post("/v2/repository/index", data=b" " * (2**16 + 1)).status_code == 413
    assert client.post("/nothing", data=b" " * (2**16 + 1)).status_code == 413


class BrokenTokens:
    """Fails in a way that nobody expects."""

    def open(self, pause: object) -> None:
        """Do nothing."""

    def verify(self, token: str) -> Caller:
        raise RuntimeError(token)


def test_place_is_given_back_when_identifying_fails_unexpectedly() -> None:
    limits = Limits(per_client=UseLimit("this client", most_inside=1))
    gate = Gate("model", ClientFinder(()), limits, None, BrokenTokens())
    for _ in range(3):
        with pytest.raises(RuntimeError):
            gate.enter("192.0.2.7", "Bearer a.b.c")
