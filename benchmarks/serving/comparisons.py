"""Puts load on ours and on a peer in turns, so that what else the machine does meets both. Above `measurements`."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx

from benchmarks.serving.errors import BenchmarkError
from benchmarks.serving.load_generator import Load
from benchmarks.serving.measurements import Measurement, measure
from benchmarks.serving.servers import Call, RunningServer, Server, check_answer, run_server

OURS = "ours"


@dataclass(frozen=True)
class Options:
    """What a benchmark was asked for: peers by name (all without any), seconds of a window, a folder to work in."""

    peers: Sequence[str]
    seconds: float | None
    work: Path
    progress: Callable[[str], None]


@dataclass(frozen=True)
class Plan:
    """How much load, in which steps: at each number of clients, `rounds` windows of `seconds` for each of the two.

    `examine` finds out more about a server before that, for the results.
    """

    clients: Sequence[int]
    seconds: float
    rounds: int
    warm_up: Load
    examine: Callable[[RunningServer, Call], Mapping[str, Any]] = lambda _running, _call: {}


@dataclass(frozen=True)
class Pair:
    """A peer and how ours is asked beside it, and named there. `make` makes the peer's environment too, and so may fail."""

    name: str
    make: Callable[[], Server]
    ours: Call
    ours_name: str = OURS


@dataclass
class Comparison:
    """What was measured; `servers` has what is known of each by name, `skipped` why a peer is not among them."""

    measurements: list[Measurement] = field(default_factory=list)
    servers: dict[str, dict[str, Any]] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)

    def skip(self, name: str, error: BenchmarkError) -> None:
        """Note why a server was not measured: the first line of the reason."""
        self.skipped[name] = str(error).partition("\n")[0]

    def merge(self, other: "Comparison") -> None:
        """Take in what another comparison found."""
        self.measurements += other.measurements
        self.servers |= other.servers
        self.skipped |= other.skipped

    def to_json(self) -> dict[str, Any]:
        """Return it for the results' file."""
        return {
            "servers": self.servers,
            "skipped": self.skipped,
            "measurements": [each.to_json() for each in self.measurements],
        }


def compare(ours: Server, pairs: Iterable[Pair], plan: Plan, options: Options) -> Comparison:
    """Run ours beside each peer in turn; a peer that cannot be made, started or asked is skipped.

    Raises ServerFailed when ours does not start.
    """
    found = Comparison()
    logs = options.work / "logs"
    with run_server(ours, logs / f"{ours.name}.log") as running:
        found.servers[ours.name] = describe_server(running)
        for pair in pairs:
            options.progress(f"{pair.name}: starting")
            try:
                _compare_pair(running, pair, plan, logs, found)
            except BenchmarkError as error:
                found.skip(pair.name, error)
                options.progress(f"{pair.name}: skipped: {error}")
    return found


def _compare_pair(ours: RunningServer, pair: Pair, plan: Plan, logs: Path, found: Comparison) -> None:
    check_answer(pair.ours_name, ours.url, pair.ours)
    renamed = replace(ours, server=replace(ours.server, name=pair.ours_name))
    with run_server(pair.make(), logs / f"{pair.name}.log") as peer:
        found.servers |= {pair.name: describe_server(peer), pair.ours_name: found.servers[ours.server.name]}
        sides = [(renamed, pair.ours), (peer, peer.server.call)]
        for running, call in sides:
            measure(running, call, plan.warm_up, pair.name)
            found.servers[running.server.name] |= plan.examine(running, call)
        found.measurements += measure_in_turns(sides, plan, pair.name)


def measure_in_turns(sides: Sequence[tuple[RunningServer, Call]], plan: Plan, pair: str) -> Iterator[Measurement]:
    """Yield the windows of all sides, one after the other, each round beginning with another side."""
    for clients in plan.clients:
        for number in range(plan.rounds):
            start = number % len(sides)
            for running, call in (*sides[start:], *sides[:start]):
                yield measure(running, call, Load(plan.seconds, clients=clients), pair)


def describe_server(running: RunningServer) -> dict[str, Any]:
    """Return what is known of a server that has just answered: version, start, memory, what it says of itself."""
    memory = running.tree.measure_memory()
    about = running.server.about
    return {
        **running.server.details,
        "start_seconds": round(running.start_seconds, 2),
        "pss_mib_after_start": round(memory.pss, 1),
        "peak_rss_mib_after_start": round(memory.peak_rss, 1),
        **({"about": httpx.get(running.url + about, trust_env=False).json()} if about else {}),
    }
