"""Every manifest that a reader may copy is a valid one; those in documents are for test_documented_manifests.py."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

from local_clusters import ROOT
from scoring_operator.api import API_VERSION, HardwareClass, ScoringModel
from scoring_runtime.artifacts.uris import is_archive_name

Manifest = dict[str, Any]

FOLDERS = ("samples", "tests", "benchmarks")


def read_documents(path: Path) -> Iterator[Manifest]:
    """Yield our manifests in a YAML file."""
    for body in yaml.safe_load_all(path.read_text()):
        if isinstance(body, dict) and body.get("apiVersion") == API_VERSION:
            yield body


def find_manifests() -> dict[str, Manifest]:
    """Return every manifest of ours in the repository, by file, kind and name."""
    paths = [path for folder in FOLDERS for path in (ROOT / folder).rglob("*.yaml")]
    return {
        f"{path.relative_to(ROOT)} {body['kind']} {body['metadata']['name']}": body
        for path in paths
        for body in read_documents(path)
    }


MANIFESTS = find_manifests()


@pytest.mark.parametrize("name", MANIFESTS)
def test_manifest_is_valid(name: str) -> None:
    body = MANIFESTS[name]
    kinds = {"ScoringModel": ScoringModel, "HardwareClass": HardwareClass}
    kinds[body["kind"]].parse({**body, "metadata": {**body["metadata"], "uid": "-"}})


def test_samples_fetch_archives_over_https() -> None:
    """The runtime refuses any other single file before it fetches it."""
    models = [
        body for name, body in MANIFESTS.items() if name.startswith("samples/") and body["kind"] == "ScoringModel"
    ]
    uris = [urlsplit(body["spec"]["model"]["uri"]) for body in models]
    names = [uri.path for uri in uris if uri.scheme == "https"]
    assert names
    assert not [name for name in names if not is_archive_name(name)]


def test_samples_name_classes_that_the_chart_makes() -> None:
    values = yaml.safe_load((ROOT / "charts" / "scoring-operator" / "values.yaml").read_text())
    made = {hardware["name"] for hardware in values["hardwareClasses"]}
    models = {name: body for name, body in MANIFESTS.items() if name.startswith("samples/")}
    assert models
    assert {body["spec"]["hardwareClass"] for body in models.values() if "hardwareClass" in body["spec"]} <= made
