"""The front door: models with keys, limits and the request log, beside the same runtime without them."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from benchmarks.serving.comparisons import Comparison, Options, Pair, Plan, compare
from benchmarks.serving.dialects import ask_row_as_ours
from benchmarks.serving.faq import ask_questions, package_ours, train_ours
from benchmarks.serving.load_generator import Load
from benchmarks.serving.results import Plot, Report
from benchmarks.serving.runtime import Artifact, make_runtime
from benchmarks.serving.servers import Call, Server
from benchmarks.serving.tables import draw_curves, report_comparison, summarise_by_clients
from benchmarks.serving.trivial import CLIENTS, package
from scoring_runtime.access.keys import hash_key, make_key

OPEN, GUARDED = "open", "guarded"
SECONDS = 3.0
ROUNDS = 2
STARTS = 4
NUMBER_OF_KEYS = 100
ORIGINALS = (200, 2_000)

_SILENT = {"SCORING_REQUEST_LOG": "false"}
_ASIDE = (
    "The runtime at {clients} clients, beside itself without keys, limits and request log (`open`), which gets the same requests, key "
    "and all: with a trivial model, where all that a request costs is the server, and with FAQ matching among 200 and 2,000 originals. "
    f"Medians of windows of {{seconds:g}} s, taken in turns, of {STARTS} starts of each. "
    "Requests/s behind the door by those of the open one: **{shares}**."
)


@dataclass(frozen=True)
class Served:
    """A model to serve, and how it is asked."""

    prefix: str
    artifact: Artifact
    call: Call


def run(options: Options) -> Report:
    """Measure each part of the door, and all of it, beside the runtime without; all of it with FAQ matching too."""
    plan = Plan(CLIENTS, options.seconds or SECONDS, ROUNDS, warm_up=Load(1, clients=CLIENTS[1]))
    keys = options.work / "keys"
    key = _write_keys(keys)
    doors = {name: door for name, door in _list_doors(keys).items() if name in (options.peers or _list_doors(keys))}
    trivial = Served("", package(options.work), ask_row_as_ours())
    longer = [_make_faq(originals, options.work) for originals in ORIGINALS]
    found = Comparison()
    # Two processes of the same differ by several percent, by where they lie in memory: each is started anew several times.
    for _ in range(STARTS):
        found.merge(_compare(trivial, key, doors, plan, options))
        for served in longer if GUARDED in doors else []:
            found.merge(_compare(served, key, {GUARDED: doors[GUARDED]}, plan, options))
    shares = "; ".join(f"{name} {_describe_share(found, name)}" for name in found.servers if not name.endswith(OPEN))
    aside = _ASIDE.format(clients=", ".join(map(str, CLIENTS)), seconds=plan.seconds, shares=shares)
    return report_comparison(found, aside, Plot("front_door", "Front door", draw_curves(found.measurements)))


def _make_faq(originals: int, work: Path) -> Served:
    trained = train_ours(originals)
    artifact = package_ours(trained, originals, work / f"faq-{originals}")
    return Served(f"faq-{originals} ", artifact, ask_questions(trained.split, trained.model.prepare))


def _compare(
    served: Served, key: str, doors: Mapping[str, Mapping[str, str]], plan: Plan, options: Options
) -> Comparison:
    """Measure a model behind each door beside the same without any."""
    name = served.prefix + OPEN
    # Both get the same requests: what is compared is what the door does, not what a header costs client and server.
    call = replace(served.call, headers=(("Authorization", f"Bearer {key}"),))
    ours = _make_server(name, served.artifact, call, options.work, _SILENT)
    pairs = [
        Pair(
            served.prefix + door,
            partial(_make_server, served.prefix + door, served.artifact, call, options.work, settings),
            call,
            ours_name=name,
        )
        for door, settings in doors.items()
    ]
    return compare(ours, pairs, plan, options)


def _list_doors(keys: Path) -> dict[str, Mapping[str, str]]:
    """Return the settings of each server by its name. The limits are never reached: what counts is what counting costs."""
    with_keys = {"SCORING_API_KEYS_DIR": str(keys)}
    limits = {
        "SCORING_RATE_PER_CLIENT": "1000000",
        "SCORING_BURST_PER_CLIENT": "1000000",
        "SCORING_MAX_REQUESTS_PER_CLIENT": "10000",
    }
    key_limits = {"SCORING_RATE_PER_KEY": "1000000", "SCORING_BURST_PER_KEY": "1000000"}
    return {
        "keys": {**with_keys, **_SILENT},
        "limits": {**limits, **_SILENT},
        "log": {},
        GUARDED: {**with_keys, **limits, **key_limits},
    }


def _write_keys(folder: Path) -> str:
    """Write many keys as the kubelet mounts a Secret, behind a link that tells of every change, and return one of them."""
    files = folder / "..generation"
    files.mkdir(parents=True, exist_ok=True)
    (folder / "..data").symlink_to(files.name)
    keys = [make_key() for _ in range(NUMBER_OF_KEYS)]
    for number, key in enumerate(keys):
        (files / f"client-{number}").write_text(hash_key(key))
        (folder / f"client-{number}").symlink_to(f"..data/client-{number}")
    return keys[-1]


def _make_server(name: str, artifact: Artifact, call: Call, work: Path, door: Mapping[str, str]) -> Server:
    return make_runtime(name, artifact, call, work / name.replace(" ", "-"), door)


def _describe_share(found: Comparison, name: str) -> str:
    beside = [each for each in found.measurements if each.pair == name]
    guarded = summarise_by_clients([each for each in beside if each.server == name])
    alone = summarise_by_clients([each for each in beside if each.server != name])
    return " / ".join(
        f"{each.requests_per_second / alone[clients].requests_per_second:.3f}" for clients, each in guarded.items()
    )
