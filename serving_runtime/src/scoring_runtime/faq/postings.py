"""The originals by terms: what each term of a question adds to the weighted sum of a pair's features. Above `features` in `faq`.

Where a classifier weighs the features and adds them up, their products with the question can be added up term by term, all
features at once: one sum over the question's terms instead of one for each feature.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from scoring_runtime.faq.features import OriginalIndex, Question
from scoring_runtime.faq.groups import Rows

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

    def add_up(self, terms: Terms) -> Floats:
        """Return the sums of all m originals."""
        sums: Floats = self.gain(terms) + self.losses * terms.loss
        return sums

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
        return DensePostings(self.matrix, self.losses, places, self.matrix[frequent].toarray())


@dataclass(frozen=True)
class DensePostings(Postings):
    """Postings whose frequent terms have a row each of a dense table. scipy's product checks its arguments for longer than
    it adds up a few hundred numbers; NumPy's alone does not."""

    places: Rows  # terms: the row of a term in the table; behind the last for all others
    table: Floats  # frequent terms x m

    def gain(self, terms: Terms) -> Floats:
        """Return what the terms add to each original (m), without what it loses."""
        places = self.places[terms.numbers]
        frequent = places < len(self.table)
        gained: Floats = terms.weights[frequent] @ self.table[places[frequent]]
        rare = ~frequent
        return gained + self._add_rare(terms.numbers[rare], terms.weights[rare])

    def _add_rare(self, numbers: NDArray[np.int32], weights: Floats) -> Floats:
        bounds = self.matrix.indptr
        starts, counts = bounds[numbers], bounds[numbers + 1] - bounds[numbers]
        ends = np.cumsum(counts)
        entries = np.arange(ends[-1] if len(ends) else 0) + np.repeat(starts - ends + counts, counts)
        added = self.matrix.data[entries] * np.repeat(weights, counts)
        # Of no entries, bincount counts in whole numbers.
        return np.bincount(self.matrix.indices[entries], added, len(self.losses)).astype(np.float64, copy=False)


def list_terms(question: Question) -> Terms:
    """Return the terms of a question."""
    return Terms(question.terms, question.weights, float(question.weights[question.words :].sum()))


def weigh_terms(index: OriginalIndex, weights: Floats) -> Gains:
    """Return what each term adds to the sum of the features, by their `weights`."""
    own_word, own_char, likelihood = weights
    parts = (index.word.rows * own_word, index.char.rows * own_char + index.likelihood.gains.rows * likelihood)
    matrix = sparse.csr_array(sparse.hstack(parts, format="csr"), dtype=np.float64)
    return Gains(_narrow(matrix), index.likelihood.losses * likelihood)


def _narrow(matrix: sparse.csr_array) -> sparse.csr_array:
    """Stacking widens the places of the entries to 64 bits; half of them do, and are read twice as fast."""
    if matrix.nnz <= np.iinfo(np.int32).max:
        matrix.indices, matrix.indptr = matrix.indices.astype(np.int32), matrix.indptr.astype(np.int32)
    return matrix
