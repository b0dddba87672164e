"""ResNet-152 over HTTP on the processor: ours beside the bare engines, and beside the peers serving it from torch."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from statistics import median
from typing import Any

from benchmarks.serving.comparisons import (
    OURS,
    Options,
    Pair,
    Plan,
    compare,
    describe_server,
)
from benchmarks.serving.dialects import Picture, ask_picture_as_reference
from benchmarks.serving.engines import Engine, EngineResult, measure_engine, render_engines
from benchmarks.serving.errors import BenchmarkError
from benchmarks.serving.load_generator import Load
from benchmarks.serving.peers import Peer, find_peers, make_server
from benchmarks.serving.pictures import Form, find_file, package, take_picture, unpack
from benchmarks.serving.results import Plot, Report
from benchmarks.serving.runtime import make_runtime
from benchmarks.serving.servers import Server, Variables, run_server
from benchmarks.serving.tables import draw_curves, render_table, report_comparison

CLIENTS = (1, 4, 8)
SECONDS = 6.0
STARTS = 3
NO_GPU = {"CUDA_VISIBLE_DEVICES": ""}
FORMS: Mapping[Form, str] = {"onnx": OURS, "onnx-auto": f"{OURS}-auto", "torch": f"{OURS}-torch"}
"""How ours is packaged, and what it is called then. The first is served as it is; the second chose its precision by measuring too."""

_ASIDE = (
    "Images of 640 x 480 (JPEG) per second. Numbers by slashes: at {clients} clients, each of which waits for its answer. "
    "Windows of {seconds:g} s, in turns. Peers serve ResNet-152 from torch in eager mode with torchvision's transforms; "
    "all answer the same top 3 labels. MiB is the whole process tree's. {forms}."
)


@dataclass(frozen=True)
class Scene:
    """Who is measured: ours in its main form and in others, bare engines each beside one of them, and what peers load and are asked."""

    ours: Server
    others: Sequence[Server]
    engines: Sequence[tuple[Server, Sequence[Engine]]]
    picture: Picture
    environment: Variables


def run(options: Options) -> Report:
    """Measure on the processor: ours from ONNX in front, from torch beside the peers."""
    plan = Plan(CLIENTS, options.seconds or SECONDS, rounds=1, warm_up=Load(2, clients=2))
    return measure_scene(_set_up(options), plan, options, "resnet")


def measure_scene(scene: Scene, plan: Plan, options: Options, name: str) -> Report:
    """Measure starts, then the bare engines, then each peer beside ours."""
    starts = {server.name: _measure_starts(server, options) for server in (scene.ours, *scene.others)}
    engines = _measure_engines(scene, plan, options)
    found = compare(scene.ours, _list_pairs(scene, options), plan, options)
    clients = ", ".join(map(str, plan.clients))
    aside = _ASIDE.format(clients=clients, seconds=plan.seconds, forms=_describe_forms(starts))
    plot = Plot(name, "ResNet-152, JPEG of 640 x 480", draw_curves(found.measurements), "images per second")
    report = report_comparison(found, aside, plot)
    data = {**report.data, "starts": starts, "engines": [each.to_json() for each in engines]}
    return Report(data, [*report.sections, _render_starts(starts), render_engines(engines)], report.plots)


def _set_up(options: Options) -> Scene:
    options.progress("packaging ResNet-152")
    artifacts = {form: package(form, options.work) for form in FORMS}
    model = unpack(artifacts.values(), options.work / "unpacked")
    picture = take_picture(model)
    call = ask_picture_as_reference(picture)
    ours, auto, torch = (
        make_runtime(name, artifacts[form], call, options.work / name, NO_GPU) for form, name in FORMS.items()
    )
    onnx = find_file(model.folder, "*.onnx")
    eager = Engine("torch", model.state, NO_GPU)
    exact = [Engine("onnxruntime", onnx, NO_GPU), Engine("openvino", onnx, NO_GPU), eager]
    return Scene(
        ours=ours,
        others=[auto, torch],
        engines=[(ours, exact), (auto, [Engine("openvino", onnx, NO_GPU, "bfloat16"), eager])],
        picture=picture,
        environment={**model.environment, **NO_GPU},
    )


def _list_pairs(scene: Scene, options: Options) -> list[Pair]:
    call = scene.ours.call
    pairs = [Pair(server.name, partial(_give, server), call) for server in scene.others]
    return [*pairs, *(_make_pair(peer, scene) for peer in find_peers(options.peers) if peer.ask_picture)]


def _make_pair(peer: Peer, scene: Scene) -> Pair:
    if peer.ask_picture is None:
        raise ValueError(f"{peer.name} takes no pictures.")
    call = peer.ask_picture(scene.picture)
    return Pair(peer.name, partial(make_server, peer, "resnet", call, scene.environment), scene.ours.call)


def _give(server: Server) -> Server:
    return server


def _measure_starts(server: Server, options: Options) -> list[dict[str, Any]]:
    options.progress(f"{server.name}: {STARTS} starts")
    log = options.work / "logs" / f"{server.name}-start.log"
    found = []
    for _ in range(STARTS):
        with run_server(server, log) as running:
            found.append(describe_server(running))
    return found


def _measure_engines(scene: Scene, plan: Plan, options: Options) -> list[EngineResult]:
    found = []
    for server, engines in scene.engines:
        with run_server(server, options.work / "logs" / f"{server.name}-engines.log") as running:
            for engine in engines:
                options.progress(f"{engine.title}: bare engine, beside {server.name}")
                try:
                    found.append(measure_engine(engine, running, plan))
                except BenchmarkError as error:
                    options.progress(f"{engine.title}: skipped: {error}")
    return found


def _describe_forms(starts: Mapping[str, list[dict[str, Any]]]) -> str:
    """Return what runs each form of ours, in which precision, as the runtime itself tells."""
    models = {name: found[0]["about"]["model"] for name, found in starts.items()}
    return "; ".join(
        f"{name}: {each.get('engine', each['format'])} in {each['precision']}" for name, each in models.items()
    )


def _render_starts(starts: Mapping[str, list[dict[str, Any]]]) -> str:
    header = ("server", f"s from start to first answer (median of {STARTS})", "MiB PSS then", "MiB peak RSS")
    keys = ("start_seconds", "pss_mib_after_start", "peak_rss_mib_after_start")
    rows = [[name, *(f"{median(each[key] for each in found):.4g}" for key in keys)] for name, found in starts.items()]
    return render_table(header, rows)
