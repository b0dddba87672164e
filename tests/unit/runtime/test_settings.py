"""Settings, logs and the termination message."""

import json
import logging
import os
from pathlib import Path
from typing import Any

import pytest
import structlog

from scoring_runtime.errors import DigestMismatchError, FetchFailedError, InvalidSettingsError
from scoring_runtime.redaction import cut_uris
from scoring_runtime.settings import DEFAULT_TERMINATION_LOG, count_cpus, read_settings, read_termination_log
from scoring_runtime.telemetry.logs import build_logging_config, configure_logging
from scoring_runtime.termination import write_termination_message

URI = "file:///models/faq"
ACCESS_DEFAULTS: dict[str, Any] = {
    "api_keys_dir": None,
    "jwt_issuer": None,
    "jwt_audiences": (),
    "jwt_jwks_uri": None,
    "jwt_required_claims": {},
    "jwt_name_claim": "sub",
    "jwt_ca_file": None,
    "rate_per_key": None,
    "burst_per_key": 1,
    "rate_per_client": None,
    "burst_per_client": 1,
    "max_requests_per_client": None,
    "max_connections_per_client": 1024,
    "trusted_proxies": (),
    "max_body_bytes": 8388608,
    "header_timeout_seconds": 30.0,
    "body_timeout_seconds": 30.0,
}


def test_the_defaults_are_those_of_the_contract(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCORING_MODEL_URI", URI)
    settings = read_settings()
    assert settings.model_dump() == {
        "model_name": "model",
        "model_uri": URI,
        "model_digest": None,
        "model_format": None,
        "model_endpoint": None,
        "model_secret_name": None,
        "model_anonymous": False,
        "model_max_bytes": 107374182400,
        "model_signature_key": None,
        "model_signature": None,
        "model_signature_uri": None,
        "model_fetched": False,
        "credentials_dir": Path("/etc/scoring/credentials"),
        "fetch_timeout_seconds": 3600.0,
        "fetch_connections": 8,
        "volume_dir": Path("/mnt/model"),
        "work_dir": Path("/var/lib/scoring"),
        "port": 8080,
        "threads": count_cpus(),
        "keep_together": True,
        **ACCESS_DEFAULTS,
        "max_image_pixels": 33554432,
        "max_queue": 64,
        "max_wait_seconds": 10.0,
        "latency_objective_seconds": None,
        "batch_max_size": None,
        "batch_max_delay_milliseconds": 0.0,
        "grpc_port": None,
        "path_prefix": "",
        "drain_seconds": 5.0,
        "log_level": "info",
        "request_log": True,
        "redact_patterns": (),
        "termination_log": Path("/dev/termination-log"),
    }


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("SCORING_TRUSTED_PROXIES", "10.0.0.0/8"),
        ("SCORING_TRUSTED_PROXIES", '["10.0.0.1/8"]'),
        ("SCORING_JWT_AUDIENCES", "faq"),
        ("SCORING_JWT_REQUIRED_CLAIMS", '{"scope": "one"}'),
        ("SCORING_RATE_PER_CLIENT", "0"),
        ("SCORING_BODY_TIMEOUT_SECONDS", "-1"),
    ],
)
def test_wrong_setting_of_the_front_door_is_named(monkeypatch: pytest.MonkeyPatch, variable: str, value: str) -> None:
    monkeypatch.setenv("SCORING_MODEL_URI", URI)
    monkeypatch.setenv(variable, value)
    with pytest.raises(InvalidSettingsError, match=variable):
        read_settings()


@pytest.mark.parametrize(
    ("files", "limit"),
    [
        ({"cpu.max": "150000 100000\n"}, 2),
        ({"cpu.max": "50000 100000\n"}, 1),
        ({"cpu.max": "max 100000\n"}, None),
        ({"cpu/cpu.cfs_quota_us": "100000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 1),
        ({"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, None),
        ({}, None),
    ],
)
def test_threads_are_those_of_the_containers_cpu_limit(
    tmp_path: Path, files: dict[str, str], limit: int | None
) -> None:
    (tmp_path / "cpu").mkdir()
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    visible = len(os.sched_getaffinity(0))
    assert count_cpus(tmp_path) == (visible if limit is None else min(limit, visible))


def test_an_empty_variable_counts_as_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCORING_MODEL_URI", URI)
    monkeypatch.setenv("SCORING_MODEL_DIGEST", "")
    monkeypatch.setenv("SCORING_THREADS", "")
    assert read_settings().model_digest is None


@pytest.mark.parametrize(
    ("variable", "value", "message"),
    [
        ("SCORING_THREADS", "0", "SCORING_THREADS is '0': input should be greater than or equal to 1."),
        ("SCORING_PORT", "70000", "SCORING_PORT is '70000': input should be less than or equal to 65535."),
        ("SCORING_MAX_QUEUE", "-1", "SCORING_MAX_QUEUE is '-1': input should be greater than or equal to 0."),
        ("SCORING_LOG_LEVEL", "loud", "SCORING_LOG_LEVEL is 'loud': input should be 'debug', 'info', 'warning' or 'error'."),
        ("SCORING_MODEL_DIGEST", "sha256:12", "SCORING_MODEL_DIGEST is 'sha256:12': string should match pattern '^sha256:[0-9a-f]{64}$'."),
        ("SCORING_DRAIN_SECONDS", "soon", "SCORING_DRAIN_SECONDS is 'soon': input should be a valid number, unable to parse string as a number."),
    ],
)  # fmt: skip
def test_a_bad_value_names_the_variable_and_the_remedy(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, message: str
) -> None:
    monkeypatch.setenv("SCORING_MODEL_URI", URI)
    monkeypatch.setenv(variable, value)
    with pytest.raises(InvalidSettingsError) as caught:
        read_settings()
    assert caught.value.message == f"{message} Correct it in the container's environment."


def test_a_missing_uri_is_named() -> None:
    with pytest.raises(InvalidSettingsError) as caught:
        read_settings()
    assert caught.value.message == "SCORING_MODEL_URI is not set. Set it in the container's environment."


def test_the_termination_log_is_found_without_the_other_settings() -> None:
    assert read_termination_log({}) == DEFAULT_TERMINATION_LOG
    assert read_termination_log({"SCORING_TERMINATION_LOG": "/tmp/x"}) == Path("/tmp/x")


def test_the_termination_message_is_one_short_line_without_credentials(tmp_path: Path) -> None:
    path = tmp_path / "log"
    write_termination_message(path, FetchFailedError("https://u:p@host/x?sig=1\nfailed " + "é" * 5000))

    content = path.read_bytes()
    assert len(content) < 4096
    assert content.count(b"\n") == 1
    message = json.loads(content)
    assert message["code"] == "FetchFailed"
    assert message["message"].startswith("https://host/x failed éé")


def test_a_termination_message_with_a_name_that_is_no_utf8_is_written(tmp_path: Path) -> None:
    write_termination_message(tmp_path / "log", FetchFailedError(f"cannot read {os.fsdecode(bytes([0x61, 0xFF]))}"))
    assert json.loads((tmp_path / "log").read_text())["message"] == "cannot read a?"


def test_a_termination_log_that_cannot_be_written_is_no_failure(tmp_path: Path) -> None:
    write_termination_message(tmp_path / "no" / "folder", DigestMismatchError("x"))


@pytest.mark.parametrize(
    ("text", "redacted"),
    [
        ("https://user:pass@host/path?sig=secret#part", "https://host/path"),
        ("from s3://key@bucket/a, then https://h/b?x=1.", "from s3://bucket/a, then https://h/b"),
        ("'https://token@host:8443/a b'", "'https://host:8443/a b'"),
        ("https://us@er:p@ss@host/x", "https://host/x"),
        ("no uri, only user@host?", "no uri, only user@host?"),
        ("file:///models/faq", "file:///models/faq"),
    ],
)
def test_uris_lose_user_info_and_query(text: str, redacted: str) -> None:
    assert cut_uris(text) == redacted


@pytest.fixture
def restored_logging(monkeypatch: pytest.MonkeyPatch) -> object:
    # dictConfig closes every handler of the process, and one of absl's (TensorFlow's, OpenVINO's) closes pytest's own stream.
    monkeypatch.setattr(logging, "_handlerList", [])
    root = logging.getLogger()
    before = root.handlers[:], root.level
    yield
    root.handlers[:], level = before
    root.setLevel(level)
    logging.captureWarnings(capture=False)
    structlog.reset_defaults()


@pytest.mark.usefixtures("restored_logging")
def test_logs_are_json_lines_without_credentials(capfd: pytest.CaptureFixture[str]) -> None:
    configure_logging("info")
    log = structlog.stdlib.get_logger("scoring_runtime.test")
    log.info("fetching", uri="https://u:p@host/x?sig=1", count=3)
    log.debug("not shown")
    logging.getLogger("other").warning("at %s", "https://u:p@host/y?sig=1")
    log.error("failed", exc_info=ValueError("https://u:p@host/z?sig=1"))

    lines = [json.loads(line) for line in capfd.readouterr().out.splitlines()]
    assert [line["event"] for line in lines] == ["fetching", "at https://host/y", "failed"]
    assert (lines[0]["uri"], lines[0]["count"], lines[0]["level"]) == ("https://host/x", 3, "info")
    assert "ValueError: https://host/z" in lines[2]["exception"]
    assert all(line["timestamp"].endswith("Z") for line in lines)


def test_the_logging_configuration_is_new_each_time() -> None:
    assert build_logging_config("info") is not build_logging_config("info")
