"""The Open Inference Protocol over HTTP and gRPC in a real pod, by Triton's client; batching as the ScoringModel says."""

from collections.abc import Iterator
from typing import Any

import httpx
import numpy as np
import pytest
import tritonclient.grpc
import tritonclient.http

from endpoints import find_address
from scoring_models import ScoringModels

NAME = "over-grpc"
QUESTION = "how do i remove one thing from an array"
FAQ = {"uri": "pvc://models/faq/javascript-faq.tar", "format": "sklearn"}


@pytest.fixture(scope="module")
def host(models: ScoringModels) -> Iterator[str]:
    """Serve the FAQ with gRPC and batching; yield the Service's address."""
    batching = {"maxSize": 8, "maxDelayMilliseconds": 5}
    models.apply(NAME, model=FAQ, hardwareClass="e2e-small", endpoint={"grpc": True}, batching=batching)
    models.wait_until_ready(NAME, timeout_seconds=180)
    yield find_address(models.kubectl, NAME).removeprefix("http://")
    models.kubectl("delete", "scoringmodel", NAME)


def ask_triton(module: Any, client: Any) -> list[bytes]:
    """Return the answer ids of the question."""
    question = module.InferInput("question", [1], "BYTES")
    question.set_data_from_numpy(np.array([QUESTION.encode()], dtype=np.object_))
    answer = client.infer(NAME, [question], outputs=[module.InferRequestedOutput("id")])
    ids: list[bytes] = answer.as_numpy("id").reshape(-1).tolist()
    return ids


def test_triton_clients_get_the_answers_of_score(host: str) -> None:
    result = httpx.post(f"http://{host}/score", json={"input": QUESTION}, timeout=30).json()["result"][0]
    expected = [str(match[0]).encode() for match in result]
    assert ask_triton(tritonclient.http, tritonclient.http.InferenceServerClient(host)) == expected
    with tritonclient.grpc.InferenceServerClient(f"{host}:8081") as client:
        assert client.is_model_ready(NAME)
        assert ask_triton(tritonclient.grpc, client) == expected


def test_batching_is_as_the_scoring_model_says(host: str) -> None:
    assert httpx.get(f"http://{host}/version").json()["model"]["batching"] == {
        "maxSize": 8,
        "maxDelayMilliseconds": 5.0,
    }
