"""A home of its own for each test: no test sees or touches the clusters and the cache of the machine."""

from pathlib import Path

import pytest

from local_cluster.state import Cluster


@pytest.fixture(autouse=True)
def own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SCORING_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("SCORING_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path


@pytest.fixture
def cluster() -> Cluster:
    return Cluster("trial")
