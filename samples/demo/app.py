"""Deploys the sample app of samples/client on a cluster, as docs/sample-app.md says, with the image and the models at hand."""

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from samples.client.manifests import APP, USERS, Keyed, make_password, make_secrets, render_secret
from samples.client.users import hash_password
from samples.demo.clusters import ROOT, Cluster

BASE = ROOT / "samples" / "client"
ANSWERS = "sample-client-answers"
USER = "demo"


@dataclass(frozen=True)
class App:
    """What the app is made of: its image, the addresses of its models, the FAQ's texts."""

    image: str
    addresses: Mapping[str, str | None]
    """By variable, such as CLIENT_FAQ_URL; None takes away one that the sample has."""
    answers: Path
    model_keys: str | None = None
    """The Secret of the models' API keys, if they ask for keys; it is written anew, with the app's key alone."""


def find_service(name: str) -> str:
    """Return a Service's address as Kubernetes fills it in where the pod starts: it works without cluster DNS too."""
    return f"http://$({name.upper().replace('-', '_')}_SERVICE_HOST)"


def deploy_app(cluster: Cluster, namespace: str, app: App, folder: Path) -> str:
    """Apply the app with a user `demo`, wait until it is ready, and return that user's password. Writes an overlay into `folder`."""
    password = make_password()
    keyed = None if app.model_keys is None else Keyed(app.model_keys)
    secrets = [*make_secrets(keyed, None), render_secret(USERS, {USER: hash_password(password)})]
    texts = {"answers.json": app.answers.read_text(encoding="utf-8")}
    answers = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": ANSWERS}, "data": texts}
    apply = ("apply", "--namespace", namespace, "--server-side", "--force-conflicts")
    cluster.kubectl(*apply, "-f", "-", text_input=yaml.safe_dump_all([*secrets, answers]))
    write_overlay(app, hashlib.sha256(json.dumps(secrets).encode()).hexdigest(), folder)
    cluster.kubectl(*apply, "--kustomize", str(folder))
    cluster.kubectl("rollout", "status", f"deployment/{APP}", "--namespace", namespace, "--timeout=120s")
    return password


def write_overlay(app: App, secrets_digest: str, folder: Path) -> None:
    """Write a kustomization on top of the sample's: image and addresses. New Secrets make new pods, which see them at once."""
    repository, _, tag = app.image.rpartition(":")
    variables: list[dict[str, Any]] = [
        {"name": name, "$patch": "delete"} if value is None else {"name": name, "value": value}
        for name, value in app.addresses.items()
    ]
    template = {
        "metadata": {"annotations": {"sample-client/secrets": secrets_digest}},
        "spec": {"containers": [{"name": "app", "env": variables}]},
    }
    patch = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": APP},
        "spec": {"template": template},
    }
    folder.mkdir(parents=True, exist_ok=True)
    kustomization = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "resources": [os.path.relpath(BASE, folder.resolve())],
        "images": [{"name": "registry.example.com/scoring-client", "newName": repository, "newTag": tag}],
        "patches": [{"patch": yaml.safe_dump(patch)}],
    }
    (folder / "kustomization.yaml").write_text(yaml.safe_dump(kustomization, sort_keys=False), encoding="utf-8")
