"""Our CRDs as an older or careless release might have had them: with schemas that take anything."""

import copy
from collections.abc import Iterator
from contextlib import contextmanager

import yaml

from kubectl import Kubectl, KubectlError, Manifest
from local_clusters import ROOT
from waiting import wait_for

ANYTHING = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
WRONG = "spec: {}"
"""What the strict schemas of both kinds refuse."""


def read_crd(plural: str) -> Manifest:
    """Return one of the CRDs as it is checked in."""
    crd: Manifest = yaml.safe_load((ROOT / "crds" / f"{plural}.yaml").read_text())
    return crd


def loosen(crd: Manifest) -> Manifest:
    """Return a CRD that takes any object."""
    loose = copy.deepcopy(crd)
    for version in loose["spec"]["versions"]:
        version["schema"] = {"openAPIV3Schema": ANYTHING}
    return loose


def is_taken(kubectl: Kubectl, kind: str) -> bool:
    """Tell whether the API server takes an object that the strict schema refuses."""
    probe = f"apiVersion: scoring.dev/v1beta1\nkind: {kind}\nmetadata: {{name: probe}}\n{WRONG}\n"
    try:
        kubectl("create", "--dry-run=server", "--validate=false", "-f", "-", stdin=probe)
    except KubectlError:
        return False
    return True


@contextmanager
def loosened(kubectl: Kubectl, plural: str) -> Iterator[None]:
    """Have the API server take anything as objects of one of our kinds for a while."""
    crd = read_crd(plural)
    kind = crd["spec"]["names"]["kind"]
    replace(kubectl, loosen(crd))
    try:
        wait_for(lambda: is_taken(kubectl, kind), f"the loose schema of {plural}")
        yield
    finally:
        replace(kubectl, crd)
        wait_for(lambda: not is_taken(kubectl, kind), f"the strict schema of {plural}")


def replace(kubectl: Kubectl, crd: Manifest) -> None:
    """Replace a CRD's schemas by those of another version of it."""
    kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", stdin=yaml.safe_dump(crd))


def build_strict_schema(plural: str) -> Manifest:
    """Return the schema of one of our kinds as JSON Schema that also refuses unknown fields, as `kubectl apply` does; CEL rules are left out."""
    (version,) = read_crd(plural)["spec"]["versions"]
    schema = close(copy.deepcopy(version["schema"]["openAPIV3Schema"]))
    schema["properties"]["metadata"] = {"type": "object", "required": ["name"]}
    return schema


def close(schema: Manifest) -> Manifest:
    """Refuse fields that the schema of an object does not name, in it and below it."""
    for field in schema.get("properties", {}).values():
        close(field)
    for inner in (schema.get("items"), schema.get("additionalProperties")):
        if isinstance(inner, dict):
            close(inner)
    if "properties" in schema and not schema.get("x-kubernetes-preserve-unknown-fields"):
        schema["additionalProperties"] = False
    return schema
