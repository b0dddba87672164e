"""The runtime's settings: one frozen object read from the SCORING_* variables listed in docs/runtime-contract.md."""

import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationError, field_validator
from pydantic_core import ErrorDetails
from pydantic_settings import NoDecode, SettingsConfigDict, SettingsError

from scoring_runtime.access.settings import AccessSettings
from scoring_runtime.errors import InvalidSettingsError
from scoring_runtime.redaction import compile_pattern

PREFIX = "SCORING_"
DEFAULT_TERMINATION_LOG = Path("/dev/termination-log")
# Their values may hold credentials, so a message about them never shows the value.
_SECRET_FIELDS = ("model_uri", "model_signature_uri", "redact_patterns")


def count_cpus(cgroup: Path = Path("/sys/fs/cgroup")) -> int:
    """Return how many CPUs this process may use: those it may run on, or its container's CPU limit, rounded up."""
    visible = len(os.sched_getaffinity(0))
    limit = _read_cpu_limit(cgroup)
    return visible if limit is None else max(1, min(visible, math.ceil(limit)))


def _read_cpu_limit(cgroup: Path) -> float | None:
    """Return the CPU limit of a container whose control group (version 2, or 1) is mounted at `cgroup`; None without one."""
    for quota_file, period_file in (("cpu.max", None), ("cpu/cpu.cfs_quota_us", "cpu/cpu.cfs_period_us")):
        try:
            words = (cgroup / quota_file).read_text().split()
            words += (cgroup / period_file).read_text().split() if period_file else []
        except OSError:
            continue
        if words and words[0].isdecimal():
            return int(words[0]) / int(words[1])
    return None


class Settings(AccessSettings):
    """Every setting of the runtime, with those of access/settings.py; an empty variable counts as not set."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, env_ignore_empty=True, frozen=True, extra="ignore")

    model_name: str = "model"
    model_uri: str
    model_digest: str | None = Field(default=None, pattern=r"^sha256:[0-9a-f]{64}$")
    model_format: str | None = None
    model_endpoint: str | None = Field(default=None, pattern=r"^https?://[^\s/?#@]+(/[^\s?#]*)?$")
    model_secret_name: str | None = None
    model_anonymous: bool = False
    model_max_bytes: int = Field(default=100 * 2**30, ge=1)
    model_signature_key: str | None = None
    model_signature: str | None = None
    model_signature_uri: str | None = None
    model_fetched: bool = False
    credentials_dir: Path = Path("/etc/scoring/credentials")
    fetch_timeout_seconds: float = Field(default=3600.0, gt=0, le=86_400)
    fetch_connections: int = Field(default=8, ge=1, le=64)
    volume_dir: Path = Path("/mnt/model")
    work_dir: Path = Path("/var/lib/scoring")
    port: int = Field(default=8080, ge=1, le=65535)
    threads: int = Field(default_factory=count_cpus, ge=1, le=1024)
    keep_together: bool = True
    max_image_pixels: int = Field(default=32 * 2**20, ge=1)
    max_queue: int = Field(default=64, ge=0, le=10_000)
    max_wait_seconds: float = Field(default=10.0, gt=0, le=3600)
    latency_objective_seconds: float | None = Field(default=None, gt=0, le=3600)
    batch_max_size: int | None = Field(default=None, ge=1, le=1024)
    batch_max_delay_milliseconds: float = Field(default=0.0, ge=0, le=10_000)
    grpc_port: int | None = Field(default=None, ge=1, le=65535)
    path_prefix: str = Field(default="", pattern=r"^(/[A-Za-z0-9._~-]+)*$")
    drain_seconds: float = Field(default=5.0, ge=0, le=3600)
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    request_log: bool = True
    redact_patterns: Annotated[tuple[str, ...], NoDecode] = Field(default=(), max_length=32)
    termination_log: Path = DEFAULT_TERMINATION_LOG

    @field_validator("redact_patterns", mode="before")
    @classmethod
    def _read_patterns(cls, given: object) -> object:
        try:
            return json.loads(given) if isinstance(given, str) else given
        except ValueError as error:
            raise ValueError('is not JSON, such as ["[A-Z]{2}[0-9]{6}"]') from error

    @field_validator("redact_patterns")
    @classmethod
    def _check_patterns(cls, patterns: tuple[str, ...]) -> tuple[str, ...]:
        for number, pattern in enumerate(patterns, start=1):
            try:
                compile_pattern(pattern)
            except ValueError as error:
                raise ValueError(f"pattern {number} {error}") from error
        return patterns


def read_settings() -> Settings:
    """Read the settings from the environment. Raises InvalidSettingsError, naming the variable and the remedy."""
    try:
        return Settings()
    except ValidationError as error:
        raise InvalidSettingsError(_explain(error.errors()[0])) from None
    except SettingsError as error:
        # pydantic-settings names the field in its message alone.
        field = next((name for name in Settings.model_fields if f'"{name}"' in str(error)), "")
        raise InvalidSettingsError(
            f"{PREFIX}{field.upper()} is not JSON: write it as the runtime contract shows it."
        ) from None


def read_termination_log(environ: Mapping[str, str]) -> Path:
    """Return the path of the termination message, also when the other settings are wrong."""
    return Path(environ.get(f"{PREFIX}TERMINATION_LOG") or DEFAULT_TERMINATION_LOG)


def _explain(problem: ErrorDetails) -> str:
    field = str(problem["loc"][0])
    variable = PREFIX + field.upper()
    if problem["type"] == "missing":
        return f"{variable} is not set. Set it in the container's environment."
    value = "" if field in _SECRET_FIELDS else f" is {str(problem['input'])[:100]!r}:"
    return f"{variable}{value} {_lower_first(problem['msg'])}. Correct it in the container's environment."


def _lower_first(text: str) -> str:
    return text[:1].lower() + text[1:]
