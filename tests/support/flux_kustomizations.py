"""Kustomizations of Flux's in one namespace, and what their status says."""

import time
from typing import Any

from git_repositories import GitSource
from kubectl import Kubectl, Manifest
from waiting import wait_for

NEVER = "1h"
"""An interval that no test lasts: what is reconciled, a test has asked for."""


class Flux:
    """What Flux is told in kubectl's namespace."""

    repository = "models"

    def __init__(self, kubectl: Kubectl) -> None:
        self.kubectl = kubectl
        self.source: GitSource

    def make_repository(self) -> None:
        """Make the GitRepository; GitSource publishes for it."""
        spec = {"url": "https://git.example.com/ml/models.git", "interval": NEVER, "ref": {"branch": "main"}}
        self.kubectl.apply(self._build("source.toolkit.fluxcd.io/v1", "GitRepository", self.repository, spec))

    def make(self, name: str, path: str = "./", **spec: Any) -> None:
        """Make a Kustomization of a folder of the repository, which waits for the health of what it applies."""
        source = {"kind": "GitRepository", "name": self.repository}
        defaults = {"prune": True, "interval": NEVER, "retryInterval": "2s", "wait": True, "timeout": "90s"}
        body = {"sourceRef": source, "path": path, **defaults, **spec}
        self.kubectl.apply(self._build("kustomize.toolkit.fluxcd.io/v1", "Kustomization", name, body))

    def reconcile(self, name: str) -> None:
        """Have a Kustomization reconciled once more, as `flux reconcile kustomization` does, and wait until that is done."""
        asked = str(time.time())
        annotation = f"reconcile.fluxcd.io/requestedAt={asked}"
        self.kubectl("annotate", "--overwrite", "kustomization", name, annotation)
        wait_for(
            lambda: (
                self._read_status(name).get("lastHandledReconcileAt") == asked
                and self.find_ready(name)["status"] != "Unknown"
            ),
            f"{name} to be reconciled",
            120,
        )

    def find_ready(self, name: str) -> Manifest:
        """Return the condition Ready; an empty one while there is none."""
        conditions = self._read_status(name).get("conditions", [])
        empty = {"status": "Unknown", "reason": "", "message": ""}
        return next((condition for condition in conditions if condition["type"] == "Ready"), empty)

    def is_ready(self, name: str) -> bool:
        """Tell whether Ready is True."""
        return bool(self.find_ready(name)["status"] == "True")

    def wait_for(self, name: str, status: str, revision: str) -> Manifest:
        """Wait until Ready has a status for a revision; return the condition."""

        def look() -> Manifest | None:
            ready = self.find_ready(name)
            return (
                ready
                if ready["status"] == status and self._read_status(name).get("lastAttemptedRevision") == revision
                else None
            )

        try:
            return wait_for(look, f"{name} to be {status} at {revision}", 120)
        except AssertionError as error:
            raise AssertionError(f"{error}; Ready: {self.find_ready(name)}") from None

    def _read_status(self, name: str) -> Manifest:
        status: Manifest = self.kubectl.get("kustomization", name).get("status", {})
        return status

    def _build(self, api_version: str, kind: str, name: str, spec: Manifest) -> Manifest:
        metadata = {"name": name, "namespace": self.kubectl.namespace}
        return {"apiVersion": api_version, "kind": kind, "metadata": metadata, "spec": spec}
