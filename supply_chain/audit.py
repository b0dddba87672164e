"""The scan for known vulnerabilities: pip-audit over each lock, by whichever data base can be reached, less what is ignored for a reason.

pip-audit counts a package that a data base does not know as harmless. Here it counts as not looked at, and the scan as incomplete.
"""

import datetime
import json
import subprocess
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from supply_chain.locks import ROOT, TOOLS, Image

IGNORED = ROOT / "requirements" / "audit-ignored.toml"
SERVICES = ("pypi", "osv")
TIMEOUT_SECONDS = 15
LONGEST_DAYS = 180
"""How far ahead an ignored vulnerability may be looked at again."""


class AuditError(Exception):
    """The scan cannot be made as it is set up; the text says why."""


@dataclass(frozen=True)
class Finding:
    """One known vulnerability of a locked package."""

    package: str
    version: str
    names: frozenset[str]
    """Its identifiers in all data bases."""

    fixed: tuple[str, ...]

    def __str__(self) -> str:
        fix = f"fixed in {', '.join(self.fixed)}" if self.fixed else "no fix yet"
        return f"{self.package} {self.version}: {', '.join(sorted(self.names))} ({fix})"


@dataclass(frozen=True)
class Report:
    """What one service said of one lock: what it knows, and which packages it does not know."""

    findings: tuple[Finding, ...]
    unknown: tuple[str, ...]


def read_ignored(path: Path, today: datetime.date) -> dict[str, str]:
    """Return the reasons by identifier.

    Raises AuditError for an entry without a reason, or whose date has passed or lies far ahead: it has to be looked at again.
    """
    entries = tomllib.loads(path.read_text()).get("ignored", [])
    for entry in entries:
        name, reason, until = (entry.get(key) for key in ("id", "reason", "until"))
        if not (isinstance(name, str) and isinstance(reason, str) and reason and isinstance(until, datetime.date)):
            raise AuditError(f"{path.name}: each entry has id, reason and until (a date): {entry}")
        if until < today:
            raise AuditError(f"{path.name}: {name} was to be looked at again by {until}: mend it, or say anew why not")
        if until > today + datetime.timedelta(days=LONGEST_DAYS):
            raise AuditError(f"{path.name}: {name}: until may lie {LONGEST_DAYS} days ahead at most")
    return {entry["id"]: entry["reason"] for entry in entries}


def read_report(text: str) -> Report:
    """Return what pip-audit printed. Raises ValueError when it is none of its reports."""
    dependencies: Sequence[Mapping[str, Any]] = json.loads(text)["dependencies"]
    findings = [
        Finding(
            one["name"],
            one["version"],
            frozenset([vulnerability["id"], *vulnerability["aliases"]]),
            tuple(vulnerability["fix_versions"]),
        )
        for one in dependencies
        for vulnerability in one.get("vulns", ())
    ]
    return Report(tuple(findings), tuple(one["name"] for one in dependencies if "skip_reason" in one))


def scan(image: Image, service: str) -> Report | None:
    """Return what a service says of an image's lock; None when it cannot be reached."""
    options = ("--disable-pip", "--require-hashes", "--progress-spinner", "off", "--format", "json")
    wait = ("--timeout", TIMEOUT_SECONDS)
    command = [TOOLS / "pip-audit", "--requirement", image.lock, "--vulnerability-service", service, *wait, *options]
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False)
    try:
        return read_report(done.stdout)
    except (ValueError, KeyError, TypeError):
        return None


def scan_with_any(image: Image) -> Report | None:
    """Return the report of the first service that knows every package of an image, else the best there is; None when none answers."""
    reports = []
    for service in SERVICES:
        report = scan(image, service)
        if report is not None:
            reports.append(report)
        if report is not None and not report.unknown:
            break
    return min(reports, key=lambda report: len(report.unknown), default=None)


def split_findings(findings: Sequence[Finding], ignored: Mapping[str, str]) -> tuple[list[Finding], list[Finding]]:
    """Return those that count, and those that are ignored."""
    counting = [finding for finding in findings if not finding.names & ignored.keys()]
    return counting, [finding for finding in findings if finding not in counting]
