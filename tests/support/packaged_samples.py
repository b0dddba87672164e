"""Samples packaged by their own programs, and what their manifests promise."""

import json
import subprocess
import sys
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from local_clusters import ROOT


@dataclass(frozen=True)
class PackagedSample:
    """An artifact on this machine, its ScoringModel, and its manifest."""

    archive: Path
    digest: str
    scoring_model: Path

    @property
    def manifest(self) -> dict[str, Any]:
        """The artifact's manifest.json."""
        with tarfile.open(self.archive) as tar:
            content = tar.extractfile("manifest.json")
            if content is None:
                raise AssertionError(f"{self.archive} has no manifest.json")
            manifest: dict[str, Any] = json.load(content)
        return manifest

    @property
    def body(self) -> dict[str, Any]:
        """The ScoringModel, pinned to the artifact's digest."""
        body: dict[str, Any] = yaml.safe_load(self.scoring_model.read_text())
        return body

    @property
    def path_on_claim(self) -> str:
        """Where the ScoringModel looks for the artifact, below the claim's root."""
        uri: str = self.body["spec"]["model"]["uri"]
        return uri.removeprefix("pvc://models/")


def run_sample(*arguments: str) -> dict[str, Any]:
    """Run a sample's program and return what it reports as JSON."""
    command = [sys.executable, *arguments, "--output-format", "json"]
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    report: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return report


def package_sample(arguments: Sequence[str], output: Path) -> PackagedSample:
    """Package a sample into the folder `output`."""
    report = run_sample(*arguments, "--output", str(output))
    return PackagedSample(Path(report["archive"]), report["digest"], Path(report["scoring_model"]))
