"""Etcd is put back to an earlier state under a running operator: it sees what is there now, and goes on."""

from functools import partial
from pathlib import Path

from control_planes import ControlPlane
from kubectl import Kubectl
from operator_processes import OperatorProcess
from scoring_models import ScoringModels
from waiting import wait_for

READY_SECONDS = 600.0
CHANGES = 50


def has_replicas(models: ScoringModels, name: str, number: int) -> bool:
    """Tell whether a model says that so many replicas are wished and ready."""
    return models.find_ready(name).get("message") == f"{number} of {number} replicas ready."


def find_ending(kubectl: Kubectl) -> list[str]:
    """Return the namespaces that are being deleted."""
    namespaces = kubectl.list("namespaces")
    return [body["metadata"]["name"] for body in namespaces if body["status"]["phase"] == "Terminating"]


def test_operator_goes_on_after_etcd_was_put_back(
    operator: OperatorProcess, models: ScoringModels, control_plane: ControlPlane, tmp_path: Path
) -> None:
    kubectl = models.kubectl
    for name in ("edited", "deleted"):
        models.apply(name)
    for name in ("edited", "deleted"):
        models.wait_until_ready(name, READY_SECONDS)
    # What is being deleted now would be deleted once more.
    wait_for(lambda: not find_ending(kubectl), "namespaces of other tests to go", READY_SECONDS)
    control_plane.save(tmp_path / "snapshot")

    kubectl("delete", "scoringmodel", "deleted")
    models.apply("later")
    models.wait_until_ready("later", READY_SECONDS)
    kubectl("scale", "scoringmodel", "edited", "--replicas=3")
    wait_for(partial(has_replicas, models, "edited", 3), "three replicas", READY_SECONDS)
    # So that the versions of the time after the snapshot are not reached again soon.
    for number in range(CHANGES):
        kubectl("annotate", "scoringmodel", "edited", f"number={number}", "--overwrite")

    control_plane.put_back(tmp_path / "snapshot")
    assert kubectl.find("scoringmodel", "later") is None
    assert operator.is_healthy()
    kubectl("scale", "scoringmodel", "edited", "--replicas=2")
    wait_for(partial(has_replicas, models, "edited", 2), "two replicas", READY_SECONDS)
    kubectl("delete", "deployment", "deleted", "--wait=false")
    kubectl("scale", "scoringmodel", "deleted", "--replicas=2")
    wait_for(
        partial(has_replicas, models, "deleted", 2), "the model that was deleted after the snapshot", READY_SECONDS
    )
    models.apply("later")
    models.wait_until_ready("later", READY_SECONDS)
