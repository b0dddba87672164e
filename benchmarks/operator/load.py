"""Makes models, or the same children without an operator, by as many clients as are asked for. Above the contenders."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterable, Iterator

from benchmarks.operator.api_server import AUTOSCALERS, DEPLOYMENTS, SERVICES, ApiServer, Manifest, find_path
from benchmarks.operator.clusters import NAMESPACE
from benchmarks.operator.contenders import Contender
from benchmarks.operator.ours import CLASS, RUNTIME_IMAGES, build_model
from scoring_operator.api import HardwareClass, ScoringModel
from scoring_operator.kinds import AUTOSCALER, DEPLOYMENT, SERVICE, Kind
from scoring_operator.render import render_children
from scoring_operator.settings import Settings

CLIENTS = 4

_PATHS = {DEPLOYMENT: DEPLOYMENTS, SERVICE: SERVICES, AUTOSCALER: AUTOSCALERS}


def name_models(count: int, first: int = 0) -> list[str]:
    """Return the names of `count` models."""
    return [f"model-{number:05}" for number in range(first, first + count)]


async def create_models(api: ApiServer, contender: Contender, names: Iterable[str]) -> None:
    """Create a contender's models."""
    path = find_path(contender.models, NAMESPACE)
    await _share(names, lambda name: _create(api, path, contender.build_model(name)))


async def create_children(api: ApiServer, names: Iterable[str]) -> None:
    """Create what our operator would render for these models: the floor that no operator can be faster than."""
    settings = Settings(runtime_images=json.loads(RUNTIME_IMAGES))
    await _share(names, lambda name: _create_children(api, name, settings))


async def _create(api: ApiServer, path: str, body: Manifest) -> None:
    await api.create(path, body)


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
