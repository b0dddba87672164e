"""kubectl against a real cluster, as a user would type it."""

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

Manifest = dict[str, Any]


class KubectlError(Exception):
    """kubectl ended with an error; its text is what a user would read."""


class Kubectl:
    """kubectl for one cluster and namespace."""

    def __init__(self, program: str, kubeconfig: Path, namespace: str = "default") -> None:
        self.program = program
        self.kubeconfig = kubeconfig
        self.namespace = namespace

    def in_namespace(self, namespace: str) -> "Kubectl":
        """Return the same kubectl for another namespace."""
        return Kubectl(self.program, self.kubeconfig, namespace)

    def command(self, *arguments: str) -> list[str]:
        """Return the whole command line."""
        return [self.program, "--kubeconfig", str(self.kubeconfig), "--namespace", self.namespace, *arguments]

    def __call__(self, *arguments: str, stdin: str | None = None, timeout_seconds: float = 120.0) -> str:
        """Return what kubectl prints; raises KubectlError with what it prints as an error."""
        done = subprocess.run(
            self.command(*arguments), input=stdin, capture_output=True, text=True, timeout=timeout_seconds, check=False
        )
        if done.returncode != 0:
            raise KubectlError(done.stderr.strip() or done.stdout.strip())
        return done.stdout

    def read_warnings(self, *arguments: str) -> str:
        """Return what kubectl prints beside its result, such as the API server's warnings."""
        return subprocess.run(self.command(*arguments), capture_output=True, text=True, timeout=120, check=True).stderr

    def apply(self, *manifests: Mapping[str, Any]) -> str:
        """Apply manifests, as `kubectl apply -f -` does."""
        return self("apply", "-f", "-", stdin=yaml.safe_dump_all(manifests))

    def find(self, kind: str, name: str) -> Manifest | None:
        """Return one object, or None when there is none."""
        found = self("get", kind, name, "-o", "json", "--ignore-not-found")
        return json.loads(found) if found else None

    def get(self, kind: str, name: str) -> Manifest:
        """Return one object; raises KubectlError when there is none."""
        body: Manifest = json.loads(self("get", kind, name, "-o", "json"))
        return body

    def list(self, kind: str, *more: str) -> list[Manifest]:
        """Return the objects of a kind."""
        items: list[Manifest] = json.loads(self("get", kind, "-o", "json", *more))["items"]
        return items

    def patch(self, kind: str, name: str, patch: Mapping[str, Any], *more: str) -> str:
        """Merge a patch into an object."""
        return self("patch", kind, name, "--type=merge", "--patch", json.dumps(patch), *more)
