"""Secrets planted everywhere a runtime process meets them: none is in its log, its termination message or its metrics."""

import json
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from free_ports import find_free_port
from local_clusters import ROOT
from runtime_processes import Runtime

TALKATIVE = ROOT / "tests" / "security" / "talkative"
"""A model that tells all it knows."""

PLANTED = "planted-in-"


@pytest.fixture
def talkative(monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(TALKATIVE / "classes"), *sys.path[1:]]))
    monkeypatch.setenv("DB_PASSWORD", "planted-in-variable")
    return TALKATIVE / "model"


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Runtime]]:
    started = []

    def start_runtime(uri: str, **variables: str) -> Runtime:
        base = {"SCORING_MODEL_URI": uri, "SCORING_WORK_DIR": str(tmp_path / "work"), "SCORING_DRAIN_SECONDS": "0"}
        base["SCORING_TERMINATION_LOG"] = str(tmp_path / "termination-log")
        started.append(Runtime({**base, **variables}))
        return started[-1]

    yield start_runtime
    for runtime in started:
        runtime.end()


def test_a_talkative_model_and_its_clients_leave_no_secret_anywhere(
    start: Callable[..., Runtime], talkative: Path
) -> None:
    patterns = json.dumps(["customer-[0-9]+"])
    runtime = start(talkative.as_uri(), SCORING_REDACT_PATTERNS=patterns, SCORING_LOG_LEVEL="debug")
    runtime.wait_for_log("ready")
    headers = {
        "Authorization": "Bearer planted-in-header-1",
        "X-API-Key": "planted-in-header",
        "Cookie": "session=planted-in-cookie",
        "X-Request-Id": "planted-in-id hf_plantedplantedplanted",
        "traceparent": "planted-in-trace",
    }
    answers = [
        runtime.client.post("/score?token=planted-in-url", json={"input": ["token=planted-in-body"]}, headers=headers),
        runtime.client.post("/score", json={"input": ["fail", "password: planted-in-body customer-4711"]}),
        runtime.client.post("/v2/models/planted-in-path/infer", json={"inputs": "planted-in-body"}),
        runtime.client.post(
            "/score", content=b'{"input": planted-in-body', headers={"Content-Type": "application/json"}
        ),
        runtime.client.post("/score", content=b"x", headers={"Content-Type": "planted-in-type"}),
    ]
    assert [answer.status_code for answer in answers] == [200, 500, 404, 400, 415]
    metrics = runtime.client.get("/metrics").text
    runtime.process.terminate()
    assert runtime.wait() == 0

    log = "".join(runtime.log)
    events = [json.loads(line) for line in runtime.log]
    assert [event["status"] for event in events if event["event"] == "request"] == [200, 500, 404, 400, 415]
    assert any("cannot score" in event.get("exception", "") for event in events)
    assert {"stdout", "stderr", "model", "py.warnings"} <= {event["logger"] for event in events}
    assert "uncaught exception" in [event["event"] for event in events]
    # Of the words before each secret there is something left: it was logged, and redacted.
    for word in ("loading with", "planted-in-environment", "cannot connect to https://host/x", "X-Api-Key"):
        assert word in log
    assert "customer-" not in log + metrics
    assert PLANTED not in (log + metrics).replace("planted-in-environment", "")


def test_last_words_hold_no_secret(start: Callable[..., Runtime], talkative: Path, tmp_path: Path) -> None:
    runtime = start(talkative.as_uri(), FAILS="yes")
    assert runtime.wait() == 1
    message = json.loads((tmp_path / "termination-log").read_text())
    assert message["code"] == "ModelInvalid"
    assert "planted-in-environment [redacted] and password=[redacted]" in message["message"]
    assert PLANTED not in (message["message"] + "".join(runtime.log)).replace("planted-in-environment", "")


def test_no_part_of_a_uri_that_is_secret_is_told(start: Callable[..., Runtime], tmp_path: Path) -> None:
    port = find_free_port()
    uri = f"https://user:planted-in-password@127.0.0.1:{port}/model.tar?X-Amz-Signature=planted-in-signature"
    runtime = start(uri)
    assert runtime.wait() == 1
    everything = "".join(runtime.log) + (tmp_path / "termination-log").read_text()
    assert f"https://127.0.0.1:{port}/model.tar" in everything
    assert PLANTED not in everything


@pytest.mark.parametrize(
    ("patterns", "reason"),
    [("planted-in-pattern", "is not JSON"), ('["a", "planted-in-pattern("]', "pattern 2 is not a regular expression")],
)
def test_a_pattern_that_cannot_be_used_ends_the_process_and_is_not_shown(
    start: Callable[..., Runtime], tmp_path: Path, patterns: str, reason: str
) -> None:
    runtime = start("file:///models/faq", SCORING_REDACT_PATTERNS=patterns)
    assert runtime.wait() == 1
    message: dict[str, Any] = json.loads((tmp_path / "termination-log").read_text())
    assert message["code"] == "InvalidSettings"
    assert message["message"].startswith("SCORING_REDACT_PATTERNS")
    assert reason in message["message"]
    assert PLANTED not in message["message"] + "".join(runtime.log)


def test_the_request_log_can_be_switched_off(start: Callable[..., Runtime], talkative: Path) -> None:
    runtime = start(talkative.as_uri(), SCORING_REQUEST_LOG="false")
    runtime.wait_for_log("ready")
    assert runtime.client.post("/score", json={"input": ["a"]}).headers["X-Request-Id"]
    runtime.process.terminate()
    assert runtime.wait() == 0
    assert "request" not in [json.loads(line)["event"] for line in runtime.log]
