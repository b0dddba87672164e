"""Describes the machine and the versions that a result was measured with: no host names, no paths."""

import os
import platform
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from benchmarks.serving.environments import GENERATOR

# What changes how fast a model is computed.
_FLAGS = (
    "avx2",
    "avx512f",
    "avx512_vnni",
    "avx512_bf16",
    "avx512_fp16",
    "avx_vnni",
    "amx_bf16",
    "amx_int8",
    "asimd",
    "bf16",
)
_GIBIBYTE = 2**30


def describe_machine() -> dict[str, Any]:
    """Return cores, memory, processor and what it can do, and how busy the machine is now."""
    processor = _read_processor()
    flags = set((processor.get("flags") or processor.get("Features", "")).split())
    return {
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / _GIBIBYTE, 1),
        "processor": processor.get("model name", platform.machine()),
        "flags": [flag for flag in _FLAGS if flag in flags],
        "kernel": platform.release().partition("-")[0],
        "load_average": round(os.getloadavg()[0], 2),
    }


def list_versions(packages: Iterable[str]) -> dict[str, str]:
    """Return the versions of Python, the load generator and those of the packages that are installed here."""
    found = {"python": platform.python_version(), "vegeta": _read_generator_version()}
    for package in packages:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def has_gpu() -> bool:
    """Tell whether an NVIDIA GPU is here."""
    return any(Path("/dev").glob("nvidia[0-9]*"))


def _read_processor() -> dict[str, str]:
    first = Path("/proc/cpuinfo").read_text().partition("\n\n")[0]
    return {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in first.splitlines())}


def _read_generator_version() -> str:
    lines = (GENERATOR / "go.mod").read_text().splitlines()
    return next(line.split()[1] for line in lines if "/vegeta/" in line and " v" in line)
