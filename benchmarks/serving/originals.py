"""Frequently asked questions in any number, made from the hand-written ones of the sample; always the same.

After the hand-written entries come variants of all of them, again and again. In a variant two in five words become others,
drawn as often as they occur, and one in twenty a word that no other variant has; so frequencies stay those of real text and
the vocabulary grows with the number of texts. One word becomes the same other word throughout a variant: an original still
shares its words with its duplicates.
"""

import re
from collections.abc import Iterator
from dataclasses import replace
from itertools import count, islice
from pathlib import Path

import numpy as np

from samples.faq.entries import Duplicate, Entry, Id
from samples.faq.sources import Selection, read_entries

HAND_WRITTEN = Path(__file__).parents[2] / "samples" / "faq" / "data"
DUPLICATES = 3  # of each variant
SEED = 2018

_WORD = re.compile(r"([A-Za-z]{4,})")
_OTHER_SHARE, _NEW_SHARE = 0.40, 0.05
_ID_STEP = 10_000_000  # larger than every hand-written id
_LETTERS = "abcdefghijklmnopqrstuvwxyz"


def make_entries(number: int) -> list[Entry]:
    """Return `number` entries: the hand-written ones first, then their variants."""
    return list(islice(_generate_entries(), number))


def _generate_entries() -> Iterator[Entry]:
    entries = read_entries(HAND_WRITTEN, Selection())
    yield from entries
    words = [word for entry in entries for word in _WORD.findall(entry.original.text)]
    vocabulary = sorted(set(words))
    for variant in count(1):
        changes = _draw_changes(vocabulary, words, variant)
        yield from (_vary(entry, changes, variant) for entry in entries)


def _draw_changes(vocabulary: list[str], words: list[str], variant: int) -> dict[str, str]:
    generator = np.random.default_rng([SEED, variant])
    chances = generator.random(len(vocabulary))
    others = generator.integers(len(words), size=len(vocabulary))
    suffix = _spell(variant)
    changes = {}
    for word, chance, other in zip(vocabulary, chances, others, strict=True):
        if chance < _NEW_SHARE:
            changes[word] = word + suffix
        elif chance < _NEW_SHARE + _OTHER_SHARE:
            changes[word] = words[other]
    return changes


def _vary(entry: Entry, changes: dict[str, str], variant: int) -> Entry:
    kept = entry.duplicates[:DUPLICATES]
    return replace(
        entry,
        id=_renumber(entry.id, variant),
        answer_id=_renumber(entry.answer_id, variant),
        title=_change(entry.title, changes),
        question=_change(entry.question, changes),
        answer=_change(entry.answer, changes),
        duplicates=tuple(Duplicate(_renumber(each.id, variant), _change(each.text, changes)) for each in kept),
    )


def _renumber(identity: Id, variant: int) -> int:
    return int(identity) + variant * _ID_STEP


def _change(text: str, changes: dict[str, str]) -> str:
    return "".join([changes.get(part, part) for part in _WORD.split(text)])


def _spell(number: int) -> str:
    letters = ""
    while number:
        number, rest = divmod(number, len(_LETTERS))
        letters += _LETTERS[rest]
    return letters
