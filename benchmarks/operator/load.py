"""Makes ScoringModels, or the same children without an operator, by as many clients as are asked for. Above `api_server`."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterable, Iterator

from benchmarks.operator.api_server import AUTOSCALERS, DEPLOYMENTS, MODELS, SERVICES, ApiServer, Manifest, find_path
from benchmarks.operator.clusters import CLASS, NAMESPACE
from benchmarks.operator.processes import RUNTIME_IMAGES
from scoring_operator.api import HardwareClass, ScoringModel
from scoring_operator.kinds import AUTOSCALER, DEPLOYMENT, SERVICE, Kind
from scoring_operator.render import render_children
from scoring_operator.settings import Settings

CLIENTS = 4

_PATHS = {DEPLOYMENT: DEPLOYMENTS, SERVICE: SERVICES, AUTOSCALER: AUTOSCALERS}


def name_models(count: int, first: int = 0) -> list[str]:
    """Return the names of `count` models."""
    return [f"model-{number:05}" for number in range(first, first + count)]


def build_model(name: str) -> Manifest:
    """Return an ordinary ScoringModel with autoscaling, and thus with a Deployment, a Service and an autoscaler."""
    return {
        "apiVersion": "scoring.dev/v1beta1",
        "kind": "ScoringModel",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {
            "model": {
                "uri": f"file:///models/{name}.tar",
                "format": "sklearn",
                "digest": f"sha256:{'0' * 64}",
            },
            "hardwareClass": CLASS["metadata"]["name"],
            "autoscaling": {"minReplicas": 1, "maxReplicas": 3, "metrics": [{"type": "cpu", "target": 70}]},
        },
    }


async def create_models(api: ApiServer, names: Iterable[str]) -> None:
    """Create ScoringModels."""
    await _share(names, lambda name: _create_model(api, name))


async def create_children(api: ApiServer, names: Iterable[str]) -> None:
    """Create what the operator would render for these models: the floor that no operator can be faster than."""
    settings = Settings(runtime_images=json.loads(RUNTIME_IMAGES))
    await _share(names, lambda name: _create_children(api, name, settings))


async def _create_model(api: ApiServer, name: str) -> None:
    await api.create(find_path(MODELS, NAMESPACE), build_model(name))


async def _create_children(api: ApiServer, name: str, settings: Settings) -> None:
    for kind, body in render_orphans(name, settings):
        await api.create(find_path(_PATHS[kind], NAMESPACE), body)


def render_orphans(name: str, settings: Settings) -> Iterator[tuple[Kind, Manifest]]:
    """Yield a model's children without their owner, which the garbage collector would look for in vain."""
    body = build_model(name)
    body["metadata"]["uid"] = "none"
    hardware = HardwareClass.parse({**CLASS, "metadata": {**CLASS["metadata"], "uid": "none"}})
    for kind, child in render_children(ScoringModel.parse(body), hardware, settings).items():
        if kind in _PATHS and child is not None:
            metadata = {key: value for key, value in child["metadata"].items() if key != "ownerReferences"}
            yield kind, {**child, "metadata": metadata}


async def _share(names: Iterable[str], make: Callable[[str], Awaitable[None]]) -> None:
    """Have CLIENTS clients do the work, each taking the next name when it is free."""
    waiting = iter(list(names))

    async def work() -> None:
        for name in waiting:
            await make(name)

    await asyncio.gather(*(work() for _ in range(CLIENTS)))
