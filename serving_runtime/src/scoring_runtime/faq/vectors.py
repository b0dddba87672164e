"""Turns texts into TF-IDF vectors: of words, and of parts of words. Above `text`, below `features` in `faq`.

The vectors are those of scikit-learn's TfidfVectorizer with logarithmic counts, in single precision. One text alone costs a
tenth of the time there, and the vocabulary is saved compactly: skops writes one term by term, with 400 bytes around each.
"""

import math
import re
from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from sklearn.base import BaseEstimator, TransformerMixin

from scoring_runtime.faq.text import WORD_PATTERN

PART_LENGTHS = (3, 4, 5)
"""Letters of a part of a word, the blank before and after the word included."""

LONGEST_KEPT = 32
"""Letters of a word whose parts are kept; longer ones hardly come back."""

MOST_KEPT = 65_536
"""Words whose parts are kept: some 10 MiB, and 30 at most, whatever callers send. Frequent words come early."""

_find_words = re.compile(WORD_PATTERN).findall


@dataclass(frozen=True)
class Vector:
    """A text's known terms and their weights: of length 1 together, or none at all."""

    terms: NDArray[np.int32]
    weights: NDArray[np.float64]

    def spread(self, size: int) -> NDArray[np.float64]:
        """Return the weights of all `size` terms, most of them 0."""
        dense = np.zeros(size)
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
            return np.asarray(question.weights @ self.by_term[question.terms])
        return np.asarray(self.rows @ question.spread(self.rows.shape[1]))


class TextVectorizer(TransformerMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """Gives the TF-IDF vectors of texts, n x terms with rows of length 1 (or 0, for a text without known terms).

    The terms are words and pairs of them (`word`), or three to five letters within a word (`char_wb`).
    """

    def __init__(self, analyzer: str = "word") -> None:
        self.analyzer = analyzer

    def fit(self, X: Sequence[str], y: object = None) -> Self:  # noqa: N803  # scikit-learn's own names
        """Learn the terms of cleaned texts and their weights. Raises ValueError when there is no term."""
        list_terms = ANALYZERS[self.analyzer]
        counts = Counter(term for text in X for term in set(list_terms(text)))
        if not counts:
            raise ValueError("no text holds a word: give texts with words in them")
        terms = sorted(counts)
        frequencies = np.array([counts[term] for term in terms])
        self._know({term: number for number, term in enumerate(terms)})
        self.idf_ = np.log((1 + len(X)) / (1 + frequencies)) + 1
        return self

    def transform(self, X: Iterable[str]) -> sparse.csr_array:  # noqa: N803
        """Return the vectors of n cleaned texts."""
        vectors = [self.vectorize(text) for text in X]
        bounds = np.concatenate(([0], np.cumsum([len(vector.terms) for vector in vectors], dtype=np.int64)))
        terms = np.concatenate([np.zeros(0, np.int32), *(vector.terms for vector in vectors)], dtype=np.int32)
        weights = np.concatenate([np.zeros(0, np.float32), *(vector.weights for vector in vectors)], dtype=np.float32)
        return narrow(sparse.csr_array((weights, terms, bounds), shape=(len(vectors), len(self.idf_))))

    def vectorize(self, cleaned: str) -> Vector:
        """Return the vector of one text that `clean_text` has cleaned."""
        terms, counts = count_terms(self.find_terms(cleaned))
        weights = (np.log(counts) + 1) * self.idf_[terms]
        return Vector(terms, weights / (math.sqrt(weights @ weights) or 1.0))

    def find_terms(self, cleaned: str) -> NDArray[np.int32]:
        """Return the number of each known term in a cleaned text, in its order."""
        if self.analyzer == "word":
            return np.frombuffer(_look_up(self.vocabulary_, _list_words(cleaned)), np.int32)
        return np.frombuffer(b"".join(map(self._parts.__getitem__, cleaned.split())), np.int32)

    def expect_words(self, words: Iterable[str]) -> None:
        """Take these words apart now: a question's that are among them need not be any more. For `char_wb`."""
        self._parts.update((word, self._parts[word]) for word in words)

    def __getstate__(self) -> dict[str, Any]:
        state = {name: value for name, value in super().__getstate__().items() if name != "_parts"}
        if "vocabulary_" in state:
            state["terms"] = "\n".join(state.pop("vocabulary_"))
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Raises ValueError when terms and weights are not as many."""
        terms = state.get("terms")
        super().__setstate__({name: value for name, value in state.items() if name != "terms"})
        if terms is None:
            return
        self._know({term: number for number, term in enumerate(terms.split("\n"))})
        self.idf_ = np.asarray(state["idf_"], dtype=np.float64)
        if self.idf_.shape != (len(self.vocabulary_),):
            raise ValueError(f"{self.idf_.size} weights for {len(self.vocabulary_)} terms: train the model anew")

    def _know(self, vocabulary: dict[str, int]) -> None:
        self.vocabulary_ = vocabulary
        self._parts = _Parts(vocabulary)


class _Parts(dict[str, bytes]):
    """The numbers of the known parts of words, 32 bits each: of those words that were put in, and of the first others that came."""

    def __init__(self, vocabulary: Mapping[str, int]) -> None:
        super().__init__()
        self._vocabulary = vocabulary

    def __missing__(self, word: str) -> bytes:
        found = _look_up(self._vocabulary, _take_apart(word))
        if len(word) <= LONGEST_KEPT and len(self) < MOST_KEPT:
            self[word] = found
        return found


def _look_up(vocabulary: Mapping[str, int], terms: Iterable[str]) -> bytes:
    """Return the numbers of the known ones among the terms, 32 bits each."""
    return array("i", [number for number in map(vocabulary.get, terms) if number is not None]).tobytes()


def narrow(matrix: sparse.csr_array) -> sparse.csr_array:
    """Keep the places of a matrix's entries in 32 bits, where scipy has widened them without need; return the same matrix."""
    if matrix.nnz <= np.iinfo(np.int32).max:
        matrix.indices = matrix.indices.astype(np.int32, copy=False)
        matrix.indptr = matrix.indptr.astype(np.int32, copy=False)
    return matrix


def count_terms(numbers: NDArray[np.int32]) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """Return the different ones of these numbers, rising, and how often each is there: np.unique, in a third of its time."""
    ordered = np.sort(numbers)
    is_last = np.ones(len(ordered), dtype=np.bool_)
    np.not_equal(ordered[1:], ordered[:-1], out=is_last[:-1])
    ends = np.flatnonzero(is_last)
    counts = ends + 1
    counts[1:] -= counts[:-1].copy()
    return ordered[ends], counts


def _list_words(cleaned: str) -> list[str]:
    """Return the words of a text, then each with the one behind it."""
    words = _find_words(cleaned)
    return words + [f"{first} {second}" for first, second in pairwise(words)]


def _list_parts(cleaned: str) -> list[str]:
    """Return the parts of a text's words."""
    return [part for word in cleaned.split() for part in _take_apart(word)]


def _take_apart(word: str) -> list[str]:
    """Return all parts of a word, with a blank before and behind it."""
    spaced = f" {word} "
    ends = range(len(spaced) + 1)
    return [spaced[end - length : end] for length in PART_LENGTHS for end in ends[length:]]


ANALYZERS: Mapping[str, Callable[[str], list[str]]] = {"word": _list_words, "char_wb": _list_parts}
"""What gives the terms of a cleaned text; named as in scikit-learn's vectorizers, whose terms they are."""
