"""Builds the project's images and puts them on a cluster: what `load-image` does."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from local_cluster.builder import Build
from local_cluster.errors import ImageNotBuilt
from local_cluster.image_inputs import content_tag
from local_cluster.state import REPOSITORY, cache_folder

Report = Callable[[str], None]


class Target(Protocol):
    """A cluster that takes images, and the store in which they are built: a real node and buildah, or kind and Docker."""

    def base(self, report: Report) -> str:
        """Make or find the base image; its reference."""

    def is_built(self, reference: str) -> bool:
        """Whether the store has the image."""

    def build(self, build: Build, log: Path) -> None:
        """Build an image into the store; ImageNotBuilt when that fails."""

    def has(self, reference: str) -> bool:
        """Whether the cluster has the image."""

    def load(self, reference: str) -> None:
        """Give the cluster an image of the store."""

    def remove_others(self, repository: str, kept: str) -> None:
        """Keep this image of a repository and the newest of the others, so that a step back is quick."""


@dataclass(frozen=True)
class Recipe:
    """How one of the project's own images is built from the repository."""

    dockerfile: str
    arguments: Mapping[str, str]


RECIPES = {
    "operator": Recipe("Dockerfile.operator", {}),
    "client": Recipe("samples/client/Dockerfile", {}),
    **{
        f"runtime-{variant}": Recipe("Dockerfile.runtime", {"VARIANT": variant})
        for variant in ("sklearn", "torch", "tensorflow", "onnx", "mlflow", "fetch")
    },
}
BASE = "base"


def load_project_image(name: str, target: Target, report: Report) -> str:
    """Put one of the project's images (or the base) on a cluster, building it if its inputs changed; its reference."""
    base = target.base(report)
    if name == BASE:
        return _load(base, target, report)
    if name not in RECIPES:
        raise ImageNotBuilt(f"no image {name!r}; there are {', '.join((*RECIPES, BASE))}")
    recipe = RECIPES[name]
    build = plan_build(
        REPOSITORY / recipe.dockerfile,
        REPOSITORY,
        f"localhost/scoring-{name}",
        {**recipe.arguments, "BASE_IMAGE": base},
    )
    return _build_and_load(build, target, report)


def load_derived_image(
    dockerfile: Path, context: Path, tag: str, arguments: Mapping[str, str], target: Target, report: Report
) -> str:
    """Put an image of any Dockerfile on a cluster; its reference is `tag`, with a tag of its inputs if it names none."""
    build = plan_build(dockerfile, context, tag, {"BASE_IMAGE": target.base(report), **arguments})
    return _build_and_load(build, target, report)


def plan_build(dockerfile: Path, context: Path, name: str, arguments: Mapping[str, str]) -> Build:
    """What to build under which reference; ImageNotBuilt when an input is missing."""
    if not context.is_dir():
        raise ImageNotBuilt(f"there is no folder {context}")
    has_tag = ":" in name.rpartition("/")[2]
    reference = name if has_tag else f"{name}:{content_tag(dockerfile, context, arguments)}"
    return Build(dockerfile, context, reference, dict(arguments))


def _build_and_load(build: Build, target: Target, report: Report) -> str:
    # A reference that somebody chose says nothing about the inputs: it is built again each time.
    is_current = build.reference.endswith(f":{content_tag(build.dockerfile, build.context, build.arguments)}")
    repository = build.reference.rpartition(":")[0]
    # First, not last: there may be room for two large images and not for three.
    target.remove_others(repository, build.reference)
    if not (is_current and target.is_built(build.reference)):
        report("building")
        target.build(build, cache_folder() / "images" / f"{repository.rpartition('/')[2]}.log")
    return _load(build.reference, target, report, again=not is_current)


def _load(reference: str, target: Target, report: Report, *, again: bool = False) -> str:
    if again or not target.has(reference):
        report("loading")
        target.load(reference)
    return reference
