"""The front door: the trivial model with keys, limits and the request log, beside the same runtime without them."""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

from benchmarks.serving.comparisons import Comparison, Options, Pair, Plan, compare
from benchmarks.serving.dialects import ask_row_as_ours
from benchmarks.serving.load_generator import Load
from benchmarks.serving.results import Plot, Report
from benchmarks.serving.runtime import Artifact, make_runtime
from benchmarks.serving.servers import Call, Server
from benchmarks.serving.tables import draw_curves, report_comparison, summarise_by_clients
from benchmarks.serving.trivial import CLIENTS, package
from scoring_runtime.access.keys import hash_key, make_key

OPEN = "open"
SECONDS = 3.0
ROUNDS = 6
NUMBER_OF_KEYS = 100

_ASIDE = (
    "The runtime with the trivial model, at {clients} clients, beside itself without keys, limits and request log (`open`). "
    "Medians of windows of {seconds:g} s, taken in turns. The guarded runtime's requests/s by the open one's: **{shares}**."
)


def run(options: Options) -> Report:
    """Measure each part of the door, and all of it, beside the runtime without."""
    plan = Plan(CLIENTS, options.seconds or SECONDS, ROUNDS, warm_up=Load(1, clients=CLIENTS[1]))
    artifact = package(options.work)
    key = _write_keys(options.work / "keys")
    doors = {
        name: door
        for name, door in _list_doors(options.work / "keys").items()
        if name in (options.peers or _list_doors(Path()))
    }
    ours = _make_server(OPEN, artifact, ask_row_as_ours(), options.work, {"SCORING_REQUEST_LOG": "false"})
    call = replace(ask_row_as_ours(), headers=(("Authorization", f"Bearer {key}"),))
    pairs = [
        Pair(name, partial(_make_server, name, artifact, call, options.work, door), ask_row_as_ours(), ours_name=OPEN)
        for name, door in doors.items()
    ]
    found = compare(ours, pairs, plan, options)
    shares = "; ".join(f"{name} {_describe_share(found, name)}" for name in doors)
    aside = _ASIDE.format(clients=", ".join(map(str, CLIENTS)), seconds=plan.seconds, shares=shares)
    return report_comparison(found, aside, Plot("front_door", "Front door", draw_curves(found.measurements)))


def _list_doors(keys: Path) -> dict[str, Mapping[str, str]]:
    """Return the settings of each server by its name. The limits are never reached: what counts is what counting costs."""
    with_keys = {"SCORING_API_KEYS_DIR": str(keys)}
    limits = {
        "SCORING_RATE_PER_CLIENT": "1000000",
        "SCORING_BURST_PER_CLIENT": "1000000",
        "SCORING_MAX_REQUESTS_PER_CLIENT": "10000",
    }
    key_limits = {"SCORING_RATE_PER_KEY": "1000000", "SCORING_BURST_PER_KEY": "1000000"}
    silent = {"SCORING_REQUEST_LOG": "false"}
    return {
        "keys": {**with_keys, **silent},
        "limits": {**limits, **silent},
        "log": {},
        "guarded": {**with_keys, **limits, **key_limits},
    }


def _write_keys(folder: Path) -> str:
    """Write many keys, and return one of them."""
    folder.mkdir(parents=True, exist_ok=True)
    keys = [make_key() for _ in range(NUMBER_OF_KEYS)]
    for number, key in enumerate(keys):
        (folder / f"client-{number}").write_text(hash_key(key))
    return keys[-1]


def _make_server(name: str, artifact: Artifact, call: Call, work: Path, door: Mapping[str, str]) -> Server:
    return make_runtime(name, artifact, call, work / name, door)


def _describe_share(found: Comparison, name: str) -> str:
    beside = [each for each in found.measurements if each.pair == name]
    guarded = summarise_by_clients([each for each in beside if each.server == name])
    alone = summarise_by_clients([each for each in beside if each.server != name])
    return " / ".join(
        f"{each.requests_per_second / alone[clients].requests_per_second:.3f}" for clients, each in guarded.items()
    )
