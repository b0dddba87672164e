"""The checked-in CRDs are what the pydantic models say, here and in the chart."""

from pathlib import Path

import pytest

from local_clusters import ROOT
from scoring_operator.crds import build_crds, render_yaml

FOLDERS = [ROOT / "crds", ROOT / "charts" / "scoring-operator" / "crds"]


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: str(folder.relative_to(ROOT)))
def test_crds_equal_the_models(folder: Path) -> None:
    generated = {name: render_yaml(crd) for name, crd in build_crds().items()}
    assert {path.name: path.read_text() for path in folder.iterdir()} == generated, "run `make crds`"
