"""How the store keeps objects: cut down to what is read, as compressed JSON. As Python's dictionaries they take ten times as much memory.

By zlib-ng: the standard library's zlib takes four times as long for the same size, which was a tenth of the operator's processor time.
"""

import orjson
from zlib_ng import zlib_ng

from scoring_operator.api import UNSEEN_GENERATION, Manifest
from scoring_operator.kinds import GATEWAY, HARDWARE_CLASS, MANAGER, MODEL_LABEL, NODE, POD, ROUTES, SCORING_MODEL, Kind

COMPRESSION_LEVEL = 2

CONDITION_FIELDS = ("type", "status", "lastTransitionTime")
OWN_CONTAINER_FIELDS = ("name", "image", "resources", "restartPolicy")
OWN_SPEC_FIELDS = ("imagePullSecrets",)
ROOM_METADATA_FIELDS = ("name", "namespace", "uid", "resourceVersion", "labels")
ROOM_CONTAINER_FIELDS = ("resources", "restartPolicy")
ROOM_SPEC_FIELDS = ("nodeName", "resources", "overhead", "taints", "unschedulable")
ROOM_STATUS_FIELDS = ("phase", "allocatable")
OTHERS_METADATA_FIELDS = (*ROOM_METADATA_FIELDS, "ownerReferences")
LISTENER_FIELDS = ("name", "hostname", "protocol")
ROUTER_CONDITION_FIELDS = ("type", "status", "reason", "message")


def pack(kind: Kind, body: Manifest) -> bytes:
    """Return what is kept of an object."""
    metadata = {name: value for name, value in body["metadata"].items() if name != "managedFields"}
    if owns_replicas(body):
        metadata["managedFields"] = [{"manager": MANAGER, "fieldsV1": {"f:spec": {"f:replicas": {}}}}]
    kept = {**body, "metadata": metadata}
    if kind is POD and MODEL_LABEL in metadata.get("labels", {}):
        spec = body.get("spec", {})
        kept["spec"] = {**reduce_spec(spec, OWN_CONTAINER_FIELDS), **pick(spec, *OWN_SPEC_FIELDS)}
    elif kind in {POD, NODE}:
        kept = reduce_to_room(body)
    elif kind in ROUTES and MODEL_LABEL not in metadata.get("labels", {}):
        kept = {"metadata": pick(body["metadata"], *OTHERS_METADATA_FIELDS)}
    elif kind is GATEWAY:
        kept = reduce_gateway(body)
    elif kind in {SCORING_MODEL, HARDWARE_CLASS} and not is_readable(body.get("status")):
        kept.pop("status", None)
    return zlib_ng.compress(orjson.dumps(kept), COMPRESSION_LEVEL)


def unpack(packed: bytes) -> Manifest:
    """Return a kept object."""
    body: Manifest = orjson.loads(zlib_ng.decompress(packed))
    return body


def is_readable(status: object) -> bool:
    """Tell whether a status of our kinds has what is read of it; any other counts as none and is written anew."""
    if not isinstance(status, dict) or status.get("observedGeneration") == UNSEEN_GENERATION:
        return False
    conditions = status.get("conditions", [])
    return (
        isinstance(status.get("hardwareClass", ""), str)
        and isinstance(conditions, list)
        and all(
            isinstance(one, dict) and all(isinstance(one.get(name), str) for name in CONDITION_FIELDS)
            for one in conditions
        )
    )


def reduce_to_room(body: Manifest) -> Manifest:
    """Return of a node, or of a pod of others, what tells its room or its requests."""
    status = body.get("status", {})
    conditions = [one for one in status.get("conditions") or [] if one["type"] == "Ready"]
    return {
        "metadata": pick(body["metadata"], *ROOM_METADATA_FIELDS),
        "spec": reduce_spec(body.get("spec", {}), ROOM_CONTAINER_FIELDS),
        "status": {
            **pick(status, *ROOM_STATUS_FIELDS),
            "conditions": [pick(condition, "type", "status") for condition in conditions],
        },
    }


def reduce_gateway(body: Manifest) -> Manifest:
    """Return of a Gateway what tells where routes may attach and whether it works; it counts its routes too, which is news with each of them."""
    conditions = body.get("status", {}).get("conditions") or []
    return {
        "metadata": pick(body["metadata"], *ROOM_METADATA_FIELDS),
        "spec": {"listeners": [pick(listener, *LISTENER_FIELDS) for listener in body["spec"].get("listeners") or []]},
        "status": {"conditions": [pick(condition, *ROUTER_CONDITION_FIELDS) for condition in conditions]},
    }


def reduce_spec(spec: Manifest, container_fields: tuple[str, ...]) -> Manifest:
    """Return where a pod runs and some fields of its containers, or a node's taints."""
    containers = {
        name: [pick(container, *container_fields) for container in spec[name]]
        for name in ("containers", "initContainers")
        if spec.get(name)
    }
    return {**pick(spec, *ROOM_SPEC_FIELDS), **containers}


def pick(body: Manifest, *names: str) -> Manifest:
    """Return some fields of an object, where it has them."""
    return {name: body[name] for name in names if name in body}


def owns_replicas(body: Manifest) -> bool:
    """Tell whether the operator has applied spec.replicas, so that the API server takes the number away when it no longer does."""
    entries = body["metadata"].get("managedFields") or []
    return any(
        entry.get("manager") == MANAGER and "f:replicas" in entry.get("fieldsV1", {}).get("f:spec", {})
        for entry in entries
    )
