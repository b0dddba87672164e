"""Earlier versions of the chart and the operator, from this repository's history."""

import io
import subprocess
import tarfile
from dataclasses import dataclass
from pathlib import Path

import pytest

from local_clusters import ROOT

PARTS = ("charts", "crds", "operator/src")


@dataclass(frozen=True)
class EarlierVersion:
    """A checkout of chart, CRDs and operator as they were."""

    folder: Path

    @property
    def chart(self) -> Path:
        """The chart's folder."""
        return self.folder / "charts" / "scoring-operator"

    @property
    def crds(self) -> Path:
        """The folder of the CRDs."""
        return self.folder / "crds"

    @property
    def variables(self) -> dict[str, str]:
        """What has this machine's operator run the earlier code, on today's packages."""
        return {"PYTHONPATH": str(self.folder / "operator" / "src")}


def check_out(commit: str, folder: Path) -> EarlierVersion:
    """Write an earlier version into a folder; skips the test where the checkout has no history that holds the commit."""
    command = ["git", "-C", str(ROOT), "archive", "--format=tar", commit, *PARTS]
    done = subprocess.run(command, capture_output=True, check=False, timeout=60)
    if done.returncode != 0:
        pytest.skip(
            f"this checkout's history does not hold {commit}, the earlier version: {done.stderr.decode()[:200]}"
        )
    with tarfile.open(fileobj=io.BytesIO(done.stdout)) as archive:
        archive.extractall(folder, filter="data")
    return EarlierVersion(folder)
