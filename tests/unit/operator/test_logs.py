"""What the operator logs, and that no secret is in it, whoever logs it and however."""

import io
import json
import logging
import sys
from collections.abc import Iterator
from typing import Any

import kopf
import pytest
from pydantic import ValidationError

from scoring_operator.logs import RedactingFilter, log_uncaught, redact_logs
from scoring_operator.redaction import Redactor
from scoring_operator.settings import Settings


@pytest.fixture
def stream(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    """Kopf's own JSON log of a process with a secret in its environment and a pattern in its settings, in a stream."""
    fresh = Redactor()
    monkeypatch.setattr("scoring_operator.logs.redactor", fresh)
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    root = logging.getLogger()
    before = root.handlers[:], root.level
    written = io.StringIO()
    root.handlers.clear()
    kopf.configure(debug=True, log_format=kopf.LogFormat.JSON)
    (handler,) = root.handlers
    assert isinstance(handler, logging.StreamHandler)
    handler.setStream(written)
    redact_logs(["customer-[0-9]+"], {"PROXY_PASSWORD": "planted-in-variable"})
    yield written
    root.handlers[:], level = before
    root.setLevel(level)


def read(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_message_arguments_traceback_and_further_fields_are_redacted(stream: io.StringIO) -> None:
    log = logging.getLogger("any.library")
    log.info("Applying %s to %s", "password=planted-in-argument", "https://u:planted-in-uri@h/x?sig=planted-in-query")
    log.info("proxy said planted-in-variable of customer-4711", extra={"token": "planted-in-extra", "count": 3})
    log.info({"headers": {"Authorization": "Bearer planted-in-header-1"}})
    log.info("%d items", "not a number: token=planted-in-bad-argument")
    try:
        int("Authorization: Bearer planted-in-traceback-1")
    except ValueError:
        log.exception("failed with token=planted-in-message", stack_info=True)
    log_uncaught(KeyError, KeyError("api_key=planted-in-end"), None)

    assert "planted-in" not in stream.getvalue()
    assert "customer-4711" not in stream.getvalue()
    lines = read(stream)
    assert lines[0]["message"] == "Applying password=[redacted] to https://h/x"
    assert lines[1]["message"] == "proxy said [redacted] of [redacted]"
    assert (lines[1]["token"], lines[1]["count"]) == ("[redacted]", 3)
    assert "ValueError: invalid literal for int() with base 10: 'Authorization: [redacted]" in lines[4]["exc_info"]
    assert (lines[5]["message"], lines[5]["severity"]) == ("uncaught exception", "fatal")


def test_a_record_that_is_filtered_twice_stays_as_it_is() -> None:
    record = logging.makeLogRecord({"msg": "token=%s", "args": ("planted",)})
    for _ in range(2):
        assert RedactingFilter().filter(record)
        assert record.getMessage() == "token=[redacted]"


@pytest.mark.parametrize("pattern", ["planted(", "(planted)?"])
def test_a_pattern_that_cannot_be_used_is_refused_by_its_place(pattern: str) -> None:
    with pytest.raises(ValidationError, match="pattern 2"):
        Settings(runtime_images={"sklearn": "x"}, redact_patterns=("a", pattern))
