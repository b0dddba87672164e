"""FAQ matching: ours beside the reference's model and code, and ours alone with ever more originals."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import joblib

from benchmarks.serving import comparisons
from benchmarks.serving.comparisons import Comparison, Options, Plan, compare, describe_server, measure_in_turns
from benchmarks.serving.environments import HERE, PEERS, get_environment, read_pins
from benchmarks.serving.errors import BenchmarkError
from benchmarks.serving.load_generator import Load
from benchmarks.serving.measurements import measure
from benchmarks.serving.originals import HAND_WRITTEN, SEED, make_entries
from benchmarks.serving.results import Curve, Plot, Report
from benchmarks.serving.runtime import Artifact, make_runtime
from benchmarks.serving.servers import LOOPBACK, START_SECONDS, Call, RunningServer, Server, run_server, send_call
from benchmarks.serving.tables import (
    describe_generator,
    render_comparison,
    render_skipped,
    render_table,
    summarise_by_clients,
)
from samples.faq.entries import Entry
from samples.faq.models import Model, clean_as_reference, train_model, train_reference
from samples.faq.packaging import write_package
from samples.faq.pairs import Pair, Split, split_duplicates
from samples.faq.sources import Selection, read_entries

SIZES_BESIDE = (200, 2_000)
SIZES_ALONE = (10_000, 100_000)
CLIENTS = (1, 8)
SECONDS = 8.0
QUESTIONS = 64

_REFERENCE = PEERS / "faq_reference"
_TOP = 3
_ASIDE = (
    "Questions answered per second, each with the best 3 of all originals; the number behind the name is that of the "
    f"originals. Numbers by slashes: at {{clients}} clients, each of which waits for its answer. {QUESTIONS} held-out "
    "questions in turn; the first 111 originals are the hand-written ones, the others vary them. Both models learnt from the "
    "hand-written ones alone. The reference: its model (1,000 trees) and its code, behind Flask and gunicorn with one sync worker."
)


@dataclass(frozen=True)
class Trained:
    """Our model, fitted to the hand-written entries, and as many entries as the largest FAQ has."""

    split: Split
    model: Model
    entries: Sequence[Entry]


def run(options: Options) -> Report:
    """Measure ours beside the reference at each size that this can bear, then ours alone."""
    options.progress("training both models")
    trained = train_ours(max(SIZES_BESIDE + SIZES_ALONE))
    pipeline = _get_reference(trained.split, options.work)
    plan = Plan(CLIENTS, options.seconds or SECONDS, 1, Load(1, clients=2), partial(_count_hits, trained.split))
    found = Comparison()
    for size in SIZES_BESIDE:
        found.merge(_compare_size(trained, pipeline, size, plan, options))
    for size in SIZES_ALONE:
        found.merge(_measure_alone(make_ours(trained, size, options.work, f"ours {size}"), plan, options))
    return _report(found, plan)


def train_ours(size: int) -> Trained:
    """Train our model on the hand-written entries, and make `size` entries."""
    split = split_duplicates(read_entries(HAND_WRITTEN, Selection()), seed=SEED)
    return Trained(split, train_model(split), make_entries(size))


def make_ours(trained: Trained, size: int, work: Path, name: str) -> Server:
    """Return our server, under this name, of the FAQ sample's model with `size` originals."""
    folder = work / name.replace(" ", "-")
    artifact = package_ours(trained, size, folder)
    return make_runtime(name, artifact, ask_questions(trained.split, trained.model.prepare), folder / "work")


def package_ours(trained: Trained, size: int, folder: Path) -> Artifact:
    """Package the FAQ sample's model with `size` originals."""
    originals = tuple(entry.original for entry in trained.entries[:size])
    packaged = write_package(replace(trained.model, originals=originals), trained.split, "1.0.0", folder)
    return Artifact("faq", packaged.archive, packaged.digest, variant="sklearn")


def ask_questions(split: Split, prepare: Callable[[str], str]) -> Call:
    """Return the call with the held-out questions, each prepared as the model wants it."""
    bodies = [json.dumps({"input": prepare(pair.duplicate.text)}).encode() for pair in _list_questions(split)]
    return Call("/score", bodies[0], _TOP, lambda answer: len(answer["result"][0]), others=tuple(bodies[1:]))


def _get_reference(split: Split, work: Path) -> Path:
    """Return the file of the reference's fitted pipeline, trained (for minutes) unless `work` holds it already."""
    path = work / "reference.joblib"
    if not path.exists():
        work.mkdir(parents=True, exist_ok=True)
        joblib.dump(train_reference(split).pipeline, path)
    return path


def _list_questions(split: Split) -> Sequence[Pair]:
    return split.test[:QUESTIONS]


def _compare_size(trained: Trained, pipeline: Path, size: int, plan: Plan, options: Options) -> Comparison:
    ours = make_ours(trained, size, options.work, f"ours {size}")
    make = partial(_make_reference, trained, pipeline, size, options.work)
    pair = comparisons.Pair(f"reference {size}", make, ours.call, ours.name)
    return compare(ours, [pair], plan, options)


def _make_reference(trained: Trained, pipeline: Path, size: int, work: Path) -> Server:
    python = get_environment(_REFERENCE / "requirements.txt", "faq-reference")
    originals = work / f"originals-{size}.json"
    texts = [
        {"id": entry.id, "answerId": entry.answer_id, "text": clean_as_reference(entry.asked)}
        for entry in trained.entries[:size]
    ]
    originals.write_text(json.dumps(texts), encoding="utf-8")
    variables = {
        "PYTHONPATH": str(HERE.parents[1] / "serving_runtime" / "src"),  # the pipeline's first step is defined there
        "FAQ_PIPELINE": str(pipeline),
        "FAQ_ORIGINALS": str(originals),
    }
    pins = read_pins(_REFERENCE / "requirements.txt")
    return Server(
        f"reference {size}",
        command=lambda ports: (
            *(python.with_name("gunicorn"), "--bind", f"{LOOPBACK}:{ports[0]}"),
            *("--workers", "1", "--timeout", "300", "server:app"),
        ),
        folder=_REFERENCE,
        call=ask_questions(trained.split, clean_as_reference),
        environment=lambda _ports: variables,
        details={"package": "lightgbm", "version": pins["lightgbm"]},
    )


def _count_hits(split: Split, running: RunningServer, call: Call) -> Mapping[str, Any]:
    """Return how many of the questions got their own original first, and among the first three."""
    first = among = 0
    with httpx.Client(base_url=running.url, timeout=START_SECONDS, trust_env=False) as client:
        for pair, body in zip(_list_questions(split), (call.body, *call.others), strict=True):
            matches = send_call(client, replace(call, body=body, read=lambda answer: answer["result"][0]))
            found = [match[0] for match in matches]
            first += found[0] == pair.entry.id
            among += pair.entry.id in found
    return {"questions": QUESTIONS, "right_first": first, "right_among_three": among}


def _measure_alone(server: Server, plan: Plan, options: Options) -> Comparison:
    options.progress(f"{server.name}: starting")
    found = Comparison()
    try:
        _measure_growth(server, plan, options.work, found)
    except BenchmarkError as error:
        found.skip(server.name, error)
    return found


def _measure_growth(server: Server, plan: Plan, work: Path, found: Comparison) -> None:
    with run_server(server, work / "logs" / f"{server.name}.log") as running:
        measure(running, server.call, plan.warm_up, "")
        found.servers[server.name] = {**describe_server(running), **plan.examine(running, server.call)}
        found.measurements += measure_in_turns([(running, server.call)], plan, "")


def _report(found: Comparison, plan: Plan) -> Report:
    sections = [
        _ASIDE.format(clients=", ".join(map(str, plan.clients))),
        render_comparison(found),
        _render_hits(found),
        *render_skipped(found.skipped),
        describe_generator(found.measurements),
    ]
    curves = [_draw_growth(found, name) for name in ("ours", "reference")]
    plots = [Plot("faq", "A question with one client", curves, "originals")]
    return Report(found.to_json(), sections, plots)


def _render_hits(found: Comparison) -> str:
    rows = [
        [name, *(f"{known[key] / known['questions']:.1%}" for key in ("right_first", "right_among_three"))]
        for name, known in found.servers.items()
        if "questions" in known
    ]
    return render_table(("server", "right original first", "among the first 3"), rows)


def _draw_growth(found: Comparison, name: str) -> Curve:
    sizes, summaries = [], []
    for size in SIZES_BESIDE + SIZES_ALONE:
        windows = [each for each in found.measurements if each.server == f"{name} {size}"]
        if windows:
            sizes.append(size)
            summaries.append(summarise_by_clients(windows)[CLIENTS[0]])
    return Curve(name, sizes, p50=[each.p50_ms for each in summaries], p99=[each.p99_ms for each in summaries])
