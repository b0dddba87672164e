"""What the page asks for: answers with their texts, and what goes wrong in words. Models' troubles are scripted ones."""

import json
import os
import socket
from typing import Any

import pytest

from app_visitors import AppVisitor, MakeApp, Mounted
from samples.client.answers import Answers
from scripted_models import ScriptedModel

JPEG: dict[str, Any] = {"data": b"\xff\xd8\xff", "content_type": "image/jpeg"}


def refuse(status: int, code: str, message: str = "said by the runtime", **headers: str) -> dict[str, object]:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return {"status": status, "body": {"error": {"code": code, "message": message}}, "headers": named}


def test_question_gets_faqs_with_their_texts(ann: AppVisitor, model: ScriptedModel) -> None:
    assert ann.ask("What is ===?").json == {
        "matches": [
            {"id": 1, "title": "== or ===?", "answer": "Use `===`.", "score": 0.94},
            {"id": 2, "title": "FAQ unknown", "answer": "", "score": 0.2},
        ],
        "milliseconds": 1.5,
    }
    ((path, headers, body),) = model.requests
    assert (path, json.loads(body)) == ("/score", {"input": "What is ===?"})
    assert headers["Authorization"] == "Bearer the key of the model"
    assert "Cookie" not in headers


def test_key_may_change_or_be_missing(ann: AppVisitor, model: ScriptedModel, mounted: Mounted) -> None:
    (mounted.secrets / "api-key").write_text("another")
    ann.ask()
    (mounted.secrets / "api-key").unlink()
    ann.ask()
    assert [headers.get("Authorization") for _, headers, _ in model.requests] == ["Bearer another", None]


def test_key_never_reaches_the_browser(ann: AppVisitor, model: ScriptedModel) -> None:
    model.body = {"error": {"code": "Unauthorized", "message": "no"}}
    model.status = 401
    for answer in (ann.get("/"), ann.ask(), ann.get("/static/app.js")):
        assert "the key of the model" not in answer.text + str(answer.headers)


def test_picture_gets_labels(ann: AppVisitor, model: ScriptedModel) -> None:
    model.body = {"result": [{"image": [["n02127052 lynx, catamount", 0.9966], ["cat", 0.002]]}, "Computed in 12 ms"]}
    answer = ann.post("/api/classify", **JPEG)
    labels = [{"label": "lynx, catamount", "score": 0.9966}, {"label": "cat", "score": 0.002}]
    assert answer.json == {"labels": labels, "milliseconds": 12.0}
    ((_, headers, body),) = model.requests
    assert (headers["Content-Type"], body) == ("image/jpeg", b"\xff\xd8\xff")


def test_picture_may_be_larger_than_other_bodies(ann: AppVisitor, model: ScriptedModel) -> None:
    model.body = {"result": [{"image": [["cat", 1.0]]}, "Computed in 12 ms"]}
    assert ann.post("/api/classify", data=b"x" * (8 * 1024 * 1024), content_type="image/png").status_code == 200
    ((_, _, body),) = model.requests
    assert len(body) == 8 * 1024 * 1024


@pytest.mark.parametrize("question", ["", "  ", None, 5, ["a"]])
def test_empty_question_is_not_asked(ann: AppVisitor, model: ScriptedModel, question: object) -> None:
    answer = ann.ask(question)
    assert (answer.status_code, answer.json["error"]["code"]) == (400, "NoQuestion")
    assert model.requests == []


def test_what_is_too_large_or_no_picture_is_not_sent_on(ann: AppVisitor, model: ScriptedModel) -> None:
    assert ann.ask("x" * 10_001).status_code == 413
    assert ann.ask("x" * 100_000).status_code == 413
    assert ann.post("/api/classify", data=b"x" * (8 * 1024 * 1024 + 1), content_type="image/png").status_code == 413
    assert ann.post("/api/classify", data=b"<svg/>", content_type="image/svg+xml").json["error"]["code"] == "NoPicture"
    assert model.requests == []


@pytest.mark.parametrize(
    ("refused", "status", "code", "wait"),
    [
        (refuse(401, "Unauthorized"), 502, "KeyRefused", None),
        (refuse(403, "Forbidden"), 502, "KeyNotForThisModel", None),
        (refuse(404, "NotFound"), 502, "NoModelThere", None),
        (refuse(413, "InputTooLong"), 413, "TooLarge", None),
        (refuse(429, "TooManyRequests", Retry_After="7"), 429, "TooManyRequests", 7),
        (refuse(503, "Overloaded", Retry_After="2"), 503, "Busy", 2),
        (refuse(503, "NotReady"), 503, "ModelNotReady", 10),
        (refuse(408, "BodyTimeout"), 504, "TooSlow", None),
        (refuse(500, "ScoringFailed"), 502, "ModelFailed", None),
        (refuse(429, "TooManyRequests", Retry_After="Thu, 26 Nov 2026"), 429, "TooManyRequests", None),
        ({"status": 503, "body": b"<html>no healthy upstream</html>"}, 503, "Busy", None),
        ({"status": 302, "headers": {"Location": "http://127.0.0.1:1/"}}, 502, "ModelFailed", None),
        ({"body": b"not JSON"}, 502, "NotUnderstood", None),
        ({"body": b"[" * 100_000}, 502, "NotUnderstood", None),
        ({"body": b" " * (1024 * 1024 + 1)}, 502, "NotUnderstood", None),
        ({"body": {"result": [{"a": 1}, "Computed in 1 ms"]}}, 502, "NotUnderstood", None),
        ({"body": {"result": [[1, 2], "Computed in 1 ms"]}}, 502, "NotUnderstood", None),
        ({"status": 0}, 502, "ConnectionLost", None),
    ],
)
def test_scripted_trouble_is_told_in_words(
    ann: AppVisitor, model: ScriptedModel, refused: dict[str, object], status: int, code: str, wait: int | None
) -> None:
    for name, value in refused.items():
        setattr(model, name, value)
    answer = ann.ask()
    error = answer.json["error"]
    assert (answer.status_code, error["code"], error["retryAfter"]) == (status, code, wait)
    assert answer.headers.get("Retry-After") == (None if wait is None else str(wait))
    assert error["message"].endswith((".", "!"))
    assert "said by the runtime" not in error["message"]


def test_what_the_visitor_did_wrong_is_told_in_the_runtimes_words(ann: AppVisitor, model: ScriptedModel) -> None:
    model.status, model.body = 400, {"error": {"code": "InvalidImage", "message": "This is no image."}}
    answer = ann.post("/api/classify", **JPEG)
    assert answer.status_code == 400
    assert answer.json["error"] == {"code": "InvalidImage", "message": "This is no image.", "retryAfter": None}


def test_model_that_is_not_there_is_not_ready(make_app: MakeApp) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    ann = AppVisitor(make_app(faq_url=f"http://127.0.0.1:{port}"))
    ann.sign_in()
    answer = ann.ask()
    assert (answer.status_code, answer.json["error"]["code"]) == (503, "ModelNotReady")
    assert answer.headers["Retry-After"] == "10"


def test_model_that_answers_too_late_is_slow(make_app: MakeApp) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        ann = AppVisitor(make_app(faq_url=f"http://127.0.0.1:{silent.getsockname()[1]}", timeout_seconds=0.2))
        ann.sign_in()
        answer = ann.ask()
    assert (answer.status_code, answer.json["error"]["code"]) == (504, "TooSlow")


def test_one_model_may_be_missing(make_app: MakeApp) -> None:
    ann = AppVisitor(make_app(images_url=None))
    ann.sign_in()
    page = ann.get("/").text
    assert 'id="look"' not in page
    assert "tablist" not in page
    assert ann.post("/api/classify", **JPEG).json["error"]["code"] == "NoPictures"


def test_user_who_asks_too_often_has_to_wait(make_app: MakeApp, model: ScriptedModel) -> None:
    ann = AppVisitor(make_app(requests_per_minute=2))
    ann.sign_in()
    answers = [ann.ask() for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert int(answers[2].headers["Retry-After"]) > 0
    assert len(model.requests) == 2


def test_texts_follow_their_file_and_survive_a_broken_one(mounted: Mounted) -> None:
    answers = Answers(mounted.answers)
    assert answers.find(1501) == ("== or ===?", "Use `===`.")
    mounted.answers.write_text(json.dumps({"1501": {"title": "New", "answer": "Text"}}))
    os.utime(mounted.answers, (1, 1))
    assert answers.find("1501") == ("New", "Text")
    mounted.answers.write_text("{")
    os.utime(mounted.answers, (2, 2))
    assert answers.find(1501) == ("New", "Text")
    mounted.answers.unlink()
    assert answers.find(1501) == ("New", "Text")
    assert Answers(mounted.answers).find(1501) == ("FAQ 1501", "")
