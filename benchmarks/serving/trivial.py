"""The trivial model: what each server adds to a model that answers at once."""

from functools import partial
from pathlib import Path

from benchmarks.serving.comparisons import OURS, Options, Pair, Plan, compare
from benchmarks.serving.dialects import ROW, SUM, ask_row_as_ours, ask_row_in_v2
from benchmarks.serving.load_generator import Load
from benchmarks.serving.peers import MODELS, Peer, find_peers, make_server
from benchmarks.serving.results import Plot, Report
from benchmarks.serving.runtime import Artifact, make_runtime
from benchmarks.serving.tables import draw_curves, report_comparison
from scoring_cli.artifacts import write_artifact

CLIENTS = (1, 8, 64)
SECONDS = 3.0
ROUNDS = 2
MODEL_NAME = "trivial"

_MANIFEST = {
    "name": MODEL_NAME,
    "version": "1",
    "format": "python",
    "task": "prediction",
    "options": {"class": "trivial_model:Trivial"},
    "signature": {
        "inputs": [{"name": "x", "datatype": "FP64", "shape": [-1, len(ROW)]}],
        "outputs": [{"name": "y", "datatype": "FP64", "shape": [-1]}],
    },
    "example": {"input": [ROW]},
    "expect": {"answer": [SUM]},
}
_ASIDE = (
    "Numbers by slashes: at {clients} clients, each of which waits for its answer. Medians of windows of {seconds:g} s. The "
    "ratios compare with the windows of ours taken in turns with the peer's; peers that speak the Open Inference Protocol v2 "
    "beside ours in that protocol, the others beside ours at /score."
)


def run(options: Options) -> Report:
    """Measure ours beside each peer."""
    plan = Plan(CLIENTS, options.seconds or SECONDS, ROUNDS, warm_up=Load(1, clients=CLIENTS[1]))
    ours = make_runtime(OURS, package(options.work), ask_row_as_ours(), options.work / OURS)
    pairs = [_make_pair(peer) for peer in find_peers(options.peers)]
    found = compare(ours, pairs, plan, options)
    aside = _ASIDE.format(clients=", ".join(map(str, CLIENTS)), seconds=plan.seconds)
    return report_comparison(found, aside, Plot(MODEL_NAME, "Trivial model, JSON", draw_curves(found.measurements)))


def package(folder: Path) -> Artifact:
    """Write the trivial model's artifact into `folder`."""
    archive = folder / "trivial.tar"
    return Artifact(MODEL_NAME, archive, write_artifact(archive, _MANIFEST, {}), code=MODELS, variant="sklearn")


def _make_pair(peer: Peer) -> Pair:
    call = peer.ask_row()
    make = partial(make_server, peer, "trivial", call, {})
    if call.path.startswith("/v2/"):
        return Pair(peer.name, make, ask_row_in_v2(MODEL_NAME), ours_name=f"{OURS}-v2")
    return Pair(peer.name, make, ask_row_as_ours())
