"""Finds the originals that are worth an exact score, by the terms that they share with a question. Below `matching` in `faq`.

For each term, only the originals in which it weighs most are kept: the work for a question is bounded by its own length,
however many originals there are.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from scoring_runtime.faq.features import FEATURES, OriginalIndex, Question
from scoring_runtime.faq.groups import Rows

CHAMPIONS = 100
"""Originals kept per term."""

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Champions:
    """Per term of words, then of parts of words: the originals in which it weighs most."""

    bounds: Rows  # terms + 1
    originals: NDArray[np.int32]
    weights: NDArray[np.float32]
    words: int  # how many of the terms are words
    losses: NDArray[np.float32]  # per original: what any term of the question takes away

    def find(self, question: Question, count: int) -> Rows:
        """Return the rows, rising, of the `count` originals whose terms agree best with the question's.

        When fewer share a term with it, the first of the others fill up: they are all alike to the question.
        """
        terms = np.concatenate((question.word.terms, question.char.terms + self.words)).astype(np.int64)
        weights = np.concatenate((question.word.weights, question.char.weights))
        starts, lengths = self.bounds[terms], self.bounds[terms + 1] - self.bounds[terms]
        ends = np.cumsum(lengths)
        places = np.arange(ends[-1] if len(ends) else 0) + np.repeat(starts - (ends - lengths), lengths)
        gains = self.weights[places] * np.repeat(weights, lengths)
        scores = np.bincount(self.originals[places], weights=gains, minlength=len(self.losses))
        found = np.flatnonzero(scores)
        if len(found) >= count:
            merits = scores[found] + self.losses[found] * question.char.weights.sum()
            return np.sort(found[np.argpartition(merits, -count)[-count:]])
        return np.sort(np.concatenate((found, np.flatnonzero(scores == 0)[: count - len(found)])))


def find_champions(index: OriginalIndex, weights: Floats | None, champions: int = CHAMPIONS) -> Champions:
    """Return the champions of each term, by what it adds to the pair's features.

    `weights` are those of FEATURES in the classifier, where it is a weighted sum: the term's part in the answer.
    """
    own_word, own_char, likelihood = np.ones(len(FEATURES)) if weights is None else weights
    gains, losses = index.likelihood.gains.rows, index.likelihood.losses
    terms = sparse.hstack((index.word.rows * own_word, index.char.rows * own_char + gains * likelihood))
    pooled = sparse.csc_array(terms)
    kept = _keep_largest(pooled, champions)
    bounds = np.concatenate(([0], np.cumsum(kept)))[pooled.indptr].astype(np.int64)
    return Champions(
        bounds,
        pooled.indices[kept].astype(np.int32),
        pooled.data[kept].astype(np.float32),
        words=index.word.rows.shape[1],
        losses=(losses * likelihood).astype(np.float32),
    )


def _keep_largest(matrix: sparse.csc_array, count: int) -> NDArray[np.bool_]:
    """Return which entries are among the `count` largest of their column."""
    kept = np.ones(len(matrix.data), dtype=np.bool_)
    for column in np.flatnonzero(np.diff(matrix.indptr) > count):
        start, end = matrix.indptr[column], matrix.indptr[column + 1]
        kept[start:end] = False
        kept[start + np.argpartition(matrix.data[start:end], -count)[-count:]] = True
    return kept
