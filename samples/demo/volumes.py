"""Puts model artifacts into a PersistentVolumeClaim, as any job that trains models would."""

import subprocess
from pathlib import Path
from typing import Any

import yaml

from samples.demo.clusters import Cluster

Manifest = dict[str, Any]

CLAIM = "models"
LOADER = "model-loader"
MOUNT = "/models"


def open_volume(cluster: Cluster, namespace: str, image: str) -> None:
    """Make the claim, and a pod that holds it open for writing; `image` is any with a shell."""
    cluster.kubectl("apply", "--namespace", namespace, "-f", "-", text_input=yaml.safe_dump_all(render_loader(image)))
    cluster.kubectl("wait", "--namespace", namespace, "--for=condition=Ready", f"pod/{LOADER}", "--timeout=120s")


def copy_artifact(cluster: Cluster, namespace: str, source: Path, target: str) -> None:
    """Copy a file to a path below the volume's root; it appears there whole or not at all."""
    path = f"{MOUNT}/{target}"
    script = f"mkdir -p $(dirname {path}) && cat > {path}.part && mv {path}.part {path}"
    arguments = ["exec", "--namespace", namespace, "-i", LOADER, "--", "sh", "-c", script]
    with source.open("rb") as content:
        subprocess.run(cluster.build_command(cluster.kubectl_program, arguments), stdin=content, check=True)


def close_volume(cluster: Cluster, namespace: str) -> None:
    """Delete the pod; the claim stays."""
    cluster.kubectl("delete", "pod", "--namespace", namespace, LOADER, "--now")


def render_loader(image: str) -> list[Manifest]:
    """Return the claim and the pod."""
    claim: Manifest = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": CLAIM},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "2Gi"}}},
    }
    container = {
        "name": "loader",
        "image": image,
        "command": ["sleep", "3600"],
        "volumeMounts": [{"name": "models", "mountPath": MOUNT}],
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
    }
    pod: Manifest = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": LOADER},
        "spec": {
            "restartPolicy": "Never",
            "automountServiceAccountToken": False,
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": 65532,
                "fsGroup": 65532,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [container],
            "volumes": [{"name": "models", "persistentVolumeClaim": {"claimName": CLAIM}}],
        },
    }
    return [claim, pod]
