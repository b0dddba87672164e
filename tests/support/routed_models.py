"""Models behind routes of a real Traefik, as somebody outside the cluster finds them."""

from typing import Any

from kubectl import Manifest
from scoring_models import ScoringModels
from visitors import VisitFailed, Visitor
from waiting import wait_for

TRAEFIK = {
    "ingressClassName": "traefik",
    "ingressAnnotations": {"traefik.ingress.kubernetes.io/router.middlewares": "https@file"},
}
BODY = {"input": "hello"}
TRAEFIK_SECONDS = 30.0
"""Traefik gathers changes for two seconds."""


def serve(models: ScoringModels, image: str, name: str, endpoint: dict[str, Any]) -> None:
    """Apply a model and wait until it serves."""
    model = {"uri": "file:///models/patient", "format": "python"}
    models.apply(name, model=model, runtime={"image": image}, endpoint=endpoint)
    models.wait_until_ready(name, timeout_seconds=180)


def wait_for_route(models: ScoringModels, name: str, reason: str = "Routed") -> Manifest:
    """Wait until RouteReady of a model has a reason; return the condition."""

    def look() -> Manifest | None:
        condition = models.find_condition("RouteReady", name)
        return condition if condition and condition["reason"] == reason else None

    return wait_for(look, f"RouteReady {reason} of {name}", TRAEFIK_SECONDS)


def wait_until_answered(visitor: Visitor, url: str) -> None:
    """Wait until a URL is answered, with a certificate to trust: Traefik follows a moment after the API server."""

    def look() -> bool:
        try:
            return visitor.ask(f"{url}/readyz").status == 200
        except VisitFailed:
            return False

    wait_for(look, f"an answer at {url}", TRAEFIK_SECONDS)
