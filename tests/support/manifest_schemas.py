"""JSON schemas for kubeconform: Kubernetes' own kinds from its Go module, and ours and others' from their CRDs.

With no Go on this machine, kubeconform takes Kubernetes' kinds from where it usually does, by HTTPS.
"""

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from charts.values import close
from local_cluster.definitions import Source, read_definitions
from local_cluster.releases import KUBERNETES_VERSION
from local_clusters import ROOT

Schema = dict[str, Any]

KUBERNETES = Source("kubernetes", "k8s.io/kubernetes", ("api/openapi-spec",))
OTHERS = {"prometheus-operator": ("servicemonitors", "podmonitors", "prometheusrules")}
"""Kinds of other projects that our manifests may have, by the projects' names in `local_cluster crds`."""

REFERENCE = re.compile(r'"\$ref": "#/definitions/([^"]+)"')
EITHER = {"anyOf": [{"type": "string"}, {"type": "number"}]}
QUANTITY = "io.k8s.apimachinery.pkg.api.resource.Quantity"


def write_schemas(folder: Path) -> list[str]:
    """Write a file for each kind; return kubeconform's options that name them."""
    for crd in read_crds():
        for version in crd["spec"]["versions"]:
            kind = (crd["spec"]["group"], version["name"], crd["spec"]["names"]["kind"])
            write_schema(folder, kind, close_object(version["schema"]["openAPIV3Schema"]))
    locations = [f"{folder}/{{{{.ResourceKind}}}}{{{{.KindSuffix}}}}.json"]
    if shutil.which("go"):
        write_kubernetes_schemas(folder, json.loads((KUBERNETES.folder / "api/openapi-spec/swagger.json").read_text()))
    else:
        locations.append("default")
    options = [word for location in locations for word in ("-schema-location", location)]
    return [*options, "-strict", "-kubernetes-version", KUBERNETES_VERSION.removeprefix("v")]


def read_crds() -> Iterator[Schema]:
    """Yield our CRDs, and those of other projects where Go can have them."""
    texts = [path.read_text() for path in sorted((ROOT / "crds").glob("*.yaml"))]
    if shutil.which("go"):
        texts += [text for project, plurals in OTHERS.items() for text in read_others(project, plurals)]
    yield from (yaml.load(text, yaml.CSafeLoader) for text in texts)


def read_others(project: str, plurals: tuple[str, ...]) -> Iterator[str]:
    """Yield the text of some of a project's CRDs; all of them would take seconds to read."""
    for text in re.split(r"^---\n", read_definitions(project), flags=re.MULTILINE):
        if any(f"\n  name: {plural}." in text for plural in plurals):
            yield text


def close_object(schema: Schema) -> Schema:
    """Return a CRD's schema with no fields but those named, metadata left to the API server."""
    closed = close(schema)
    closed["properties"]["metadata"] = {"type": "object"}
    return closed


def write_kubernetes_schemas(folder: Path, swagger: Schema) -> None:
    """Write a file for each kind that an API server serves by itself."""
    definitions = {name: close_definition(name, body) for name, body in swagger["definitions"].items()}
    for name, body in swagger["definitions"].items():
        for kind in body.get("x-kubernetes-group-version-kind", []):
            needed = find_needed(definitions, name)
            schema = {**definitions[name], "definitions": {other: definitions[other] for other in needed}}
            write_schema(folder, (kind["group"], kind["version"], kind["kind"]), schema)


def close_definition(name: str, body: Schema) -> Schema:
    """Return a definition of Kubernetes' own as a strict schema; whole numbers pass where either is read."""
    if name == QUANTITY or body.get("format") == "int-or-string":
        return EITHER
    return close(body)


def find_needed(definitions: Schema, name: str) -> set[str]:
    """Return the names of all definitions that one needs."""
    needed: set[str] = set()
    open_names = [name]
    while open_names:
        for other in REFERENCE.findall(json.dumps(definitions[open_names.pop()])):
            if other not in needed:
                needed.add(other)
                open_names.append(other)
    return needed


def write_schema(folder: Path, kind: tuple[str, str, str], schema: Schema) -> None:
    """Write a schema under the name by which kubeconform asks for it: the first word of the group, and the version."""
    group, version, name = kind
    suffix = f"-{group.split('.')[0]}-{version}" if group else f"-{version}"
    (folder / f"{name.lower()}{suffix}.json").write_text(json.dumps(schema))
