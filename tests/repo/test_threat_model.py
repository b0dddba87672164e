"""The threat model names tests: they are there, under these names."""

import re

from local_clusters import ROOT

NAMED = re.compile(r"`(?:(tests/[\w/]+?/)?(test_\w+\.py))(?:::(test_\w+))?")


def test_every_test_that_the_threat_model_names_is_there() -> None:
    named = NAMED.findall((ROOT / "docs" / "threat-model.md").read_text())
    assert len(named) > 20
    for folder, name, function in named:
        found = list((ROOT / folder).glob(name)) if folder else list((ROOT / "tests").rglob(name))
        assert found, f"{folder}{name}"
        assert not function or any(f"def {function}(" in path.read_text() for path in found), function
