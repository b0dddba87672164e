"""A model's endpoint, reached through its Service from this machine, which is the local cluster's node."""

import time

import httpx

from kubectl import Kubectl
from waiting import wait_for


def find_address(kubectl: Kubectl, name: str) -> str:
    """Return the URL of a model's Service by its cluster address, once it can be reached: kube-proxy follows a moment after the API server."""
    address = f"http://{kubectl.get('service', name)['spec']['clusterIP']}"
    wait_for(lambda: is_reached(address), f"a way to {address}", 30)
    return address


def is_reached(address: str) -> bool:
    """Tell whether a connection to an address can be had."""
    try:
        httpx.get(f"{address}/healthz", timeout=10)
    except httpx.TransportError:
        return False
    return True


def ask(kubectl: Kubectl, name: str, question: str) -> list[list[float]]:
    """Return the matches of a question: [id, answer id, probability], best first."""
    response = httpx.post(f"{find_address(kubectl, name)}/score", json={"input": question}, timeout=30)
    response.raise_for_status()
    result = response.json()["result"]
    if not (len(result) == 2 and str(result[1]).startswith("Computed in ")):
        raise AssertionError(f"not the reference's shape: {result}")
    matches: list[list[float]] = result[0]
    return matches


def post_for(address: str, question: str, seconds: float) -> int:
    """Post a question again and again for some seconds; return how many answers came."""
    answered = 0
    deadline = time.monotonic() + seconds
    with httpx.Client(timeout=30) as client:
        while time.monotonic() < deadline:
            answered += client.post(f"{address}/score", json={"input": question}).status_code == httpx.codes.OK
    return answered
