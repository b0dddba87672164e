"""Bills of materials cover what is locked; the scan tells what it knows, what is ignored, and what it has not looked at."""

import datetime
import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from supply_chain import __main__ as commands
from supply_chain.audit import AuditError, Finding, Report, read_ignored, read_report, split_findings
from supply_chain.bills import build_bill, find_licences, read_licences
from supply_chain.locks import IMAGES, TOOLS, Image, read_pins

TODAY = datetime.date(2026, 11, 26)
FINDING = Finding("flask", "3.0.0", frozenset({"PYSEC-1", "GHSA-a", "CVE-2026-1"}), ("3.0.1",))

needs_tools = pytest.mark.skipif(not (TOOLS / "cyclonedx-py").exists(), reason="needs `make build/audit/installed`")


@needs_tools
@pytest.mark.parametrize("image", IMAGES, ids=lambda image: image.name)
def test_a_bill_holds_each_locked_package_once_with_hashes_and_licence(image: Image) -> None:
    bill = build_bill(image)
    own, *components = sorted(bill["components"], key=lambda one: bool(one["type"] == "library"))
    pins = read_pins(image.lock)
    assert {one["name"]: one["version"] for one in components} == pins
    assert len(components) == len(pins)
    assert (bill["bomFormat"], bill["metadata"]["component"]["name"]) == ("CycloneDX", image.name)
    assert own["purl"] == f"pkg:pypi/{image.distribution}@{image.version}"
    assert {ref for one in bill["dependencies"] for ref in one["dependsOn"]} == {
        one["bom-ref"] for one in bill["components"]
    }
    assert all(one["externalReferences"][0]["hashes"] for one in components)
    assert all(len(json.dumps(one.get("licenses", []))) < 1000 for one in components)
    # Known where the package says it and is installed here in this version, which all are that run here too.
    unknown = [one["name"] for one in components if not one.get("licenses")]
    assert unknown == [name for name in sorted(unknown) if not find_licences(name, pins[name])]
    assert len(unknown) < len(pins) / 5, unknown


@needs_tools
def test_a_bill_is_the_same_each_time() -> None:
    assert build_bill(IMAGES[0]) == build_bill(IMAGES[0])


@pytest.mark.parametrize(
    ("metadata", "licences"),
    [
        ({"license_expression": "MIT AND BSD-3-Clause", "license": "x"}, [{"expression": "MIT AND BSD-3-Clause"}]),
        (
            {"classifier": ["License :: OSI Approved :: MIT License", "Topic :: X"], "license": "x"},
            [{"license": {"name": "MIT License"}}],
        ),
        ({"license": "BSD-3-Clause\n\nCopyright"}, [{"license": {"name": "BSD-3-Clause"}}]),
        ({"license": "x" * 5000}, []),
        ({}, []),
    ],
)
def test_licences_are_read_from_what_a_package_says(metadata: dict[str, Any], licences: list[Any]) -> None:
    assert read_licences(metadata) == licences


def test_a_package_that_is_not_installed_or_in_another_version_has_no_known_licence() -> None:
    assert find_licences("no-such-package", "1") == []
    assert find_licences("orjson", "0.0.1") == []


def test_a_report_tells_findings_and_what_was_not_looked_at() -> None:
    vulnerability = {
        "id": "PYSEC-1",
        "aliases": ["GHSA-a", "CVE-2026-1"],
        "fix_versions": ["3.0.1"],
        "description": "x",
    }
    text = json.dumps(
        {
            "dependencies": [
                {"name": "flask", "version": "3.0.0", "vulns": [vulnerability]},
                {"name": "orjson", "version": "1", "vulns": []},
                {"name": "kopf", "skip_reason": "Dependency not found"},
            ],
            "fixes": [],
        }
    )
    assert read_report(text) == Report((FINDING,), ("kopf",))
    assert str(FINDING) == "flask 3.0.0: CVE-2026-1, GHSA-a, PYSEC-1 (fixed in 3.0.1)"


def test_a_finding_is_ignored_by_any_of_its_names() -> None:
    assert split_findings([FINDING], {"CVE-2026-1": "why"}) == ([], [FINDING])
    assert split_findings([FINDING], {"CVE-2026-2": "why"}) == ([FINDING], [])


def write_ignored(folder: Path, entry: str) -> Path:
    path = folder / "ignored.toml"
    path.write_text(f"[[ignored]]\n{entry}\n")
    return path


def test_an_ignored_vulnerability_has_a_reason_and_a_day(tmp_path: Path) -> None:
    path = write_ignored(tmp_path, 'id = "CVE-2026-1"\nreason = "why"\nuntil = 2026-11-26')
    assert read_ignored(path, TODAY) == {"CVE-2026-1": "why"}


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ('id = "CVE-2026-1"\nuntil = 2026-12-01', "each entry has id, reason and until"),
        ('id = "CVE-2026-1"\nreason = ""\nuntil = 2026-12-01', "each entry has id, reason and until"),
        ('id = "CVE-2026-1"\nreason = "why"\nuntil = "soon"', "each entry has id, reason and until"),
        ('id = "CVE-2026-1"\nreason = "why"\nuntil = 2026-11-25', "was to be looked at again by 2026-11-25"),
        ('id = "CVE-2026-1"\nreason = "why"\nuntil = 2028-01-01', "180 days ahead at most"),
    ],
)
def test_an_ignored_vulnerability_without_reason_or_beyond_its_day_fails(
    tmp_path: Path, entry: str, message: str
) -> None:
    with pytest.raises(AuditError, match=message):
        read_ignored(write_ignored(tmp_path, entry), TODAY)


@pytest.mark.parametrize(
    ("report", "status", "said"),
    [
        (Report((), ()), 0, "no known vulnerability"),
        (Report((FINDING,), ()), 1, "VULNERABLE: flask 3.0.0"),
        (Report((FINDING,), ("kopf",)), 1, "VULNERABLE: flask 3.0.0"),
        (Report((), ("kopf",)), 3, "NOT SCANNED: 1 packages"),
        (None, 3, "NOT SCANNED: no data base"),
    ],
)
def test_the_exit_status_tells_known_unknown_and_clean_apart(
    monkeypatch: pytest.MonkeyPatch, report: Report | None, status: int, said: str
) -> None:
    monkeypatch.setattr(commands, "scan_with_any", lambda _: report)
    result = CliRunner().invoke(commands.app, ["audit"])
    assert result.exit_code == status
    assert result.output.count(said) == len(IMAGES)


def test_a_wrong_list_of_ignored_vulnerabilities_ends_the_scan(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(commands, "IGNORED", write_ignored(tmp_path, 'id = "x"'))
    assert CliRunner().invoke(commands.app, ["audit"]).exit_code == 2
