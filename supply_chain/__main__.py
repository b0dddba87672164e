"""`python -m supply_chain sbom` and `python -m supply_chain audit`: what the images are made of, and what is known against it."""

import datetime
from pathlib import Path
from typing import Annotated

import typer

from supply_chain.audit import IGNORED, AuditError, read_ignored, scan_with_any, split_findings
from supply_chain.bills import write_bill
from supply_chain.locks import IMAGES, ROOT

VULNERABLE = 1
WRONG = 2
NOT_SCANNED = 3

app = typer.Typer(no_args_is_help=True, add_completion=False, help=__doc__)


@app.command()
def sbom(
    output: Annotated[Path, typer.Option(help="Folder of the documents.")] = ROOT / "build" / "sbom",
) -> None:
    """Write a bill of materials (CycloneDX, JSON) for the operator's image and each of the runtime's."""
    for image in IMAGES:
        typer.echo(write_bill(image, output))


@app.command()
def audit() -> None:
    """Look for known vulnerabilities in what the images' locks name.

    Exit status 0: none is known; 1: some are; 2: the list of ignored ones is wrong or has expired; 3: no data base that knows all the
    packages could be reached, so nothing is known either way.
    """
    try:
        ignored = read_ignored(IGNORED, datetime.datetime.now(datetime.UTC).date())
    except AuditError as error:
        typer.echo(f"error: {error}", err=True)
        raise SystemExit(WRONG) from error
    found: set[str] = set()
    is_whole = True
    for image in IMAGES:
        report = scan_with_any(image)
        if report is None:
            typer.echo(f"{image.name}: NOT SCANNED: no data base of vulnerabilities can be reached from here")
            is_whole = False
            continue
        if report.unknown:
            typer.echo(f"{image.name}: NOT SCANNED: {len(report.unknown)} packages, which no data base here knows")
            is_whole = False
        counting, accepted = split_findings(report.findings, ignored)
        for finding in accepted:
            typer.echo(f"{image.name}: ignored: {finding}")
        for finding in counting:
            typer.echo(f"{image.name}: VULNERABLE: {finding}")
        if not (report.unknown or counting):
            typer.echo(f"{image.name}: no known vulnerability")
        found.update(map(str, counting))
    raise SystemExit(VULNERABLE if found else (0 if is_whole else NOT_SCANNED))


if __name__ == "__main__":
    app()
