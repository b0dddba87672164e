"""Finds the originals that are worth an exact score, by the terms that they share with a question. Below `matching` in `faq`.

For each term, only the originals in which it weighs most are kept: the work for a question is bounded by its own length,
however many originals there are.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from scoring_runtime.faq.groups import Rows
from scoring_runtime.faq.postings import Gains, Postings, Terms

CHAMPIONS = 100
"""Originals kept per term."""


@dataclass(frozen=True)
class Champions:
    """Per term, the originals in which it weighs most."""

    postings: Postings

    def find(self, terms: Terms, count: int) -> Rows:
        """Return the rows, rising, of the `count` originals whose terms agree best with the question's.

        When fewer share a term with it, the first of the others fill up: they are all alike to the question.
        """
        gained = self.postings.gain(terms)
        found = np.flatnonzero(gained)
        if len(found) >= count:
            merits = gained[found] + self.postings.losses[found] * terms.loss
            return np.sort(found[np.argpartition(merits, -count)[-count:]])
        return np.sort(np.concatenate((found, np.flatnonzero(gained == 0)[: count - len(found)])))


def find_champions(gains: Gains, champions: int = CHAMPIONS) -> Champions:
    """Return the champions of each term, by what it adds to an original's sum."""
    by_term = gains.turn().matrix
    kept = _keep_largest(by_term, champions)
    bounds = np.concatenate(([0], np.cumsum(kept)))[by_term.indptr].astype(by_term.indptr.dtype)
    matrix = sparse.csr_array((by_term.data[kept], by_term.indices[kept], bounds), shape=by_term.shape)
    return Champions(Postings(matrix, gains.losses))


def _keep_largest(matrix: sparse.csr_array, count: int) -> NDArray[np.bool_]:
    """Return which entries are among the `count` largest of their row."""
    kept = np.ones(len(matrix.data), dtype=np.bool_)
    for row in np.flatnonzero(np.diff(matrix.indptr) > count):
        start, end = matrix.indptr[row], matrix.indptr[row + 1]
        kept[start:end] = False
        kept[start + np.argpartition(matrix.data[start:end], -count)[-count:]] = True
    return kept
