"""What the chart's hooks say when things are not as they should be; what they do on a real API server is in tests/integration."""

import asyncio
import subprocess
import sys
from typing import Any

import pytest

from scoring_operator import installation
from scoring_operator.errors import ClusterError, Conflict, NotFound
from scoring_operator.kinds import Kind


class SilentCluster:
    """A cluster without an operator: it keeps what is made, and nobody says anything of it. Its first updates meet another writer's."""

    def __init__(self, conflicts: int = 0) -> None:
        self.conflicts = conflicts
        self.bodies: dict[str, dict[str, Any]] = {}

    async def create(self, kind: Kind, body: dict[str, Any]) -> dict[str, Any]:
        """Keep an object."""
        del kind
        made = {**body, "metadata": {**body["metadata"], "uid": "-", "generation": 1, "resourceVersion": "1"}}
        self.bodies[body["metadata"]["name"]] = made
        return made

    async def get(self, kind: Kind, namespace: str | None, name: str) -> dict[str, Any] | None:
        """Return what is kept."""
        del kind, namespace
        return self.bodies.get(name)

    async def update(self, kind: Kind, body: dict[str, Any]) -> dict[str, Any]:
        """Replace what is kept, unless another writer is faster."""
        if self.conflicts:
            self.conflicts -= 1
            raise Conflict("409")
        return await self.create(kind, body)

    async def delete(self, kind: Kind, body: dict[str, Any]) -> None:
        """Forget an object."""
        del kind
        self.bodies.pop(body["metadata"]["name"])


def upgrade(cluster: Any) -> None:
    asyncio.run(installation.upgrade_crds(cluster))


def check(cluster: Any) -> None:
    asyncio.run(installation.check_operator(cluster, "scoring-system"))


def test_crds_that_are_missing_are_made(capsys: pytest.CaptureFixture[str]) -> None:
    cluster = SilentCluster()
    upgrade(cluster)
    assert cluster.bodies.keys() == {"scoringmodels.scoring.dev", "hardwareclasses.scoring.dev"}
    assert capsys.readouterr().out.count(": created") == 2


def test_crd_that_another_changes_meanwhile_is_tried_again_and_not_for_ever() -> None:
    cluster = SilentCluster()
    upgrade(cluster)
    cluster.conflicts = installation.TRIES - 1
    upgrade(cluster)
    cluster.conflicts = installation.TRIES
    with pytest.raises(Conflict):
        upgrade(cluster)


def test_operator_that_says_nothing_is_told_and_the_model_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(installation, "TEST_SECONDS", 0.01)
    cluster = SilentCluster()
    with pytest.raises(ClusterError, match=r"has said nothing of ScoringModel scoring-system/helm-test-.* instead of"):
        check(cluster)
    assert not cluster.bodies


def test_model_that_somebody_deletes_ends_the_test() -> None:
    class Forgetful(SilentCluster):
        async def get(self, kind: Kind, namespace: str | None, name: str) -> None:
            del kind, namespace, name

    with pytest.raises(NotFound, match="was deleted"):
        check(Forgetful())


@pytest.mark.parametrize("words", [[], ["crd"], ["test"], ["test", "a", "b"]])
def test_words_that_nobody_knows_are_answered_with_the_usage(words: list[str]) -> None:
    with pytest.raises(SystemExit, match=r"usage: .* crds \| test NAMESPACE"):
        asyncio.run(installation.run(words))


def test_hook_without_a_cluster_ends_with_a_sentence() -> None:
    command = [sys.executable, "-m", "scoring_operator.installation", "crds"]
    environment = {"KUBECONFIG": "/nowhere", "HOME": "/nowhere"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 1
    assert "kubeconfig" in done.stderr
    assert "Traceback" not in done.stderr
