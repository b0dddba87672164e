"""ScoringModels of one namespace: apply them, and wait for what their status says."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from kubectl import Kubectl, Manifest
from waiting import wait_for


class ScoringModels:
    """The ScoringModels of kubectl's namespace."""

    def __init__(self, kubectl: Kubectl) -> None:
        self.kubectl = kubectl

    def build(self, name: str = "faq", **spec: Any) -> Manifest:
        """Return a ScoringModel; fields of its spec replace the defaults, and None leaves one out."""
        defaults: Manifest = {"model": {"uri": "file:///models/faq", "format": "sklearn"}, "hardwareClass": "cpu"}
        return {
            "apiVersion": "scoring.dev/v1beta1",
            "kind": "ScoringModel",
            "metadata": {"name": name, "namespace": self.kubectl.namespace},
            "spec": {field: value for field, value in {**defaults, **spec}.items() if value is not None},
        }

    def apply(self, name: str = "faq", **spec: Any) -> None:
        """Apply a ScoringModel."""
        self.kubectl.apply(self.build(name, **spec))

    def find_ready(self, name: str = "faq") -> Manifest:
        """Return the Ready condition of the newest generation, or an empty dictionary."""
        return self.find_condition("Ready", name) or {}

    def find_condition(self, condition_type: str, name: str = "faq") -> Manifest | None:
        """Return a condition of the newest generation, or None."""
        body = self.kubectl.find("scoringmodel", name) or {}
        status = body.get("status", {})
        if not status or status["observedGeneration"] != body["metadata"]["generation"]:
            return None
        return next((condition for condition in status["conditions"] if condition["type"] == condition_type), None)

    def wait_for_reason(self, reason: str, name: str = "faq", timeout_seconds: float = 60.0) -> Manifest:
        """Wait until Ready of the newest generation has the reason; return the condition."""
        seen: list[Manifest] = [{}]

        def look() -> bool:
            seen[0] = self.find_ready(name)
            return seen[0].get("reason") == reason

        try:
            wait_for(look, f"reason {reason} of {name}", timeout_seconds)
        except AssertionError as error:
            raise AssertionError(f"{error}; Ready: {seen[0]}") from None
        return seen[0]

    def wait_until_ready(self, name: str = "faq", timeout_seconds: float = 60.0) -> Manifest:
        """Wait until Ready of the newest generation is True; return the condition."""
        return self.wait_for_reason("Serving", name, timeout_seconds)


@contextmanager
def open_namespace(kubectl: Kubectl, prefix: str) -> Iterator[ScoringModels]:
    """Yield the ScoringModels of a fresh namespace, which is deleted afterwards without waiting for it."""
    name = f"{prefix}-{uuid.uuid4().hex[:8]}"
    kubectl("create", "namespace", name)
    try:
        yield ScoringModels(kubectl.in_namespace(name))
    finally:
        kubectl("delete", "namespace", name, "--wait=false")
