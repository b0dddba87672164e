"""Trains the form that understands meaning: similarities of sentence embeddings. Beside `models`, above `encoder`."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from samples.faq.encoder import Encoder
from samples.faq.pairs import Pair, Split, pair_with_originals
from scoring_runtime.faq import Matcher, Original
from scoring_runtime.faq.embeddings import FEATURES, EmbeddingMatcher, Known, SentenceEncoder, Vectors
from scoring_runtime.faq.groups import Groups
from scoring_runtime.tensors import Tensors

FOLDS = 5
_UNLEARNT = np.ones(len(FEATURES))


@dataclass(frozen=True)
class EmbeddingModel:
    """An encoder, and what is known of the originals."""

    name: str
    encoder: Encoder
    known: Known
    originals: tuple[Original, ...]
    prepare: Callable[[str], str] = str

    def make_matcher(self, candidates: int | None = None) -> Matcher:
        """Return what the runtime answers questions with."""
        return EmbeddingMatcher(_open_encoder(self.encoder), self.known, candidates=candidates)


@dataclass(frozen=True)
class _Texts:
    """The known texts, group by group, and the fold of each: -1 for the originals' own."""

    texts: list[str]
    groups: Groups
    folds: NDArray[np.int64]


def train_embeddings(split: Split, encoder: Encoder) -> EmbeddingModel:
    """Encode all known texts, and learn how far to trust each similarity from pairs whose own question is left out."""
    listed = _list_texts(split)
    vectors = _encode(listed.texts, _open_encoder(encoder))
    known = Known(vectors, listed.groups, *_learn_weights(split, listed, vectors))
    originals = tuple(entry.original for entry in split.entries)
    return EmbeddingModel("sentence embeddings → logistic regression", encoder, known, originals)


def _open_encoder(encoder: Encoder) -> SentenceEncoder:
    session = onnxruntime.InferenceSession(encoder.model, providers=["CPUExecutionProvider"])

    def score(tensors: Tensors) -> Tensors:
        names = [output.name for output in session.get_outputs()]
        return dict(zip(names, session.run(names, dict(tensors)), strict=True))

    return SentenceEncoder(encoder.tokenizer.decode(), score)


def _list_texts(split: Split) -> _Texts:
    duplicates: dict[object, list[str]] = {entry.id: [] for entry in split.entries}
    for pair in split.train:
        duplicates[pair.entry.id].append(pair.duplicate.text)
    texts: list[str] = []
    folds: list[int] = []
    for entry in split.entries:
        repeats = duplicates[entry.id]
        texts += [entry.original.text, *repeats]
        folds += [-1, *(number % FOLDS for number in range(len(repeats)))]
    sizes = [1 + len(duplicates[entry.id]) for entry in split.entries]
    return _Texts(texts, Groups.measure(sizes), np.array(folds, dtype=np.int64))


def _encode(texts: Sequence[str], encoder: SentenceEncoder) -> Vectors:
    """Encode texts of like length together: the shorter ones of a batch are filled up to the longest."""
    order = sorted(range(len(texts)), key=lambda row: len(texts[row]))
    vectors = encoder.encode([texts[row] for row in order])
    ordered = np.empty_like(vectors)
    ordered[order] = vectors
    return ordered


def _learn_weights(split: Split, listed: _Texts, vectors: Vectors) -> tuple[NDArray[np.float64], float]:
    pairs = pair_with_originals(split)
    places = {entry.id: place for place, entry in enumerate(split.entries)}
    rows = {text: row for row, text in enumerate(listed.texts) if listed.folds[row] >= 0}
    features = np.empty((len(pairs), len(FEATURES)))
    by_question: dict[str, list[int]] = {}
    for number, pair in enumerate(pairs):
        by_question.setdefault(pair.duplicate.text, []).append(number)
    known = [_leave_out(listed, vectors, fold) for fold in range(FOLDS)]
    for text, numbers in by_question.items():
        chosen = np.array([places[pairs[number].entry.id] for number in numbers], dtype=np.int64)
        features[numbers] = known[listed.folds[rows[text]]].describe(vectors[rows[text]], chosen)
    return _regress(features, pairs)


def _leave_out(listed: _Texts, vectors: Vectors, fold: int) -> Known:
    rows = np.flatnonzero(listed.folds != fold)
    groups = Groups(np.searchsorted(rows, listed.groups.bounds).astype(np.int64))
    return Known(vectors[rows], groups, _UNLEARNT, 0.0)


def _regress(features: NDArray[np.float64], pairs: Sequence[Pair]) -> tuple[NDArray[np.float64], float]:
    means, scales = features.mean(axis=0), features.std(axis=0)
    regression = LogisticRegression().fit((features - means) / scales, [pair.label for pair in pairs])
    weights = regression.coef_[0] / scales
    return weights, float(regression.intercept_[0] - means @ weights)
