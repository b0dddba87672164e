"""The hand-written FAQ keeps what the sample's README promises of it."""

import json
from collections import Counter
from itertools import chain

import pytest

from samples.faq.__main__ import HAND_WRITTEN, SEED
from samples.faq.documents import read_documents
from samples.faq.entries import Entry
from samples.faq.packaging import list_held_out
from samples.faq.pairs import split_duplicates
from samples.faq.sources import Selection, read_entries


@pytest.fixture(scope="module")
def entries() -> list[Entry]:
    return list(read_documents(HAND_WRITTEN))


def list_repeated(values: list[object]) -> list[object]:
    return [value for value, count in Counter(values).items() if count > 1]


def test_data_has_at_least_100_originals_with_answers(entries: list[Entry]) -> None:
    assert len(entries) >= 100
    assert not [entry.id for entry in entries if len(entry.answer) < 20]


def test_every_original_has_at_least_8_duplicates(entries: list[Entry]) -> None:
    assert not [entry.id for entry in entries if len(entry.duplicates) < 8]


def test_ids_are_unique(entries: list[Entry]) -> None:
    duplicates = chain.from_iterable(entry.duplicates for entry in entries)
    assert list_repeated([*(entry.id for entry in entries), *(duplicate.id for duplicate in duplicates)]) == []
    assert list_repeated([entry.answer_id for entry in entries]) == []


def test_no_two_texts_are_equal(entries: list[Entry]) -> None:
    texts = [*(entry.title for entry in entries), *(entry.question for entry in entries)]
    texts += [duplicate.text for entry in entries for duplicate in entry.duplicates]
    assert list_repeated([" ".join(text.lower().split()) for text in texts]) == []


def test_held_out_questions_are_those_of_the_data_and_the_seed() -> None:
    split = split_duplicates(read_entries(HAND_WRITTEN, Selection()), seed=SEED)
    checked_in = json.loads((HAND_WRITTEN.parent / "held-out.json").read_text(encoding="utf-8"))
    assert checked_in == list_held_out(split), "copy held-out.json from the folder that `train` wrote"


def test_held_out_questions_take_no_part_in_training() -> None:
    split = split_duplicates(read_entries(HAND_WRITTEN, Selection()), seed=SEED)
    assert {pair.duplicate.id for pair in split.train}.isdisjoint(pair.duplicate.id for pair in split.test)
    assert {pair.entry.id for pair in split.test} == {entry.id for entry in split.entries}
