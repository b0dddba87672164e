"""Generates the CustomResourceDefinitions from the pydantic models: `python -m scoring_operator.crds FOLDER`.

The result is checked in under crds/; a test keeps it equal to the models.
"""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel

from scoring_operator.api import (
    GROUP,
    UNSEEN_GENERATION,
    VERSION,
    HardwareClassSpec,
    HardwareClassStatus,
    Manifest,
    ScoringModelSpec,
    ScoringModelStatus,
)
from scoring_operator.api.scoring_model import NAME_RULE

Schema = dict[str, Any]


def column(name: str, path: str, kind: str = "string", **more: Any) -> Manifest:
    """Return a column of `kubectl get`: `path` is a JSONPath, `kind` an OpenAPI type."""
    return {"name": name, "type": kind, "jsonPath": path, **more}


AGE = column("Age", ".metadata.creationTimestamp", "date")


def build_crds() -> dict[str, Manifest]:
    """Return the CRDs by file name."""
    return {"scoringmodels.yaml": build_scoring_model_crd(), "hardwareclasses.yaml": build_hardware_class_crd()}


def build_scoring_model_crd() -> Manifest:
    """Return the CRD of ScoringModel: namespaced, with status and scale subresources."""
    schema = {
        "description": "A ScoringModel serves a model artifact at a scoring endpoint, on hardware of a class.",
        "properties": {
            "spec": build_schema(ScoringModelSpec),
            "status": {**build_schema(ScoringModelStatus), "default": {"observedGeneration": UNSEEN_GENERATION}},
        },
        "x-kubernetes-validations": [NAME_RULE.render("self.metadata.name")],
    }
    version = {
        "schema": build_root_schema(schema),
        "subresources": {
            "status": {},
            "scale": {
                "specReplicasPath": ".spec.replicas",
                "statusReplicasPath": ".status.replicas",
                "labelSelectorPath": ".status.selector",
            },
        },
        "additionalPrinterColumns": [
            column("Ready", '.status.conditions[?(@.type=="Ready")].status'),
            column("Reason", '.status.conditions[?(@.type=="Ready")].reason'),
            column("Replicas", ".status.replicas", "integer"),
            column("Class", ".status.hardwareClass"),
            column("URL", ".status.url"),
            AGE,
            column("Route", '.status.conditions[?(@.type=="RouteReady")].reason', priority=1),
            column("Message", '.status.conditions[?(@.type=="Ready")].message', priority=1),
        ],
    }
    return build_crd("ScoringModel", ("scoringmodels", "sm"), "Namespaced", version)


def build_hardware_class_crd() -> Manifest:
    """Return the CRD of HardwareClass: cluster-scoped, with a status that tells how many more replicas fit."""
    schema = {
        "description": "A HardwareClass is a kind of hardware that models run on: resources, accelerator and nodes. The platform team owns it.",
        "properties": {"spec": build_schema(HardwareClassSpec), "status": build_schema(HardwareClassStatus)},
    }
    version = {
        "schema": build_root_schema(schema),
        "subresources": {"status": {}},
        "additionalPrinterColumns": [
            column("Default", ".spec.default", "boolean"),
            column("CPU", ".spec.resources.limits.cpu"),
            column("Memory", ".spec.resources.limits.memory"),
            column("Accelerator", ".spec.accelerator.resource"),
            column("Count", ".spec.accelerator.count", "integer"),
            column("Fit", ".status.capacity", "integer"),
            AGE,
            column("Models", ".status.models", "integer", priority=1),
            column("Replicas", ".status.replicas", "integer", priority=1),
            column("Pending", ".status.pending", "integer", priority=1),
            column("Nodes", ".status.nodes", "integer", priority=1),
            column("Waiting", ".status.waiting", "integer", priority=1),
        ],
    }
    return build_crd("HardwareClass", ("hardwareclasses", "hwc"), "Cluster", version)


def build_crd(kind: str, names: tuple[str, str], scope: str, version: Manifest) -> Manifest:
    """Return a CRD with one served and stored version; `names` are the plural and the short name."""
    plural, short_name = names
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{GROUP}"},
        "spec": {
            "group": GROUP,
            "scope": scope,
            "names": {
                "kind": kind,
                "plural": plural,
                "singular": kind.lower(),
                "shortNames": [short_name],
                "categories": ["scoring"],
            },
            "versions": [{"name": VERSION, "served": True, "storage": True, **version}],
        },
    }


def build_root_schema(schema: Schema) -> Schema:
    """Return the schema of a whole object around `schema`."""
    common = {
        "apiVersion": {"type": "string", "description": f"{GROUP}/{VERSION}"},
        "kind": {"type": "string", "description": "The kind of the object."},
        "metadata": {"type": "object"},
    }
    return {
        "openAPIV3Schema": {
            **schema,
            "type": "object",
            "required": ["spec"],
            "properties": {**common, **schema["properties"]},
        }
    }


def build_schema(model: type[BaseModel]) -> Schema:
    """Return the structural schema of a model: references resolved, optional fields plain, nothing that a CRD may not hold."""
    schema = model.model_json_schema(by_alias=True, mode="validation")
    return make_structural(schema, schema.get("$defs", {}))


def make_structural(schema: Schema, definitions: dict[str, Schema]) -> Schema:
    """Return `schema` as the API server wants it; `definitions` are pydantic's $defs."""
    schema = resolve(schema, definitions)
    structural = {key: value for key, value in schema.items() if key not in {"title", "$defs", "additionalProperties"}}
    if "properties" in schema:
        structural["properties"] = {
            name: make_structural(field, definitions) for name, field in schema["properties"].items()
        }
    if isinstance(schema.get("additionalProperties"), dict):
        structural["additionalProperties"] = make_structural(schema["additionalProperties"], definitions)
    if "items" in schema:
        structural["items"] = make_structural(schema["items"], definitions)
    if "const" in structural:
        structural["enum"] = [structural.pop("const")]
    return structural


def resolve(schema: Schema, definitions: dict[str, Schema]) -> Schema:
    """Return `schema` with a reference or an optional type (`anyOf` with null) replaced by what it stands for; its own keys win."""
    own = {key: value for key, value in schema.items() if key not in {"$ref", "anyOf"}}
    if "default" in own and is_hollow(own["default"]):
        del own["default"]
    if "default" in own:
        own["default"] = drop_nulls(own["default"])
    if "$ref" in schema:
        return resolve({**definitions[schema["$ref"].rpartition("/")[2]], **own}, definitions)
    if "anyOf" in schema and "x-kubernetes-int-or-string" not in schema:
        (alternative,) = [item for item in schema["anyOf"] if item != {"type": "null"}]
        return resolve({**alternative, **own}, definitions)
    return {**schema, **own} if "anyOf" in schema else own


def drop_nulls(default: object) -> object:
    """Return a default without fields that are null, which the API server refuses for a field of another type."""
    if isinstance(default, dict):
        return {name: drop_nulls(value) for name, value in default.items() if value is not None}
    return [drop_nulls(value) for value in default] if isinstance(default, list) else default


def is_hollow(default: object) -> bool:
    """Tell whether a default says nothing: null, empty, or an object of such; writing it into every object would only be noise."""
    if isinstance(default, dict):
        return all(is_hollow(value) for value in default.values())
    return default is None or default == []


def render_yaml(crd: Manifest) -> str:
    """Return the text of the checked-in file."""
    return "# Generated from operator/src/scoring_operator/api by `make crds`. Do not edit.\n" + yaml.safe_dump(
        crd, sort_keys=False, width=140
    )


def main() -> None:
    """Write the CRDs into the folder named on the command line."""
    parser = ArgumentParser(prog="python -m scoring_operator.crds", description=main.__doc__)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    for name, crd in build_crds().items():
        (folder / name).write_text(render_yaml(crd))


if __name__ == "__main__":
    main()
