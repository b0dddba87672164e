"""Both samples, applied as their README says, ready and answering in real pods."""

import base64
import json
import math
import zlib

import httpx
import pytest

from artifacts import Artifacts
from endpoints import ask, find_address
from samples.demo.clusters import ROOT
from samples.resnet152.direct import load_classifier
from scoring_models import ScoringModels

HELD_OUT_ASKED = 60
TOLERANCE = 1e-3
PHOTOGRAPH = ROOT / "samples" / "resnet152" / "photograph.jpg"


@pytest.fixture(scope="module")
def faq(models: ScoringModels, artifacts: Artifacts) -> str:
    """Apply the FAQ's ScoringModel and wait until it is ready; return its name."""
    models.kubectl("apply", "-f", str(artifacts.faq_manifest))
    models.wait_until_ready("faq", timeout_seconds=180)
    return "faq"


@pytest.fixture(scope="module")
def resnet(models: ScoringModels, artifacts: Artifacts) -> str:
    """Apply ResNet-152's ScoringModel and wait until it is ready; return its name."""
    models.kubectl("apply", "-f", str(artifacts.resnet_manifest))
    models.wait_until_ready("resnet152", timeout_seconds=300)
    return "resnet152"


def test_faq_answers_held_out_questions(models: ScoringModels, faq: str, artifacts: Artifacts) -> None:
    questions = json.loads(artifacts.held_out.read_text())["questions"][:HELD_OUT_ASKED]
    found = [
        question["originalId"] in [match[0] for match in ask(models.kubectl, faq, question["text"])]
        for question in questions
    ]
    assert sum(found) / len(found) >= 0.6


def test_faq_answers_in_the_references_shape(models: ScoringModels, faq: str) -> None:
    matches = ask(models.kubectl, faq, "how do i remove one thing from an array")
    assert len(matches) == 3
    assert all(0 <= match[2] <= 1 for match in matches)
    assert matches == sorted(matches, key=lambda match: -match[2])


def test_endpoint_tells_what_it_serves(models: ScoringModels, faq: str, artifacts: Artifacts) -> None:
    address = find_address(models.kubectl, faq)
    assert httpx.get(address).text == "Healthy"
    assert httpx.get(f"{address}/readyz").status_code == 200
    assert httpx.get(f"{address}/version").json()["model"]["digest"] == artifacts.faq_digest
    assert "scoring_requests_total" in httpx.get(f"{address}/metrics").text


def test_resnet152_classifies_a_photograph_like_a_direct_torchvision_run(models: ScoringModels, resnet: str) -> None:
    photograph = PHOTOGRAPH.read_bytes()
    expected = load_classifier("initialised").classify(photograph)
    address = f"{find_address(models.kubectl, resnet)}/score"
    posts = [
        httpx.post(address, json={"input": {"image": base64.b64encode(photograph).decode()}}, timeout=60),
        httpx.post(address, files={"image": photograph}, timeout=60),
        httpx.post(address, content=photograph, headers={"Content-Type": "image/jpeg"}, timeout=60),
    ]
    for response in posts:
        answer = response.json()["result"][0]["image"]
        assert [label for label, _ in answer] == [label for label, _ in expected]
        assert all(
            math.isclose(got[1], wanted[1], abs_tol=TOLERANCE) for got, wanted in zip(answer, expected, strict=True)
        )
        assert all(label.startswith("n") and label[1:9].isdigit() for label, _ in answer)


@pytest.mark.parametrize(
    ("content", "headers", "status", "code", "message"),
    [
        (b"hello", {"Content-Type": "text/plain"}, 415, "UnsupportedMediaType", "Content-Type 'text/plain' is not read here. Send one of: application/json."),
        (b"{", {}, 400, "InvalidJson", None),
        (b"{}", {}, 400, "MissingInput", 'The body has no input: send a JSON object such as {"input": …}.'),
        (b'{"input": "  "}', {}, 400, "EmptyInput", "input is empty: send a question."),
        (b'{"input": 7}', {}, 400, "MissingInput", 'input must be a string: send {"input": "<question>"}.'),
        (b'{"input": "' + b"x" * 10_000_000 + b'"}', {}, 413, "BodyTooLarge", "The body is larger than 8388608 bytes. Send less at once."),
    ],
    ids=["text", "broken-json", "no-input", "blank", "number", "10-megabytes"],
)  # fmt: skip
def test_faq_refuses_bad_input(
    models: ScoringModels,
    faq: str,
    content: bytes,
    headers: dict[str, str],
    status: int,
    code: str,
    message: str | None,
) -> None:
    address = f"{find_address(models.kubectl, faq)}/score"
    response = httpx.post(address, content=content, headers={"Content-Type": "application/json", **headers}, timeout=30)
    error = response.json()["error"]
    assert (response.status_code, error["code"]) == (status, code)
    assert message is None or error["message"] == message


def make_enormous_png() -> bytes:
    """Return a PNG whose header tells of 50,000 x 50,000 pixels; decoding it would take 7.5 GB."""
    header = (50_000).to_bytes(4) + (50_000).to_bytes(4) + bytes([8, 2, 0, 0, 0])
    chunks = (b"IHDR", header), (b"IDAT", zlib.compress(b"")), (b"IEND", b"")
    parts = (len(data).to_bytes(4) + name + data + zlib.crc32(name + data).to_bytes(4) for name, data in chunks)
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


@pytest.mark.parametrize(
    ("content", "status", "code", "message"),
    [
        (b"not an image", 400, "InvalidImage", "image 'image' is not an image that can be read: send one of "),
        (PHOTOGRAPH.read_bytes()[:20_000], 400, "TruncatedImage", "image 'image' is truncated: send the whole file."),
        (make_enormous_png(), 413, "ImageTooLarge", "image 'image' has 50000 x 50000 pixels; at most 33554432 are read. Send a smaller one."),
    ],
    ids=["text", "truncated", "enormous"],
)  # fmt: skip
def test_resnet152_refuses_bad_images(
    models: ScoringModels, resnet: str, content: bytes, status: int, code: str, message: str
) -> None:
    address = f"{find_address(models.kubectl, resnet)}/score"
    response = httpx.post(address, content=content, headers={"Content-Type": "image/png"}, timeout=30)
    error = response.json()["error"]
    assert (response.status_code, error["code"]) == (status, code)
    assert error["message"].startswith(message)


def test_bad_input_has_restarted_no_container(models: ScoringModels, faq: str, resnet: str) -> None:
    for name in (faq, resnet):
        (pod,) = models.kubectl.list("pods", "-l", f"scoring.dev/model={name}")
        assert pod["status"]["containerStatuses"][0]["restartCount"] == 0
    models.kubectl("delete", "scoringmodel", faq, resnet)
