"""Images run as nobody: each Dockerfile ends as a numeric user other than 0, which is what Kubernetes can check."""

import re
from pathlib import Path

import pytest

from local_clusters import ROOT

OWN = [*sorted(ROOT.glob("Dockerfile.*")), ROOT / "samples" / "client" / "Dockerfile"]
DERIVED = sorted(
    path for folder in ("samples", "tests") for path in (ROOT / folder).rglob("Dockerfile") if path not in OWN
)
USER = re.compile(r"^USER (.*)$", re.MULTILINE)


def read_last_stage(path: Path) -> str:
    return path.read_text().rpartition("\nFROM ")[2]


@pytest.mark.parametrize("path", OWN, ids=lambda path: str(path.relative_to(ROOT)))
def test_image_runs_as_a_numeric_user_other_than_0(path: Path) -> None:
    users = USER.findall(read_last_stage(path))
    assert users
    assert re.fullmatch("[1-9][0-9]*:[1-9][0-9]*", users[-1])


@pytest.mark.parametrize("path", DERIVED, ids=lambda path: str(path.relative_to(ROOT)))
def test_image_that_derives_from_a_runtime_keeps_its_user(path: Path) -> None:
    users = USER.findall(read_last_stage(path))
    assert not users or re.fullmatch("[1-9][0-9]*(:[1-9][0-9]*)?", users[-1])


@pytest.mark.parametrize("path", OWN, ids=lambda path: str(path.relative_to(ROOT)))
def test_image_holds_only_what_is_locked(path: Path) -> None:
    installs = [line for line in path.read_text().replace("\\\n", " ").splitlines() if "pip install" in line]
    assert installs
    assert all("--require-hashes" in line or "--no-deps" in line for line in installs)
