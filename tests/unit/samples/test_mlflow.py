"""The MLflow sample: saved by MLflow itself, packaged by its command, loaded as the runtime loads it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from local_clusters import ROOT
from runtime_tasks import ask, load_archive
from scoring_runtime.artifacts.digests import compute_digest


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    # A process of its own: importing MLflow changes warnings and logs.
    command = [sys.executable, "-W", "ignore", "-m", "samples.mlflow", "--output-format", "json", "--output"]
    done = subprocess.run(
        [*command, str(tmp_path_factory.mktemp("mlflow"))], cwd=ROOT, check=True, capture_output=True, text=True
    )
    printed: dict[str, str] = json.loads(done.stdout)
    return printed


def test_digest_is_that_of_the_archive_and_stands_in_the_scoring_model(package: dict[str, str]) -> None:
    assert compute_digest(Path(package["archive"])) == package["digest"]
    assert yaml.safe_load(Path(package["scoring_model"]).read_text())["spec"]["model"]["digest"] == package["digest"]


def test_folder_is_served_as_mlflow_saved_it(package: dict[str, str], tmp_path: Path) -> None:
    task = load_archive(Path(package["archive"]), tmp_path)
    parcel = {"distance_km": 900, "weight_kg": None, "carrier": "sea", "stops": 11, "weekend": True, "remark": ""}
    assert ask(task, [parcel]) == ["late"]
    assert {spec.datatype for spec in task.signature.inputs} == {"FP64", "BOOL", "BYTES"}
    assert (tmp_path / "MLmodel").is_file()
