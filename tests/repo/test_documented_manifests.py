"""Each manifest of ours in a document is one that the API server would take: whole ones, and fragments that show one field.

By the CRDs' schemas, unknown fields refused, and by the operator's own models. CEL rules are the API server's (tests/integration).
"""

import re
from collections.abc import Iterator
from pathlib import Path

import jsonschema
import pytest
import yaml

from crd_schemas import build_strict_schema
from kubectl import Manifest
from local_clusters import ROOT
from scoring_operator.api import API_VERSION, HardwareClass, ScoringModel

DOCUMENTS = sorted({*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("samples/**/*.md")})
YAML_BLOCK = re.compile(r"^```ya?ml\n(.*?)^```", re.MULTILINE | re.DOTALL)

PLURALS = {"ScoringModel": "scoringmodels", "HardwareClass": "hardwareclasses"}
SCHEMAS = {kind: build_strict_schema(plural) for kind, plural in PLURALS.items()}
MODELS = {"ScoringModel": ScoringModel, "HardwareClass": HardwareClass}
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


FOUND = [
    pytest.param(body, id=f"{document.relative_to(ROOT)} {number}")
    for document in DOCUMENTS
    for number, body in enumerate(read_manifests(document))
]


@pytest.mark.parametrize("body", FOUND)
def test_manifest_in_a_document_is_one_that_the_crd_takes(body: Manifest) -> None:
    jsonschema.Draft202012Validator(SCHEMAS[body["kind"]]).validate(body)


@pytest.mark.parametrize("body", FOUND)
def test_manifest_in_a_document_is_one_that_the_operator_reads(body: Manifest) -> None:
    MODELS[body["kind"]].parse({**body, "metadata": {**body["metadata"], "uid": "-"}})


@pytest.mark.parametrize(
    ("change", "said"),
    [({"replica": 2}, "'replica' was unexpected"), ({"replicas": -1}, "less than the minimum")],
    ids=["unknown", "negative"],
)
def test_strict_schema_refuses_what_kubectl_apply_would(change: Manifest, said: str) -> None:
    body = {"apiVersion": API_VERSION, "kind": "ScoringModel", "metadata": {"name": "faq"}}
    body["spec"] = {"model": {"uri": "pvc://models/faq.tar"}, **change}
    with pytest.raises(jsonschema.ValidationError, match=said):
        jsonschema.validate(body, SCHEMAS["ScoringModel"])
