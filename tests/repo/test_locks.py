"""The locked dependencies: pinned with hashes, without addresses, the same in the images as where they are tested."""

import json
import re
from pathlib import Path

import pytest

from local_clusters import ROOT

DEVELOPMENT = ROOT / "requirements" / "dev.txt"
IMAGES = [
    ROOT / "operator" / "requirements.txt",
    ROOT / "samples" / "client" / "requirements.txt",
    *sorted((ROOT / "serving_runtime").glob("requirements-*.txt")),
]
LOCKS = [
    *sorted((ROOT / "requirements").glob("*.txt")),
    *IMAGES,
    *sorted((ROOT / "benchmarks").rglob("requirements*.txt")),
]
PACKAGE_LOCKS = sorted((ROOT / "tests").rglob("package-lock.json"))
PIN = re.compile(r"^([A-Za-z0-9._-]+)(?:\[[^]]*\])?==(\S+)", re.MULTILINE)


def read_requirements(path: Path) -> list[str]:
    """Return the requirements, each on one line with its hashes."""
    lines = path.read_text().replace("\\\n", " ").splitlines()
    return [line for line in lines if line.strip() and not line.startswith("#")]


def read_pins(path: Path) -> dict[str, str]:
    return dict(PIN.findall(path.read_text()))


@pytest.mark.parametrize("path", LOCKS, ids=lambda path: str(path.relative_to(ROOT)))
def test_lock_holds_no_address(path: Path) -> None:
    assert not re.search(r"://|^-|--(index|extra-index|find-links|trusted-host)", path.read_text(), re.MULTILINE)


@pytest.mark.parametrize("path", PACKAGE_LOCKS, ids=lambda path: str(path.relative_to(ROOT)))
def test_lock_of_node_packages_holds_hashes_and_no_address(path: Path) -> None:
    text = path.read_text()
    assert "://" not in text
    assert "resolved" not in text
    packages = {name: one for name, one in json.loads(text)["packages"].items() if name}
    assert packages
    assert [name for name, one in packages.items() if "integrity" not in one] == []


@pytest.mark.parametrize("path", LOCKS, ids=lambda path: str(path.relative_to(ROOT)))
def test_lock_pins_every_package_with_hashes(path: Path) -> None:
    requirements = read_requirements(path)
    assert requirements
    assert not [line for line in requirements if not (PIN.match(line) and "--hash=sha256:" in line)]


@pytest.mark.parametrize("path", IMAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_image_holds_the_versions_that_are_tested(path: Path) -> None:
    tested = read_pins(DEVELOPMENT)
    assert {name: tested.get(name) for name in read_pins(path)} == read_pins(path)
