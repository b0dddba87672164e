"""The operator's own rendering, without a cluster: from manifests to the children of each ScoringModel among them.

What only a cluster knows, a ScoringModel's uid, is left out of the children unless the manifest has it.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any

import yaml
from pydantic import ValidationError
from pydantic_settings import EnvSettingsSource, SettingsError

from scoring_cli.documents import Manifest
from scoring_cli.errors import InputInvalid
from scoring_operator.api import API_VERSION, ScoringModel, describe_fields
from scoring_operator.errors import ModelProblem
from scoring_operator.hardware import choose_hardware
from scoring_operator.kinds import HARDWARE_CLASS, HASH_ANNOTATION, SCORING_MODEL
from scoring_operator.render import render_children
from scoring_operator.settings import Settings

PREFIX = "SCORING_OPERATOR_"


@dataclass(frozen=True)
class Surroundings:
    """What beside a ScoringModel decides on its children: hardware classes, the operator's settings, and the namespace."""

    classes: Sequence[Manifest]
    settings: Settings
    namespace: str


def read_surroundings(own: Sequence[Manifest], installed: Sequence[Manifest], namespace: str) -> Surroundings:
    """Return what manifests say of the surroundings.

    own: the user's, whose hardware classes come on top of those that are installed. installed: the platform team's, such as the chart as
    `helm template` prints it; the chart's defaults where they say nothing. Raises InputInvalid when the operator's settings are wrong.
    """
    defaults = read_chart_defaults()
    environment = next(filter(None, map(find_environment, installed)), None)
    base = installed or [make_class(one) for one in defaults["hardwareClasses"]]
    classes = {body["metadata"]["name"]: body for body in [*base, *own] if is_kind(body, HARDWARE_CLASS.name)}
    settings = read_settings(environment) if environment else Settings(runtime_images=defaults["runtimeImages"])
    return Surroundings(list(classes.values()), settings, namespace)


def read_chart_defaults() -> Manifest:
    """Return those of the chart's default values that matter here."""
    text = resources.files("scoring_cli").joinpath("chart_defaults.yaml").read_text(encoding="utf-8")
    defaults: Manifest = yaml.safe_load(text)
    return defaults


def is_kind(body: Manifest, name: str) -> bool:
    """Tell whether an object is of one of our kinds."""
    return body.get("apiVersion") == API_VERSION and body["kind"] == name


def make_class(given: Manifest) -> Manifest:
    """Return the HardwareClass of an entry of the chart's values."""
    return {
        "apiVersion": API_VERSION,
        "kind": HARDWARE_CLASS.name,
        "metadata": {"name": given["name"]},
        "spec": given["spec"],
    }


def find_environment(body: Manifest) -> dict[str, str] | None:
    """Return the variables of the operator's container when the object is its Deployment.

    Raises InputInvalid for a Deployment whose containers cannot be read.
    """
    if body["kind"] != "Deployment":
        return None
    try:
        environments = [_read_variables(container) for container in body["spec"]["template"]["spec"]["containers"]]
    except (KeyError, TypeError, AttributeError) as error:
        raise InputInvalid(
            f"--operator: Deployment {body['metadata']['name']} has no spec.template.spec.containers as Kubernetes takes them: give what "
            "`helm template` prints of the chart."
        ) from error
    return next((one for one in environments if f"{PREFIX}RUNTIME_IMAGES" in one), None)


def _read_variables(container: Manifest) -> dict[str, str]:
    entries: list[dict[str, Any]] = container.get("env") or []
    return {entry["name"]: entry["value"] for entry in entries if entry["name"].startswith(PREFIX) and "value" in entry}


def read_settings(environment: dict[str, str]) -> Settings:
    """Return the operator's settings as it reads them from its environment, this process's own left out."""
    source = EnvSettingsSource(Settings)
    source.env_vars = {name.lower(): value for name, value in environment.items()}
    try:
        return Settings(**source())
    except ValidationError as error:
        raise InputInvalid(f"--operator: its Deployment's environment is wrong: {describe_fields(error)}.") from error
    except SettingsError as error:
        raise InputInvalid(f"--operator: its Deployment's environment is wrong: {error}.") from error


def render_all(manifests: Iterable[Manifest], surroundings: Surroundings) -> Iterator[Manifest]:
    """Yield the children of each ScoringModel, in the operator's order. Raises InputInvalid, with the condition it would have."""
    models = [body for body in manifests if is_kind(body, SCORING_MODEL.name)]
    if not models:
        raise InputInvalid(
            f"There is no ScoringModel ({API_VERSION}) in what was given: name a file or folder with one."
        )
    for body in models:
        yield from render_one(body, surroundings)


def render_one(body: Manifest, surroundings: Surroundings) -> Iterator[Manifest]:
    """Yield the children of one ScoringModel."""
    metadata = {"namespace": surroundings.namespace, "uid": "", **body["metadata"]}
    is_known = bool(metadata["uid"])
    classes = [{**one, "metadata": {"uid": "", **one["metadata"]}} for one in surroundings.classes]
    try:
        model = ScoringModel.parse({**body, "metadata": metadata})
        children = render_children(model, choose_hardware(model, classes), surroundings.settings)
    except ModelProblem as problem:
        raise InputInvalid(f"ScoringModel {metadata['name']}: {problem.reason}: {problem.message}") from problem
    for child in filter(None, children.values()):
        yield child if is_known else forget_uid(child)


def forget_uid(child: Manifest) -> Manifest:
    """Return a child without its owner, who is known by a uid, and without the hash that the uid goes into."""
    metadata = {name: value for name, value in child["metadata"].items() if name != "ownerReferences"}
    kept = {name: value for name, value in metadata.get("annotations", {}).items() if name != HASH_ANNOTATION}
    metadata.pop("annotations", None)
    return {**child, "metadata": {**metadata, **({"annotations": kept} if kept else {})}}
