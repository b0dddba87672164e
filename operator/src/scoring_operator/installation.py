"""What the chart's hooks run: `python -m scoring_operator.installation crds`, before an upgrade, and `... test NAMESPACE`, by `helm test`.

crds: brings the CRDs to this version, which Helm itself never does after the first installation.
test: makes a model that can start no pod, and waits for what the operator says of it.
"""

import asyncio
import sys
import time
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial

from scoring_operator.api import API_VERSION, Manifest
from scoring_operator.clock import ClusterClock
from scoring_operator.cluster import Cluster
from scoring_operator.crds import build_crds
from scoring_operator.errors import ClusterError, Conflict, NotFound
from scoring_operator.kinds import CRD, SCORING_MODEL, Scope
from scoring_operator.main import find_access

WHOLE_CRD = replace(CRD, is_metadata_only=False)
TRIES = 3
"""Of a write that another writer keeps coming before."""

TEST_SECONDS = 60.0
POLL_SECONDS = 0.5
TEST_CLASS = "no-such-class-helm-test"
EXPECTED_REASON = "HardwareClassNotFound"
USAGE = "usage: python -m scoring_operator.installation crds | test NAMESPACE"


async def upgrade_crds(cluster: Cluster) -> None:
    """Create what is missing of the CRDs, and replace the specification of the others; raises ClusterError.

    Replaced, not applied: server-side apply would leave what this version has dropped, since Helm owns it.
    """
    for body in build_crds().values():
        name = body["metadata"]["name"]
        for attempt in range(1, TRIES + 1):
            try:
                done = await _write_crd(cluster, body)
            except Conflict:
                if attempt == TRIES:
                    raise
            else:
                _tell(f"CustomResourceDefinition {name}: {done}")
                break


async def _write_crd(cluster: Cluster, body: Manifest) -> str:
    """Bring one CRD to `body` and return what was done; raises Conflict when another was faster."""
    live = await cluster.get(WHOLE_CRD, None, body["metadata"]["name"])
    if live is None:
        await cluster.create(WHOLE_CRD, body)
        return "created"
    written = await cluster.update(WHOLE_CRD, {**body, "metadata": live["metadata"]})
    is_same = written["metadata"]["resourceVersion"] == live["metadata"]["resourceVersion"]
    return "is this version's already" if is_same else "upgraded"


async def check_operator(cluster: Cluster, namespace: str) -> None:
    """Make a model whose class does not exist and wait until its status says so; raises ClusterError with a remedy otherwise."""
    body = await cluster.create(SCORING_MODEL, build_test_model(namespace))
    name = body["metadata"]["name"]
    _tell(f"ScoringModel {namespace}/{name} made; waiting for the operator's word")
    try:
        await _wait_for_reason(cluster, namespace, name)
    finally:
        await cluster.delete(SCORING_MODEL, body)
    _tell(f"the operator says {EXPECTED_REASON}: it leads, sees models of {namespace}, and writes their status")


async def _wait_for_reason(cluster: Cluster, namespace: str, name: str) -> None:
    deadline = time.monotonic() + TEST_SECONDS
    reason = None
    while time.monotonic() < deadline:
        model = await cluster.get(SCORING_MODEL, namespace, name)
        if model is None:
            raise NotFound(f"ScoringModel {namespace}/{name} was deleted while it was waited for")
        reason = find_reason(model)
        if reason == EXPECTED_REASON:
            return
        await asyncio.sleep(POLL_SECONDS)
    raise ClusterError(
        f"after {TEST_SECONDS:.0f} s the operator has said {reason or 'nothing'} of ScoringModel {namespace}/{name}, "
        f"instead of {EXPECTED_REASON}. See the logs of the operator's pods, and whether one of them holds the Lease"
    )


def build_test_model(namespace: str) -> Manifest:
    """Return a ScoringModel that is valid and can start no pod."""
    spec = {"model": {"uri": "file:///helm-test", "format": "sklearn"}, "hardwareClass": TEST_CLASS}
    metadata = {"name": f"helm-test-{uuid.uuid4().hex[:8]}", "namespace": namespace}
    return {"apiVersion": API_VERSION, "kind": SCORING_MODEL.name, "metadata": metadata, "spec": spec}


def find_reason(model: Manifest) -> str | None:
    """Return the reason of the Ready condition of the newest generation, or None while there is none."""
    status = model.get("status", {})
    if status.get("observedGeneration") != model["metadata"]["generation"]:
        return None
    conditions = status.get("conditions", [])
    return next((condition["reason"] for condition in conditions if condition["type"] == "Ready"), None)


def _tell(sentence: str) -> None:
    sys.stdout.write(f"{sentence}\n")
    sys.stdout.flush()


async def run(words: list[str]) -> None:
    """Do what the words of the command line ask for; raises ClusterError, and SystemExit for other words."""
    work: Callable[[Cluster], Awaitable[None]]
    match words:
        case ["crds"]:
            work = upgrade_crds
        case ["test", namespace]:
            work = partial(check_operator, namespace=namespace)
        case _:
            raise SystemExit(USAGE)
    cluster = await Cluster.connect(find_access, Scope(), ClusterClock())
    try:
        await work(cluster)
    finally:
        await cluster.close()


def main() -> None:
    """Run one hook; exits with a sentence when it fails."""
    try:
        asyncio.run(run(sys.argv[1:]))
    except ClusterError as error:
        raise SystemExit(str(error)) from error


if __name__ == "__main__":
    main()
