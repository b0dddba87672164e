"""The short form of `make fuzz`: each target on its seeds and what a second brings, and a real runtime's interface by its own document."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fuzzing.interface import fuzz_interface, loosen_tuples
from fuzzing.targets import TARGETS
from local_clusters import ROOT
from tensor_models import write_artifact

INTERFACE_SECONDS = 6


@pytest.mark.parametrize("name", TARGETS)
def test_nothing_but_documented_errors_on_seeds_and_what_is_made_of_them(name: str) -> None:
    target = TARGETS[name]

    @settings(max_examples=40, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(st.sampled_from(target.seeds), st.integers(0), st.binary(max_size=8))
    def feed(seed: bytes, place: int, change: bytes) -> None:
        at = place % (len(seed) + 1)
        target.feed(seed[:at] + change + seed[at + len(change) :])
        target.feed(seed[:at] + change)

    for seed in target.seeds:
        target.feed(seed)
    feed()


def test_the_coverage_guided_fuzzer_runs(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "fuzzing.guided", "uri", "1", str(tmp_path / "corpus")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests" / "support")])}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert "number_of_executed_units" in done.stderr


def test_the_interface_keeps_its_promises(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT / "tests" / "support"))
    folder = write_artifact(tmp_path / "m", "Columns", example={"input": [{"city": "Bern", "age": 1}]})
    outcome = fuzz_interface(folder.as_uri(), INTERFACE_SECONDS)
    assert outcome.status == 0, outcome.said[-4000:]


def test_tuples_of_a_document_are_loosened_wherever_they_are() -> None:
    tuples = {"type": "array", "prefixItems": [{"type": "string"}, {"prefixItems": [{}]}]}
    assert loosen_tuples({"a": [tuples]}) == {
        "a": [{"type": "array", "items": {"anyOf": [{"type": "string"}, {"items": {"anyOf": [{}]}}]}}]
    }
