"""Ranks originals by what a question means: sentence embeddings of the known texts, and of the question. Top of `faq`.

An encoder turns a text into a vector of length 1, so that texts with the same meaning point the same way though they share no
word. A pair (question, original) is described by two cosine similarities: with the original's own text, and with the nearest of
the questions known to repeat it. A logistic regression learnt in training weighs them.
Needs NumPy and tokenizers, neither scikit-learn nor pandas.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from scoring_runtime.faq.groups import Groups, Rows
from scoring_runtime.faq.originals import Scores
from scoring_runtime.tensors import Tensors

FEATURES = ("own", "nearest")
OUTPUT = "embedding"
"""The name of the encoder's output: float32 (n, width), each of length 1."""
BATCH = 8
"""Questions encoded at once. They read the weights together; from there on, more only wait for each other."""

Vectors = NDArray[np.float32]
Floats = NDArray[np.float64]
Score = Callable[[Tensors], Tensors]
"""What a scorer does: named tensors in, named tensors out."""


@dataclass(frozen=True)
class Known:
    """The embeddings of all known texts, by the group of their original, and what was learnt of the similarities."""

    vectors: Vectors  # n x width
    groups: Groups  # m
    weights: Floats  # as FEATURES
    shift: float

    def check(self) -> None:
        """Raise ValueError for arrays that do not fit each other."""
        if self.vectors.ndim != 2 or self.vectors.dtype != np.float32:  # noqa: PLR2004  # texts and width
            raise ValueError("the vectors are not float32 of the shape (texts, width)")
        if self.weights.shape != (len(FEATURES),):
            raise ValueError(f"there are {self.weights.size} weights instead of {len(FEATURES)}")
        self.groups.check(len(self.vectors))

    def describe(self, question: Vectors, chosen: Rows | None = None) -> Floats:
        """Return the features (m x 2, of the chosen originals alone if given) of one question's vector (width)."""
        groups, vectors = self.groups, self.vectors
        if chosen is not None:
            groups, rows = groups.select(chosen)
            vectors = vectors[rows]
        own, others = groups.split(vectors @ question)
        return np.column_stack((own, groups.find_largest(others))).astype(np.float64)

    def classify(self, features: Floats) -> Floats:
        """Return the probabilities (m) of a duplicate."""
        logits = features @ self.weights + self.shift
        probabilities: Floats = 1 / (1 + np.exp(-np.clip(logits, -700, 700)))
        return probabilities

    def make_prototypes(self) -> Vectors:
        """Return one vector (m x width) per original, whose product with a question's comes near to the logit.

        The nearest duplicate is not known without the question; the mean of all stands for it.
        """
        own, nearest = self.weights
        counts = np.maximum(np.diff(self.groups.bounds) - 1, 1)
        weights = np.repeat(nearest / counts, np.diff(self.groups.bounds)).astype(np.float32)
        weights[self.groups.own] = own
        prototypes: Vectors = np.add.reduceat(self.vectors * weights[:, None], self.groups.own, axis=0)
        return prototypes

    def save(self, file: BinaryIO) -> None:
        """Write the arrays as an .npz file."""
        np.savez(file, vectors=self.vectors, bounds=self.groups.bounds, weights=self.weights, shift=self.shift)


def load_known(path: Path) -> Known:
    """Read what `save` wrote; no code of the file runs. Raises ValueError, KeyError, OSError or zipfile.BadZipFile."""
    with np.load(path, allow_pickle=False) as arrays:
        known = Known(arrays["vectors"], Groups(arrays["bounds"]), arrays["weights"], float(arrays["shift"]))
    known.check()
    return known


class SentenceEncoder:
    """A tokenizer and an encoder; turns texts into vectors of length 1."""

    def __init__(self, tokenizer: str, score: Score) -> None:
        """`tokenizer` is JSON; `score` takes input_ids and attention_mask, int64 (n, tokens). Raises ValueError."""
        try:
            self._tokenizer = Tokenizer.from_str(tokenizer)
        except Exception as error:  # tokenizers raises nothing narrower
            raise ValueError(f"the tokenizer is not JSON as the package tokenizers saves it: {error}") from error
        self._tokenizer.enable_padding()
        self._score = score

    def encode(self, texts: Sequence[str]) -> Vectors:
        """Return the vectors, n x width. Raises KeyError when the encoder has no output of the name `embedding`."""
        parts = [self._encode(texts[start : start + BATCH]) for start in range(0, len(texts), BATCH)]
        return np.concatenate(parts)

    def _encode(self, texts: Sequence[str]) -> Vectors:
        read = self._tokenizer.encode_batch_fast(list(texts))
        tensors = {
            "input_ids": np.array([tokens.ids for tokens in read], dtype=np.int64),
            "attention_mask": np.array([tokens.attention_mask for tokens in read], dtype=np.int64),
        }
        return np.asarray(self._score(tensors)[OUTPUT], dtype=np.float32)


class EmbeddingMatcher:
    """Scores questions against the originals of `known`; with `candidates`, those alone whose prototypes are nearest.

    Questions that are encoded together read the encoder's weights together.
    """

    max_batch_size = BATCH

    def __init__(self, encoder: SentenceEncoder, known: Known, *, candidates: int | None = None) -> None:
        self._encoder = encoder
        self._known = known
        self._candidates = candidates if candidates and candidates < len(known.groups.own) else None
        self._prototypes = known.make_prototypes() if self._candidates else None

    def score(self, questions: Sequence[str]) -> list[Scores]:
        """Return the scores of each question."""
        return [self._compare(vector) for vector in self._encoder.encode(questions)]

    def _compare(self, question: Vectors) -> Scores:
        known = self._known
        if self._prototypes is None or self._candidates is None:
            return Scores(known.classify(known.describe(question)))
        nearness = self._prototypes @ question
        chosen = np.sort(np.argpartition(nearness, -self._candidates)[-self._candidates :])
        return Scores(known.classify(known.describe(question, chosen)), chosen)
