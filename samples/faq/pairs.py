"""Splits the duplicates into training and test, and pairs them with originals, the same for every model.

Above `entries`. The numbers are the reference's: 21 % of each original's duplicates are held out (at least one), and a
training duplicate is paired with 20 originals, one of which is its own.
"""

import hashlib
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

from samples.faq.entries import Duplicate, Entry
from scoring_runtime.faq import clean_text

HELD_OUT_SHARE = 0.21
ORIGINALS_PER_DUPLICATE = 20

_WORD = re.compile(r"[a-z_$][\w$]*")


@dataclass(frozen=True)
class Pair:
    """A duplicate beside an original; `label` is 1 when it repeats this one."""

    duplicate: Duplicate
    entry: Entry
    label: int = 1


@dataclass(frozen=True)
class Split:
    """All entries, with their duplicates on two sides, each beside its own original."""

    entries: tuple[Entry, ...]
    train: tuple[Pair, ...]
    test: tuple[Pair, ...]
    seed: int


def split_duplicates(entries: Sequence[Entry], *, seed: int, share: float = HELD_OUT_SHARE) -> Split:
    """Hold out `share` of each entry's duplicates, at least one.

    Which ones follows from the seed and their ids alone: other entries, or another order, change nothing.
    """
    train: list[Pair] = []
    test: list[Pair] = []
    for entry in entries:
        shuffled = sorted(entry.duplicates, key=lambda duplicate: _rank(seed, duplicate))
        count = max(1, math.floor(len(shuffled) * share))
        test += [Pair(duplicate, entry) for duplicate in shuffled[:count]]
        train += [Pair(duplicate, entry) for duplicate in shuffled[count:]]
    return Split(tuple(entries), tuple(train), tuple(test), seed)


def split_by_words(entries: Sequence[Entry], *, seed: int) -> Split:
    """Hold out the duplicates that share no content word with title and question of their original, however many.

    What finds these has learnt from other duplicates or knows what words mean. `seed` draws the training pairs alone.
    """
    pairs = [Pair(duplicate, entry) for entry in entries for duplicate in entry.duplicates]
    unlike = [_list_words(pair.duplicate.text).isdisjoint(_list_words(pair.entry.asked)) for pair in pairs]
    train = tuple(pair for pair, held_out in zip(pairs, unlike, strict=True) if not held_out)
    test = tuple(pair for pair, held_out in zip(pairs, unlike, strict=True) if held_out)
    return Split(tuple(entries), train, test, seed)


def pair_with_originals(split: Split, originals_per_duplicate: int = ORIGINALS_PER_DUPLICATE) -> list[Pair]:
    """Return each training duplicate beside its own original and beside others drawn by the split's seed."""
    return list(_pair(split, min(originals_per_duplicate, len(split.entries)) - 1))


def _pair(split: Split, others_count: int) -> Iterator[Pair]:
    generator = np.random.default_rng(split.seed)
    positions = {entry.id: position for position, entry in enumerate(split.entries)}
    for own in split.train:
        yield own
        position = positions[own.entry.id]
        for other in generator.choice(len(split.entries) - 1, size=others_count, replace=False):
            yield Pair(own.duplicate, split.entries[other + (other >= position)], label=0)


def _list_words(text: str) -> set[str]:
    found = _WORD.findall(clean_text(text))
    return {word for word in found if len(word) > 1 and word not in ENGLISH_STOP_WORDS}


def _rank(seed: int, duplicate: Duplicate) -> str:
    return hashlib.sha256(f"{seed}/{duplicate.id}".encode()).hexdigest()
