"""The originals by terms: what each term of a question adds to the weighted sum of a pair's features. Above `features` in `faq`.

Where a classifier weighs the features and adds them up, their products with the question can be added up term by term, all
features at once: one sum over the question's terms instead of one for each feature.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from scoring_runtime.faq.features import OriginalIndex, Questions
from scoring_runtime.faq.groups import Rows
from scoring_runtime.faq.vectors import narrow

DENSITY = 16
"""A term is frequent when it adds to one in so many originals: a dense row takes up to 11 times the memory of a sparse one."""

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Terms:
    """A question's terms among those of words, then of parts of words; their weights."""

    numbers: NDArray[np.int32]
    weights: Floats
    loss: float  # times an original's own: what it loses by the question's length


@dataclass(frozen=True)
class TermLists:
    """The terms of q questions, one behind the other."""

    numbers: NDArray[np.int32]
    weights: Floats
    bounds: Rows  # q + 1
    losses: Floats  # q

    def __len__(self) -> int:
        return len(self.losses)

    def __iter__(self) -> Iterator[Terms]:
        for row, loss in enumerate(self.losses):
            own = slice(self.bounds[row], self.bounds[row + 1])
            yield Terms(self.numbers[own], self.weights[own], float(loss))


@dataclass(frozen=True)
class Gains:
    """What each term adds to each of m originals, and what an original loses by any part of a word."""

    matrix: sparse.csr_array  # m x terms
    losses: Floats  # m

    def add_up(self, terms: Terms, chosen: Rows) -> Floats:
        """Return the sums of the chosen originals."""
        asked = np.zeros(self.matrix.shape[1])
        asked[terms.numbers] = terms.weights
        sums: Floats = self.matrix[chosen] @ asked + self.losses[chosen] * terms.loss
        return sums

    def turn(self) -> "Postings":
        """Return the same by terms: faster where all originals are compared."""
        return Postings(sparse.csr_array(self.matrix.T), self.losses)


@dataclass(frozen=True)
class Postings:
    """The same by terms: those of a question pick a few of its rows, a twentieth of all numbers."""

    matrix: sparse.csr_array  # terms x m
    losses: Floats  # m

    def add_up(self, lists: TermLists) -> Floats:
        """Return the sums of all m originals for each of q questions (q x m)."""
        sums: Floats = self.gain_all(lists) + np.outer(lists.losses, self.losses)
        return sums

    def gain_all(self, lists: TermLists) -> Floats:
        """Return what each question's terms add to each original (q x m), without what it loses."""
        return np.array([self.gain(terms) for terms in lists])

    def gain(self, terms: Terms) -> Floats:
        """Return what the terms add to each original (m), without what it loses."""
        gained: Floats = terms.weights @ self.matrix[terms.numbers]
        return gained

    def write_out(self) -> "DensePostings":
        """Return the same with the frequent terms' rows written out: faster for few originals."""
        counts = np.diff(self.matrix.indptr)
        frequent = np.flatnonzero(counts * DENSITY > self.matrix.shape[1])
        places = np.full(len(counts), len(frequent), dtype=np.int64)
        places[frequent] = np.arange(len(frequent))
        none = np.zeros((1, self.matrix.shape[1]))
        return DensePostings(self.matrix, self.losses, places, np.concatenate((self.matrix[frequent].toarray(), none)))


@dataclass(frozen=True)
class DensePostings(Postings):
    """Postings whose frequent terms have a row each of a dense table. scipy's product checks its arguments for longer than
    it adds up a few hundred numbers; NumPy's alone does not."""

    places: Rows  # terms: the row of a term in the table; the last for all others
    table: Floats  # frequent terms and a row of zeros x m

    def gain_all(self, lists: TermLists) -> Floats:
        """Return what each question's terms add to each original (q x m), without what it loses."""
        places = self.places[lists.numbers]
        rare = places == len(self.table) - 1
        owners = np.repeat(np.arange(len(lists)), np.diff(lists.bounds))[rare]
        gained = self._add_rare(lists.numbers[rare], lists.weights[rare], owners, len(lists))
        # Leaving out the rare ones would take as long as adding zeros.
        for row, (start, end) in enumerate(pairwise(lists.bounds.tolist())):
            gained[row] += lists.weights[start:end] @ self.table[places[start:end]]
        return gained

    def _add_rare(self, numbers: NDArray[np.int32], weights: Floats, owners: Rows, count: int) -> Floats:
        originals, bounds = len(self.losses), self.matrix.indptr
        starts, counts = bounds[numbers], bounds[numbers + 1] - bounds[numbers]
        ends = np.cumsum(counts)
        entries = np.arange(ends[-1] if len(ends) else 0) + np.repeat(starts - ends + counts, counts)
        places = np.repeat(owners * originals, counts) + self.matrix.indices[entries]
        added = self.matrix.data[entries] * np.repeat(weights, counts)
        return _add_by(places, added, count * originals).reshape(count, originals)


def list_terms(questions: Questions) -> TermLists:
    """Return the terms of questions."""
    sums = _add_by(questions.owners, questions.weights, 2 * questions.count)
    return TermLists(questions.terms, questions.weights, questions.bounds[::2], sums[1::2])


def _add_by(places: Rows, values: Floats, count: int) -> Floats:
    """Return the sum of the values of each place."""
    # Of no values, bincount counts in whole numbers.
    return np.bincount(places, values, count).astype(np.float64, copy=False)


def weigh_terms(index: OriginalIndex, weights: Floats) -> Gains:
    """Return what each term adds to the sum of the features, by their `weights`."""
    own_word, own_char, likelihood = weights
    parts = (index.word.rows * own_word, index.char.rows * own_char + index.likelihood.gains.rows * likelihood)
    matrix = narrow(sparse.hstack(parts, format="csr"))
    del parts  # as large as the whole
    matrix.data = matrix.data.astype(np.float64)
    return Gains(matrix, index.likelihood.losses * likelihood)
