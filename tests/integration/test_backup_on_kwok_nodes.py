"""docs/operations/backup.md, as a reader would type it: everything is backed up, deleted and restored, and the models are ready again."""

import os
import re
import subprocess
from pathlib import Path

import pytest

from kubectl import Kubectl, Manifest
from local_clusters import ROOT
from scoring_models import ScoringModels
from waiting import wait_for

PAGE = ROOT / "docs" / "operations" / "backup.md"
SHELL_BLOCK = re.compile(r"^```sh\n(.*?)^```", re.MULTILINE | re.DOTALL)
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
"""kubectl's own note of what it was given last, which a restore is."""
KINDS = "scoringmodels.scoring.dev,hardwareclasses.scoring.dev"


@pytest.fixture
def cluster(kubectl: Kubectl) -> Kubectl:
    """Return kubectl for the cluster once the models of earlier tests are gone: the page is about all there are."""
    wait_for(lambda: not kubectl.list("scoringmodels,deployments", "-A"), "earlier models to be gone", 120)
    return kubectl


def run_section(title: str, kubectl: Kubectl, folder: Path) -> str:
    """Run the commands of one section of the page in one shell; return what they print."""
    (section,) = [part for part in PAGE.read_text().split("\n## ") if part.startswith(f"{title}\n")]
    program = Path(kubectl.program)
    path = f"{program.parent}:{os.environ['PATH']}" if program.is_absolute() else os.environ["PATH"]
    done = subprocess.run(
        ["bash", "-c", "\n".join(["set -e -o pipefail", *SHELL_BLOCK.findall(section)])],
        cwd=folder,
        env=os.environ | {"KUBECONFIG": str(kubectl.kubeconfig), "PATH": path},
        capture_output=True,
        text=True,
        check=False,
        timeout=180,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def read_state(kubectl: Kubectl) -> dict[str, Manifest]:
    """Return what a backup is to keep: of each object, what people have written."""
    return {
        f"{body['kind']} {body['metadata'].get('namespace')} {body['metadata']['name']}": {
            "labels": body["metadata"].get("labels"),
            "annotations": {
                name: text for name, text in body["metadata"].get("annotations", {}).items() if name != LAST_APPLIED
            },
            "spec": body["spec"],
        }
        for body in kubectl.list(KINDS, "--all-namespaces")
    }


def test_all_that_was_written_is_there_again_after_a_restore(
    cluster: Kubectl, models: ScoringModels, tmp_path: Path
) -> None:
    labelled = models.build("labelled", replicas=2, autoscaling=None)
    # Names that the page's grep must not take for those of the object itself.
    labelled["metadata"] |= {"labels": {"uid": "team-a"}, "annotations": {"resourceVersion": "7", "note": "kept"}}
    models.kubectl.apply(labelled, models.build("scaled", autoscaling={"minReplicas": 1, "maxReplicas": 3}))
    for name in ("labelled", "scaled"):
        models.wait_until_ready(name)
    before = read_state(cluster)
    run_section("Back up", cluster, tmp_path)
    try:
        models.kubectl("delete", "scoringmodels", "--all")
        cluster("delete", "hardwareclasses", "--all")
        wait_for(lambda: not models.kubectl.list("deployments"), "the children to be gone", 60)
        assert "condition met" in run_section("Restore", cluster, tmp_path)
    finally:
        cluster("apply", "-f", str(Path(__file__).with_name("cluster.yaml")))
    assert read_state(cluster) == before
    assert {body["metadata"]["name"] for body in models.kubectl.list("deployments")} == {"labelled", "scaled"}
