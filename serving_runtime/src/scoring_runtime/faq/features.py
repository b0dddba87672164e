"""Describes a pair (question, original) by a few similarities. Above `text`, below `matching` in `faq`.

An original is known by its own text and by the questions that repeated it in training. Besides cosine similarities to these,
a kernel ridge regression on the same similarities learns which words tell the originals apart.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import sparse
from sklearn.base import BaseEstimator, TransformerMixin

from scoring_runtime.faq.vectors import TextVectorizer

FEATURES = ("own_word", "own_char", "nearest_word", "nearest_char", "mean", "ridge", "ridge_lead")
"""Names of the columns, in order: `own` compares with the original's text, `nearest` and `mean` with its known duplicates."""

MAX_KNOWN_TEXTS = 10_000
"""Training holds a few square matrices with this side, of 0.8 GB each at most. The reference's data has 6,800 texts."""

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class OriginalIndex:
    """What `PairFeatures.index` computes once for m originals."""

    own_word: sparse.csr_array  # terms x m: TF-IDF of the originals' own texts
    own_char: sparse.csr_array
    classes: NDArray[np.int64]  # m: the original's row in `members_`; the last, empty row for one unseen in training


@dataclass(frozen=True)
class Question:
    """One question, alone and against everything known: n texts, C originals. The entry after the nth is an empty one."""

    word_vector: sparse.csr_array  # 1 x terms
    char_vector: sparse.csr_array
    word: Floats  # n + 1 cosine similarities of words
    char: Floats  # n + 1 of parts of words
    counts: Flags  # n + 1: whether the text may be used
    ridge: Floats  # C scores of the regression


class PairFeatures(TransformerMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """Transformer of pairs (columns Text_x: question, Text_y: original) into len(FEATURES) numbers each.

    `fit_transform` describes a training question's pairs without knowing the question: it would be its own nearest
    duplicate, and the classifier would learn to trust nothing but copies. About one duplicate of every original is left out
    with it, by folds: were it the only one, the right original could be told by having one duplicate fewer.
    """

    def __init__(self, penalty: float = 0.5, folds: int = 5) -> None:
        self.penalty = penalty
        self.folds = folds

    def fit(self, X: pd.DataFrame, y: ArrayLike) -> Self:  # noqa: N803  # scikit-learn's own name
        """Learn from n pairs and their labels (1: duplicate). Raises ValueError for no duplicates or too many texts."""
        self._learn(X, np.asarray(y))
        return self

    def fit_transform(self, X: pd.DataFrame, y: ArrayLike) -> Floats:  # noqa: N803
        """Learn, and return the n x len(FEATURES) features of the same pairs, each without its own question."""
        folds, ridge = self._learn(X, np.asarray(y))
        rows = {text: row for row, text in enumerate(self.texts_)}

        def measure(text: str) -> Question:
            question, row = self._measure(text), rows.get(text)
            return question if row is None else _leave_out(question, folds == folds[row], ridge[row])

        return self._describe_pairs(X, measure)

    def transform(self, X: pd.DataFrame) -> Floats:  # noqa: N803
        """Return the n x len(FEATURES) features of n pairs."""
        return self._describe_pairs(X, self._measure)

    def index(self, originals: Sequence[str]) -> OriginalIndex:
        """Compute what depends on the m originals alone, for `transform_against`."""
        classes = {text: row for row, text in enumerate(self.originals_)}
        rows = [classes.get(text, len(classes)) for text in originals]
        return OriginalIndex(
            own_word=_by_term(self.word_.transform(originals)),
            own_char=_by_term(self.char_.transform(originals)),
            classes=np.array(rows, dtype=np.int64),
        )

    def transform_against(self, index: OriginalIndex, question: str) -> Floats:
        """Return the m x len(FEATURES) features of one question with each of the m originals of `index`."""
        return self._describe(index, self._measure(question))

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        # scipy's native code trusts the indices of a sparse array, and a file may hold any. Raises ValueError.
        for name in ("word_by_term_", "char_by_term_"):
            if name in state:
                state[name].check_format(full_check=True)

    def _learn(self, pairs: pd.DataFrame, labels: NDArray[Any]) -> tuple[NDArray[np.int64], Floats]:
        """Set the fitted state. Return the fold of each known text and the regression's scores (n x C) without that fold."""
        repeats = pairs[labels == 1]
        if repeats.empty:
            raise ValueError("no pair is labelled 1: PairFeatures learns from questions known to repeat an original")
        self.originals_: list[str] = list(dict.fromkeys(pairs["Text_y"]))
        self.texts_: list[str] = list(dict.fromkeys([*self.originals_, *repeats["Text_x"]]))
        if len(self.texts_) > MAX_KNOWN_TEXTS:
            raise ValueError(f"{len(self.texts_)} different texts, {MAX_KNOWN_TEXTS} at most: keep fewer originals")
        self.word_ = TextVectorizer("word").fit(self.texts_)
        self.char_ = TextVectorizer("char_wb").fit(self.texts_)
        word, char = self.word_.transform(self.texts_), self.char_.transform(self.texts_)
        self.word_by_term_, self.char_by_term_ = _by_term(word), _by_term(char)
        owned, folds = self._find_members(repeats)
        return folds, self._regress(_compare(word, char), owned, folds)

    def _find_members(self, repeats: pd.DataFrame) -> tuple[Floats, NDArray[np.int64]]:
        """Set `members_`: per original the rows of its duplicates, padded with n.

        Return which original owns which text (n x C of 0 and 1), and each text's fold (-1 for the originals' own texts).
        """
        rows = {text: row for row, text in enumerate(self.texts_)}
        members: dict[str, dict[int, None]] = {text: {} for text in self.originals_}
        for question, original in zip(repeats["Text_x"], repeats["Text_y"], strict=True):
            members[original][rows[question]] = None
        self.members_ = np.full((len(members) + 1, max(map(len, members.values()))), len(rows), dtype=np.int64)
        owned, folds = np.eye(len(rows), len(members)), np.full(len(rows), -1, dtype=np.int64)
        for row, known in enumerate(map(list, members.values())):
            self.members_[row, : len(known)] = known
            owned[known, row] = 1.0
            folds[known] = np.arange(len(known)) % self.folds
        folds[: len(members)] = -1
        return owned, folds

    def _regress(self, similarity: Floats, owned: Floats, folds: NDArray[np.int64]) -> Floats:
        """Fit the regression in its dual form, which gives the scores without a fold in closed form.

        The block version of leave-one-out (Rasmussen and Williams, Gaussian Processes, equation 5.12).
        """
        inverse = np.linalg.inv(similarity + self.penalty * np.eye(len(similarity)))
        self.coefficients_ = inverse @ owned
        without = np.array(owned)
        for fold in range(self.folds):
            rows = np.flatnonzero(folds == fold)
            without[rows] -= np.linalg.solve(inverse[np.ix_(rows, rows)], self.coefficients_[rows])
        return without

    def _measure(self, text: str) -> Question:
        word_vector, char_vector = self.word_.transform([text]), self.char_.transform([text])
        word = (word_vector @ self.word_by_term_).toarray()[0]
        char = (char_vector @ self.char_by_term_).toarray()[0]
        return Question(
            word_vector,
            char_vector,
            word=np.append(word, 0.0),
            char=np.append(char, 0.0),
            counts=np.arange(len(word) + 1) < len(word),
            ridge=(word + char) / 2 @ self.coefficients_,
        )

    def _describe_pairs(self, pairs: pd.DataFrame, measure: Callable[[str], Question]) -> Floats:
        """Describe question by question, just as `transform_against` does, so that both give the same numbers."""
        columns, originals = pd.factorize(pairs["Text_y"])
        index = self.index(list(originals))
        features = np.empty((len(pairs), len(FEATURES)))
        for text, rows in pairs.groupby("Text_x", sort=False).indices.items():
            features[rows] = self._describe(index, measure(str(text)))[columns[rows]]
        return features

    def _describe(self, index: OriginalIndex, question: Question) -> Floats:
        members = self.members_[index.classes]
        word, char = question.word[members], question.char[members]
        known = np.maximum(question.counts[members].sum(axis=1), 1)
        return np.column_stack(
            (
                (question.word_vector @ index.own_word).toarray()[0],
                (question.char_vector @ index.own_char).toarray()[0],
                word.max(axis=1),
                char.max(axis=1),
                (word + char).sum(axis=1) / known / 2,
                np.append(question.ridge, 0.0)[index.classes],
                np.append(_lead(question.ridge), 0.0)[index.classes],
            )
        )


def _compare(word: sparse.csr_array, char: sparse.csr_array) -> Floats:
    """Return the similarity (n x n) of n texts: the mean of both cosines."""
    similarity: Floats = (word @ word.T).toarray()
    similarity += (char @ char.T).toarray()
    similarity /= 2
    return similarity


def _by_term(vectors: sparse.csr_array) -> sparse.csr_array:
    """Transpose n x terms: the few terms of a question then pick a few rows."""
    return sparse.csr_array(vectors.T)


def _lead(scores: Floats) -> Floats:
    """Return how far each score is ahead of the best of the others."""
    best = int(scores.argmax())
    others = np.full_like(scores, scores[best])
    others[best] = np.delete(scores, best).max(initial=0.0)
    return scores - others


def _leave_out(question: Question, left_out: Flags, ridge: Floats) -> Question:
    """Return the question as it would be measured had training not known the texts of `left_out` (n)."""
    counts = question.counts & ~np.append(left_out, False)
    return replace(question, word=question.word * counts, char=question.char * counts, counts=counts, ridge=ridge)
