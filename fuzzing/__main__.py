"""`python -m fuzzing --seconds 1800`: everything once, one after the other, in so much time. Ends with 1 when something was found."""

import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

from fuzzing.interface import Outcome, fuzz_interface
from fuzzing.targets import TARGETS
from packaged_samples import package_sample

INTERFACE_SHARE = 1 / 3
KEPT = Path("build") / "fuzzing"
SAID_LINES = 40

app = typer.Typer(add_completion=False)


@app.command(help=__doc__)
def fuzz(seconds: Annotated[int, typer.Option(help="Of the whole run.")] = 1800) -> None:
    """Fuzz all targets and interfaces."""
    models = _make_models(KEPT / "models")
    each_interface = round(seconds * INTERFACE_SHARE / len(models))
    each_target = round(seconds * (1 - INTERFACE_SHARE) / len(TARGETS))
    found = [_tell(name, fuzz_interface(uri, each_interface)) for name, uri in models.items()]
    found += [_tell(name, _fuzz_target(name, each_target)) for name in TARGETS]
    raise SystemExit(int(any(found)))


def _make_models(folder: Path) -> dict[str, str]:
    """Train and package small models of the samples; return their URIs by name."""
    samples = {"faq": ("-m", "samples.faq", "train"), "parcels": ("-m", "samples.tabular")}
    packages = {name: package_sample(arguments, folder.resolve() / name) for name, arguments in samples.items()}
    return {name: package.archive.as_uri() for name, package in packages.items()}


def _fuzz_target(name: str, seconds: int) -> Outcome:
    command = [sys.executable, "-m", "fuzzing.guided", name, str(seconds), str(KEPT / "corpora" / name)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    # What Python says of a failure is on standard output, what libFuzzer says of its work on standard error.
    return Outcome(done.returncode, f"{done.stderr}\nexit status {done.returncode}\n{done.stdout}")


def _tell(name: str, outcome: Outcome) -> bool:
    """Print how a run ended, and tell whether it has found something."""
    lines = outcome.said.splitlines()
    ran = [line for line in lines if "number_of_executed_units" in line or "generated" in line or "DONE" in line]
    typer.echo(f"{name}: {'FOUND' if outcome.status else 'nothing'} {' '.join(' '.join(ran).split())}")
    if outcome.status:
        typer.echo("\n".join(lines[-SAID_LINES:]))
    sys.stdout.flush()
    return bool(outcome.status)


if __name__ == "__main__":
    app()
