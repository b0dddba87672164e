"""What all children have in common: name, labels, owner and the hash of what was rendered."""

import hashlib

import orjson

from scoring_operator.api import API_VERSION, Manifest, ScoringModel
from scoring_operator.kinds import HASH_ANNOTATION, MANAGED_BY_LABEL, MANAGER, MODEL_LABEL, SCORING_MODEL, Kind


def render_object(kind: Kind, model: ScoringModel, spec: Manifest) -> Manifest:
    """Return a child of the model with a spec."""
    metadata = render_metadata(model)
    metadata["name"] += kind.suffix
    return {"apiVersion": kind.api_version, "kind": kind.name, "metadata": metadata, "spec": spec}


def render_metadata(model: ScoringModel) -> Manifest:
    """Return the metadata of a child: named like the model, labelled, owned and thus deleted with it."""
    owner = {
        "apiVersion": API_VERSION,
        "kind": SCORING_MODEL.name,
        "name": model.name,
        "uid": model.metadata.uid,
        "controller": True,
        "blockOwnerDeletion": True,
    }
    return {
        "name": model.name,
        "namespace": model.namespace,
        "labels": render_labels(model),
        "ownerReferences": [owner],
    }


def render_labels(model: ScoringModel) -> dict[str, str]:
    """Return the labels of every child and pod: Kubernetes' recommended ones and the model's name."""
    return {
        "app.kubernetes.io/name": "scoring-runtime",
        "app.kubernetes.io/instance": model.name,
        MANAGED_BY_LABEL: MANAGER,
        MODEL_LABEL: model.name,
    }


def render_selector(model: ScoringModel) -> dict[str, str]:
    """Return the labels that select the model's pods; a Deployment's can never change, so they are few."""
    return {MODEL_LABEL: model.name}


def add_hash(body: Manifest) -> Manifest:
    """Return the manifest, or pod template, with the hash of itself as an annotation.

    A field that is no longer rendered changes it, although the live object lacks nothing.
    """
    metadata = body["metadata"]
    annotations = {**metadata.get("annotations", {}), HASH_ANNOTATION: compute_hash(body)}
    return {**body, "metadata": {**metadata, "annotations": annotations}}


def compute_hash(body: Manifest) -> str:
    """Return 16 hexadecimal digits that change with anything in the manifest."""
    return hashlib.sha256(orjson.dumps(body, option=orjson.OPT_SORT_KEYS)).hexdigest()[:16]
