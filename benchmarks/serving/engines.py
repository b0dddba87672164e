"""Bare engines beside the served model: how much of an engine's speed is left behind HTTP. Above `comparisons`."""

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.serving.comparisons import Plan
from benchmarks.serving.errors import ServerFailed
from benchmarks.serving.load_generator import Load
from benchmarks.serving.measurements import Measurement, measure
from benchmarks.serving.peers import MODELS
from benchmarks.serving.servers import RunningServer
from benchmarks.serving.tables import format_number, render_table

ROUNDS = 6


@dataclass(frozen=True)
class Engine:
    """An engine by name, its program being models/bare_<name>.py, the file that it loads, and its precision where it has a choice."""

    name: str
    model: Path
    environment: Mapping[str, str]
    precision: str = "float32"

    @property
    def title(self) -> str:
        """How tables name it."""
        return self.name if self.precision == "float32" else f"{self.name} {self.precision}"


@dataclass(frozen=True)
class EngineResult:
    """Images per second of the bare engine, one at a time, and of the server at saturation, window by window in turns."""

    engine: str
    server: str
    bare: Sequence[float]
    served: Sequence[Measurement]

    @property
    def share(self) -> float:
        """What the server keeps of the engine's speed: the median of the rounds, since what else the machine does meets both of one."""
        rounds = zip(self.served, self.bare, strict=True)
        return median(served.result.requests_per_second / bare for served, bare in rounds)

    def to_json(self) -> dict[str, Any]:
        """Return it for the results' file."""
        return {**asdict(self), "share": round(self.share, 4)}


def measure_engine(engine: Engine, served: RunningServer, plan: Plan) -> EngineResult:
    """Run the engine and the server in turns, the server with the most clients of the plan.

    Raises ServerFailed when the engine does not load.
    """
    bare, windows = [], []
    with _start(engine) as process:
        for _ in range(ROUNDS):
            bare.append(_score(process, plan.seconds))
            load = Load(plan.seconds, clients=max(plan.clients))
            windows.append(measure(served, served.server.call, load, engine.title))
    return EngineResult(engine.title, served.server.name, bare, windows)


def render_engines(results: Sequence[EngineResult]) -> str:
    """Return a table: each engine bare, ours served beside it, and the share."""
    rows = [
        (
            each.engine,
            format_number(median(each.bare)),
            each.server,
            format_number(median(window.result.requests_per_second for window in each.served)),
            f"{each.share:.2f}",
        )
        for each in results
    ]
    return render_table(("bare engine", "images/s bare", "beside it", "images/s over HTTP", "ours ÷ bare"), rows)


@contextlib.contextmanager
def _start(engine: Engine) -> Iterator[subprocess.Popen[str]]:
    threads = len(os.sched_getaffinity(0))
    words = [str(engine.model), str(threads), *([engine.precision] if engine.precision != "float32" else [])]
    command = [sys.executable, str(MODELS / f"bare_{engine.name}.py"), *words]
    environment = {**os.environ, **engine.environment}
    with subprocess.Popen(
        command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            _read(process)
            yield process
        finally:
            process.kill()


def _score(process: subprocess.Popen[str], seconds: float) -> float:
    if process.stdin is not None:
        process.stdin.write(f"{seconds}\n")
        process.stdin.flush()
    answer = _read(process)
    return round(answer["images"] / answer["seconds"], 3)


def _read(process: subprocess.Popen[str]) -> dict[str, float]:
    line = process.stdout.readline() if process.stdout is not None else ""
    if not line:
        raise ServerFailed("The bare engine ended: see its message above.")
    answer: dict[str, float] = json.loads(line)
    return answer
