"""Turns texts into TF-IDF vectors: of words, and of parts of words. Above `text`, below `features` in `faq`.

The vectors are those of scikit-learn's TfidfVectorizer with logarithmic counts, in single precision. One text alone costs a
tenth of the time there, and the vocabulary is saved compactly: skops writes one term by term, with 400 bytes around each.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.feature_extraction.text import CountVectorizer

from scoring_runtime.faq.text import WORD_PATTERN

FEW_ENTRIES = 4096
"""Of the terms' rows together: up to here, adding them up with NumPy alone is faster than scipy's product."""

OPTIONS: dict[str, dict[str, Any]] = {
    "word": {"token_pattern": WORD_PATTERN, "ngram_range": (1, 2)},
    "char_wb": {"ngram_range": (3, 5)},
}
"""Per analyzer: words and pairs of them; three to five letters within a word."""


@dataclass(frozen=True)
class Vector:
    """A text's known terms, in rising order, and their weights: of length 1 together, or none at all."""

    terms: NDArray[np.int32]
    weights: NDArray[np.float32]

    def spread(self, size: int) -> NDArray[np.float32]:
        """Return the weights of all `size` terms, most of them 0."""
        dense = np.zeros(size, dtype=np.float32)
        dense[self.terms] = self.weights
        return dense


@dataclass(frozen=True)
class VectorTable:
    """The vectors of n texts, to be multiplied by a question's.

    `by_term` holds the same by terms: those of a question then pick a few of its rows, a twentieth of all numbers. It costs as
    much memory again and cannot be selected from.
    """

    rows: sparse.csr_array  # n x terms
    by_term: sparse.csr_array | None = None  # terms x n

    def turn(self) -> "VectorTable":
        """Return the same table with its vectors by terms."""
        return VectorTable(self.rows, sparse.csr_array(self.rows.T))

    def select(self, chosen: NDArray[np.int64]) -> "VectorTable":
        """Return the table of the chosen texts alone."""
        return VectorTable(self.rows[chosen])

    def multiply(self, question: Vector) -> NDArray[np.float64]:
        """Return the n products with a question's vector.

        Added up in double precision, so that both ways give the same number although they add in another order.
        """
        if self.by_term is not None:
            return _add_rows(self.by_term, question)
        return np.asarray(self.rows @ question.spread(self.rows.shape[1]).astype(np.float64))


def _add_rows(by_term: sparse.csr_array, question: Vector) -> NDArray[np.float64]:
    """Return the sum of the terms' rows (n), each times its weight.

    scipy's own way adds fast, but first checks and copies; for few entries that takes several times as long as the sum.
    """
    starts = by_term.indptr[question.terms]
    counts = by_term.indptr[question.terms + 1] - starts
    if counts.sum() > FEW_ENTRIES:
        return np.asarray(question.weights.astype(np.float64) @ by_term[question.terms])
    ends = np.cumsum(counts)
    places = np.arange(counts.sum()) + np.repeat(starts - ends + counts, counts)
    weights = by_term.data[places] * np.repeat(question.weights.astype(np.float64), counts)
    return np.bincount(by_term.indices[places], weights=weights, minlength=by_term.shape[1]).astype(
        np.float64, copy=False
    )


class TextVectorizer(TransformerMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """Gives the TF-IDF vectors of texts, n x terms with rows of length 1 (or 0, for a text without known terms)."""

    def __init__(self, analyzer: str = "word") -> None:
        self.analyzer = analyzer

    def fit(self, X: Sequence[str], y: object = None) -> Self:  # noqa: N803  # scikit-learn's own names
        """Learn the terms of cleaned texts and their weights. Raises ValueError when there is no term."""
        self._analyze = self._build_analyzer()
        counts = Counter(term for text in X for term in set(self._analyze(text)))
        if not counts:
            raise ValueError("no text holds a word: give texts with words in them")
        terms = sorted(counts)
        frequencies = np.array([counts[term] for term in terms])
        self.vocabulary_ = {term: number for number, term in enumerate(terms)}
        self.idf_ = np.log((1 + len(X)) / (1 + frequencies)) + 1
        return self

    def transform(self, X: Iterable[str]) -> sparse.csr_array:  # noqa: N803
        """Return the vectors of n cleaned texts."""
        vectors = [self.vectorize(text) for text in X]
        bounds = np.concatenate(([0], np.cumsum([len(vector.terms) for vector in vectors], dtype=np.int64)))
        terms = np.concatenate([vector.terms for vector in vectors] or [np.zeros(0, np.int32)])
        weights = np.concatenate([vector.weights for vector in vectors] or [np.zeros(0, np.float32)])
        return sparse.csr_array((weights, terms, bounds), shape=(len(vectors), len(self.idf_)))

    def vectorize(self, cleaned: str) -> Vector:
        """Return the vector of one text that `clean_text` has cleaned."""
        found = Counter(map(self.vocabulary_.get, self._analyze(cleaned)))
        found.pop(None, None)
        terms = np.array(sorted(found), dtype=np.int32)  # type: ignore[type-var]  # None has gone
        counts = np.array([found[term] for term in terms.tolist()], dtype=np.float64)
        weights = (np.log(counts) + 1) * self.idf_[terms]
        length = np.sqrt(weights @ weights)
        return Vector(terms, (weights / (length or 1.0)).astype(np.float32))

    def __getstate__(self) -> dict[str, Any]:
        state = dict(super().__getstate__())
        state.pop("_analyze", None)
        if "vocabulary_" in state:
            state["terms"] = "\n".join(state.pop("vocabulary_"))
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Raises ValueError when terms and weights are not as many."""
        terms = state.get("terms")
        super().__setstate__({name: value for name, value in state.items() if name != "terms"})
        if terms is None:
            return
        self.vocabulary_ = {term: number for number, term in enumerate(terms.split("\n"))}
        self.idf_ = np.asarray(state["idf_"], dtype=np.float64)
        if self.idf_.shape != (len(self.vocabulary_),):
            raise ValueError(f"{self.idf_.size} weights for {len(self.vocabulary_)} terms: train the model anew")
        self._analyze = self._build_analyzer()

    def _build_analyzer(self) -> Any:  # noqa: ANN401  # scikit-learn has no types
        return CountVectorizer(analyzer=self.analyzer, lowercase=False, **OPTIONS[self.analyzer]).build_analyzer()
