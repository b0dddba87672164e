"""ResNet-152 on a GPU: ours from torch beside bare torch and the peers, only where a GPU is."""

from benchmarks.serving.comparisons import OURS, Options, Plan
from benchmarks.serving.dialects import ask_picture_as_reference
from benchmarks.serving.engines import Engine
from benchmarks.serving.errors import NothingToMeasure
from benchmarks.serving.load_generator import Load
from benchmarks.serving.machine import has_gpu
from benchmarks.serving.pictures import package, take_picture, unpack
from benchmarks.serving.resnet import SECONDS, Scene, measure_scene
from benchmarks.serving.results import Report
from benchmarks.serving.runtime import make_runtime

CLIENTS = (1, 8, 32)


def run(options: Options) -> Report:
    """Measure as on the processor, with more clients. Raises NothingToMeasure where no GPU is."""
    if not has_gpu():
        raise NothingToMeasure("there is no NVIDIA GPU here, so there is nothing to measure: run this where one is")
    options.progress("packaging ResNet-152")
    artifact = package("torch", options.work)
    model = unpack([artifact], options.work / "unpacked")
    picture = take_picture(model)
    ours = make_runtime(OURS, artifact, ask_picture_as_reference(picture), options.work / OURS)
    scene = Scene(
        ours=ours,
        others=[],
        engines=[(ours, [Engine("torch", model.state, {})])],
        picture=picture,
        environment=model.environment,
    )
    plan = Plan(CLIENTS, options.seconds or SECONDS, rounds=1, warm_up=Load(2, clients=2))
    return measure_scene(scene, plan, options, "gpu")
