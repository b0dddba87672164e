"""Describes a pair (question, original) by a few similarities. Above `vectors` and `likelihood`, below `matching` in `faq`.

An original is known by its own text and by the questions that repeated it in training. A pair is described by the cosine
similarities of both texts, and by how likely the language of all that is known of the original is to bring the question forth.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import sparse
from sklearn.base import BaseEstimator, TransformerMixin

from scoring_runtime.faq.groups import Groups, Rows
from scoring_runtime.faq.likelihood import Likelihood, learn_likelihood, measure_background, pool_vectors
from scoring_runtime.faq.text import clean_text
from scoring_runtime.faq.vectors import TextVectorizer, Vector, VectorTable, count_terms, narrow

FEATURES = ("own_word", "own_char", "likelihood")
"""Names of the columns, in order: `own` compares with the original's text, words or parts of words; `likelihood` with all.

Similarities to the nearest of the known duplicates, and their mean, were tried: they told nothing more about a new question."""

Floats = NDArray[np.float64]

_NO_FOLD = -1
_SHORTEST = np.finfo(np.float64).tiny
"""Nothing but zeros is shorter, and stays zeros."""


@dataclass(frozen=True)
class OriginalIndex:
    """What `PairFeatures.index` computes once for m originals: their own texts as vectors, and their language models."""

    word: VectorTable
    char: VectorTable
    likelihood: Likelihood

    def select(self, chosen: Rows) -> "OriginalIndex":
        """Return the index of the chosen originals alone, in their order."""
        return OriginalIndex(self.word.select(chosen), self.char.select(chosen), self.likelihood.select(chosen))

    def turn(self) -> "OriginalIndex":
        """Return the same index by terms: faster where all originals are compared, nothing can be selected from it."""
        likelihood = Likelihood(self.likelihood.gains.turn(), self.likelihood.losses)
        return OriginalIndex(self.word.turn(), self.char.turn(), likelihood)


@dataclass(frozen=True)
class Question:
    """A question as vectors of words and of parts of words."""

    word: Vector
    char: Vector


@dataclass(frozen=True)
class Questions:
    """The terms of q questions, one behind the other; of each, those of words, then of parts of words, numbered behind all words."""

    terms: NDArray[np.int32]
    weights: Floats
    owners: Rows  # of each term: twice its question, and 1 more for a part of a word
    bounds: Rows  # 2 q + 1: where each question's words begin, where its parts of words do, and the end
    all_words: int  # of the vocabulary

    @property
    def count(self) -> int:
        """How many questions there are."""
        return len(self.bounds) // 2

    def take(self, row: int) -> Question:
        """Return one of the questions."""
        word, char, end = self.bounds[2 * row : 2 * row + 3]
        parts = self.terms[char:end] - np.int32(self.all_words)
        return Question(Vector(self.terms[word:char], self.weights[word:char]), Vector(parts, self.weights[char:end]))


class PairFeatures(TransformerMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """Transformer of pairs (columns Text_x: question, Text_y: original) into len(FEATURES) numbers each.

    `fit_transform` describes a training question's pairs without knowing the question: it would find itself, and the
    classifier would learn to trust nothing but copies. About one duplicate of every original is left out with it, by folds:
    were it the only one, the right original could be told by having one duplicate fewer.
    """

    def __init__(self, smoothing: float = 400.0, folds: int = 5) -> None:
        self.smoothing = smoothing
        self.folds = folds

    def fit(self, X: pd.DataFrame, y: ArrayLike) -> Self:  # noqa: N803  # scikit-learn's own name
        """Learn from n pairs and their labels (1: duplicate). Raises ValueError for no duplicates."""
        self._learn(X, np.asarray(y))
        return self

    def fit_transform(self, X: pd.DataFrame, y: ArrayLike) -> Floats:  # noqa: N803
        """Learn, and return the n x len(FEATURES) features of the same pairs, each without its own question."""
        training = self._learn(X, np.asarray(y))
        pair_folds = X["Text_x"].map(training.folds).fillna(_NO_FOLD).to_numpy(dtype=np.int64)
        features = np.empty((len(X), len(FEATURES)))
        for fold in np.unique(pair_folds):
            pairs = np.flatnonzero(pair_folds == fold)
            index = self._make_index(self.own_word_, self.own_char_, training.pool_without(fold))
            features[pairs] = self._describe_pairs(X.iloc[pairs], index, self.originals_)
        return features

    def transform(self, X: pd.DataFrame) -> Floats:  # noqa: N803
        """Return the n x len(FEATURES) features of n pairs."""
        originals = list(dict.fromkeys(X["Text_y"]))
        return self._describe_pairs(X, self.index(originals), originals)

    def index(self, originals: Sequence[str]) -> OriginalIndex:
        """Compute what depends on the m originals alone, for `describe`."""
        places = {text: place for place, text in enumerate(self.originals_)}
        unseen = [text for text in dict.fromkeys(originals) if text not in places]
        places |= {text: place for place, text in enumerate(unseen, start=len(places))}
        chosen = np.array([places[text] for text in originals], dtype=np.int64)
        word, char, pooled = self.own_word_, self.own_char_, self.pooled_char_
        if unseen:
            cleaned = [clean_text(text) for text in unseen]
            own = self.char_.transform(cleaned)
            word = narrow(sparse.vstack((word, self.word_.transform(cleaned)), format="csr"))
            char, pooled = (narrow(sparse.vstack((known, own), format="csr")) for known in (char, pooled))
        if not np.array_equal(chosen, np.arange(word.shape[0])):
            word, char, pooled = word[chosen], char[chosen], pooled[chosen]
        return self._make_index(word, char, pooled)

    def read(self, question: str) -> Question:
        """Return a question as vectors: those of `vectorize` of both vectorizers."""
        return self.read_all([question]).take(0)

    def read_all(self, questions: Sequence[str]) -> Questions:
        """Return the terms of a few questions, all counted and weighed at once: several take hardly longer than one."""
        all_words, size = len(self.word_.idf_), len(self._idf)
        found = []
        for row, question in enumerate(questions):
            cleaned = clean_text(question)
            found.append(self.word_.find_terms(cleaned) + np.int32(row * size))
            found.append(self.char_.find_terms(cleaned) + np.int32(row * size + all_words))
        numbers, counts = count_terms(np.concatenate(found))
        halves = np.arange(2 * len(questions) + 1)
        bounds = np.searchsorted(numbers, halves // 2 * size + halves % 2 * all_words)
        owners = np.repeat(halves[:-1], np.diff(bounds))
        terms = numbers - (owners // 2 * size).astype(np.int32)
        weights = (np.log(counts) + 1) * self._idf[terms]
        lengths = np.maximum(np.sqrt(np.bincount(owners, weights * weights, len(halves) - 1)), _SHORTEST)
        return Questions(terms, weights / lengths[owners], owners, bounds, all_words)

    def describe(self, index: OriginalIndex, question: Question) -> Floats:
        """Return the m x len(FEATURES) features of one question with each of the m originals of `index`."""
        own_word, own_char = index.word.multiply(question.word), index.char.multiply(question.char)
        return np.column_stack((own_word, own_char, index.likelihood.score(question.char)))

    def __getstate__(self) -> dict[str, Any]:
        state = {name: value for name, value in super().__getstate__().items() if name != "_idf"}
        if "originals_" in state:
            # As one text: skops keeps some 400 bytes around each of a list.
            state["originals_"] = json.dumps(state["originals_"])
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Raises ValueError for arrays that do not fit each other: scipy's native code trusts them, and a file may hold any."""
        if "originals_" in state:
            state = {**state, "originals_": json.loads(state["originals_"])}
            _check(state)
        super().__setstate__(state)
        if "originals_" in state:
            self._prepare_reading()

    def _prepare_reading(self) -> None:
        self._idf = np.concatenate((self.word_.idf_, self.char_.idf_))
        self.char_.expect_words(term for term in self.word_.vocabulary_ if " " not in term)

    def _learn(self, pairs: pd.DataFrame, labels: NDArray[Any]) -> "_Training":
        """Set the fitted state."""
        repeats = pairs[labels == 1]
        if repeats.empty:
            raise ValueError("no pair is labelled 1: PairFeatures learns from questions known to repeat an original")
        members: dict[str, dict[str, None]] = {text: {} for text in dict.fromkeys(pairs["Text_y"])}
        for question, original in zip(repeats["Text_x"], repeats["Text_y"], strict=True):
            members[original][question] = None
        self.originals_: list[str] = list(members)
        groups = Groups.measure([1 + len(known) for known in members.values()])
        texts = [text for original, known in members.items() for text in (original, *known)]
        cleaned = [clean_text(text) for text in texts]
        different = list(dict.fromkeys(cleaned))
        self.word_, self.char_ = TextVectorizer("word").fit(different), TextVectorizer("char_wb").fit(different)
        self._prepare_reading()
        char = self.char_.transform(cleaned)
        self.background_ = measure_background(char)
        self.own_word_ = self.word_.transform([cleaned[row] for row in groups.own])
        self.own_char_, self.pooled_char_ = char[groups.own], pool_vectors(char, groups)
        return _Training(char, groups, texts, _draw_folds(members, self.folds))

    def _make_index(self, word: sparse.csr_array, char: sparse.csr_array, pooled: sparse.csr_array) -> OriginalIndex:
        likelihood = learn_likelihood(pooled, self.background_, self.smoothing)
        return OriginalIndex(VectorTable(word), VectorTable(char), likelihood)

    def _describe_pairs(self, pairs: pd.DataFrame, index: OriginalIndex, originals: Sequence[str]) -> Floats:
        """Describe the pairs question by question; `index` is that of these originals."""
        places = {text: place for place, text in enumerate(originals)}
        columns = pairs["Text_y"].map(places).to_numpy(dtype=np.int64)
        features = np.empty((len(pairs), len(FEATURES)))
        for text, rows in pairs.groupby("Text_x", sort=False).indices.items():
            chosen = index.select(np.asarray(columns[rows], dtype=np.int64))
            features[rows] = self.describe(chosen, self.read(str(text)))
        return features


@dataclass(frozen=True)
class _Training:
    """All known texts in the groups of their originals, their vectors, and the folds of the questions among them."""

    char: sparse.csr_array
    groups: Groups
    texts: Sequence[str]
    folds: Mapping[str, int]

    def pool_without(self, fold: int) -> sparse.csr_array:
        """Return the sum of each group's vectors without the questions of a fold."""
        folds = np.array([self.folds.get(text, _NO_FOLD) for text in self.texts])
        folds[self.groups.own] = _NO_FOLD
        rows = np.flatnonzero((folds != fold) | (folds == _NO_FOLD))
        return pool_vectors(self.char[rows], Groups(np.searchsorted(rows, self.groups.bounds).astype(np.int64)))


def _draw_folds(members: Mapping[str, Iterable[str]], count: int) -> dict[str, int]:
    """Return the fold of each question: those of an original have different ones, in turn."""
    folds: dict[str, int] = {}
    for known in members.values():
        for number, question in enumerate(known):
            folds.setdefault(question, number % count)
    return folds


def _check(state: dict[str, Any]) -> None:
    for name, vectorizer in (("own_word_", "word_"), ("own_char_", "char_"), ("pooled_char_", "char_")):
        state[name].check_format(full_check=True)
        if state[name].shape != (len(state["originals_"]), len(state[vectorizer].idf_)):
            raise ValueError(f"{name} does not fit the originals and the terms: train the model anew")
    if state["background_"].shape != (state["own_char_"].shape[1],):
        raise ValueError("background_ does not fit the terms: train the model anew")
