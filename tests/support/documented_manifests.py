"""The manifests of ours in the documents' YAML blocks, fragments that show one field made whole."""

import re
from collections.abc import Iterator
from pathlib import Path

import yaml

from kubectl import Manifest
from local_clusters import ROOT
from scoring_operator.api import API_VERSION

DOCUMENTS = sorted({*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("samples/**/*.md")})
YAML_BLOCK = re.compile(r"^```ya?ml\n(.*?)^```", re.MULTILINE | re.DOTALL)

CLASS_PAGES = {"hardware-classes.md"}
"""Where a fragment is one of a HardwareClass."""
PLACES = {"behavior": ("spec", "autoscaling", "behavior"), "topologySpread": ("spec", "topologySpread")}
"""Fragments of a field further down."""
NEEDED = {
    ("ScoringModel", "model"): {"uri": "pvc://models/faq.tar"},
    ("ScoringModel", "autoscaling", "maxReplicas"): 2,
    ("HardwareClass", "resources"): {"limits": {"cpu": 1}},
}
"""What the objects of a fragment need beside it."""


def read_manifests(document: Path) -> Iterator[Manifest]:
    """Yield the manifests of ours in a document's YAML blocks, fragments made whole."""
    for block in YAML_BLOCK.findall(document.read_text()):
        for body in yaml.safe_load_all(block):
            if not isinstance(body, dict):
                continue
            if body.get("apiVersion") == API_VERSION:
                yield body
            elif "apiVersion" not in body and body.keys() & {"spec", *PLACES}:
                yield complete(document, body)


def complete(document: Path, fragment: Manifest) -> Manifest:
    """Return the manifest that a fragment is a part of, with the least that it needs beside."""
    kind = "HardwareClass" if document.name in CLASS_PAGES else "ScoringModel"
    for field, place in PLACES.items():
        if field in fragment:
            value = fragment.pop(field)
            for name in reversed(place):
                value = {name: value}
            fragment.update(value)
    whole = {"apiVersion": API_VERSION, "kind": kind, "metadata": {"name": "faq"}, **fragment}
    for (wanted, *path), value in NEEDED.items():
        if wanted == kind:
            add(whole["spec"], path, value)
    return whole


def add(spec: Manifest, path: list[str], value: object) -> None:
    """Add a field that is missing, if the object that it belongs to is there."""
    *outer, name = path
    for step in outer:
        if step not in spec:
            return
        spec = spec[step]
    spec.setdefault(name, value)


def find_manifests() -> dict[str, Manifest]:
    """Return all of them by document and number."""
    return {
        f"{document.relative_to(ROOT)} {number}": body
        for document in DOCUMENTS
        for number, body in enumerate(read_manifests(document))
    }
