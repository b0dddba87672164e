"""The tabular sample: trained and packaged by its command, loaded as the runtime loads it."""

import json
from pathlib import Path

import pytest
import yaml
from typer import Typer
from typer.testing import CliRunner

from runtime_tasks import ask, load_archive
from samples.tabular.__main__ import train
from samples.tabular.tables import LATE, MESSAGES, ON_TIME, make_parcels
from scoring_runtime.artifacts.digests import compute_digest

app = Typer()
app.command()(train)


def package(folder: Path, *options: str) -> dict[str, str | float]:
    result = CliRunner().invoke(app, ["--output", str(folder), "--output-format", "json", *options])
    assert result.exit_code == 0, result.output
    printed: dict[str, str | float] = json.loads(result.stdout)
    return printed


@pytest.fixture(scope="module")
def parcels(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str | float]:
    return package(tmp_path_factory.mktemp("parcels"))


@pytest.fixture(scope="module")
def messages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str | float]:
    return package(tmp_path_factory.mktemp("messages"), "--kind", "text")


def test_digest_is_that_of_the_archive_and_stands_in_the_scoring_model(parcels: dict[str, str]) -> None:
    assert compute_digest(Path(parcels["archive"])) == parcels["digest"]
    assert yaml.safe_load(Path(parcels["scoring_model"]).read_text())["spec"]["model"]["digest"] == parcels["digest"]


@pytest.mark.parametrize("kind", ["table", "text"])
def test_packaging_again_gives_the_same_bytes(
    parcels: dict[str, str], messages: dict[str, str], tmp_path: Path, kind: str
) -> None:
    first = parcels if kind == "table" else messages
    assert package(tmp_path, "--kind", kind)["digest"] == first["digest"]


def test_models_are_better_than_guessing(parcels: dict[str, float], messages: dict[str, float]) -> None:
    assert parcels["accuracy"] > parcels["baseline"] + 0.15
    assert messages["accuracy"] > messages["baseline"] + 0.15


def test_parcel_with_a_gap_and_an_unknown_carrier_is_answered(parcels: dict[str, str], tmp_path: Path) -> None:
    task = load_archive(Path(parcels["archive"]), tmp_path)
    parcel = {"distance_km": 900, "weight_kg": None, "carrier": "balloon", "stops": 11, "weekend": True, "remark": ""}
    answer = ask(task, [parcel])
    assert answer["predict"] == [LATE]
    assert answer["predict_proba"].shape == (1, 2)


def test_message_is_answered_by_its_topic(messages: dict[str, str], tmp_path: Path) -> None:
    answer = ask(load_archive(Path(messages["archive"]), tmp_path), ["I cannot log in", "refund my invoice"])
    assert answer["predict"] == ["account", "payment"]


def test_made_up_rows_follow_from_the_seed() -> None:
    assert make_parcels(50, 1).equals(make_parcels(50, 1))
    assert not make_parcels(50, 1).equals(make_parcels(50, 2))
    assert set(make_parcels(50, 1)["outcome"]) == {LATE, ON_TIME}


def test_each_topic_has_as_many_messages() -> None:
    topics = [topic for topic, _ in MESSAGES]
    assert len({topics.count(topic) for topic in topics}) == 1
