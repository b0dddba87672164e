"""Ranks originals for a question, with what depends on the originals alone computed once. Top of `faq`, for pipelines.

The scores are the pipeline's own: those that `predict_proba` gives for the pairs of the question with every original.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.pipeline import Pipeline

from scoring_runtime.faq.blocks import prepare_blocks
from scoring_runtime.faq.classifiers import Classify, WeightedSum, prepare_classifier
from scoring_runtime.faq.features import FEATURES, OriginalIndex, PairFeatures
from scoring_runtime.faq.originals import Match, Original, Scores
from scoring_runtime.faq.postings import Gains, list_terms, weigh_terms
from scoring_runtime.faq.retrieval import find_champions

FEW_ORIGINALS = 500
"""Up to so many, dense rows of the frequent terms are faster and small enough: 20 MiB for a vocabulary of 75,000."""

_log = logging.getLogger(__name__)

SCORED_TOGETHER = 8
"""Questions whose terms are counted, weighed and added up at once where NumPy's calls take longer than what they compute."""

Score = Callable[[Sequence[str]], list[Scores]]


class FaqMatcher:
    """Answers a question with the originals it most probably repeats.

    Two shapes of pipeline let the originals' features be computed once, at construction: a first step `PairFeatures`, and
    a first step (FeatureUnion or ColumnTransformer) whose parts each read one of the columns Text_x and Text_y. Any other
    pipeline works too, but transforms all pairs for each question; `precomputed` tells which it is.

    With `candidates`, only so many originals get a score: those that share the weightiest terms with the question. Only
    a first step `PairFeatures` can tell; other pipelines score all.
    """

    def __init__(
        self, pipeline: Pipeline, originals: Sequence[Original], top: int = 3, *, candidates: int | None = None
    ) -> None:
        """`pipeline` is fitted; its `predict_proba` gives a duplicate's probability last. Raises ValueError for no originals."""
        if not originals:
            raise ValueError("there are no originals to match with: give at least one")
        if top < 1:
            raise ValueError(f"top is {top}: the number of answers must be at least 1")
        self.originals = tuple(originals)
        self.top = top
        texts = [original.text for original in originals]
        prepared = _prepare(pipeline, texts, candidates)
        self.precomputed = prepared is not None
        self._score = prepared.score if prepared else _pair_with_all(pipeline, texts)
        self.max_batch_size = prepared.together if prepared else 1

    def match(self, question: str) -> list[Match]:
        """Return (original id, answer id, probability) of the `top` most probable originals, best first."""
        return self.rank(self._score([question])[0])

    def rank(self, scores: Scores) -> list[Match]:
        """Return what `match` does for the scores of a question."""
        found = zip(*scores.find_best(self.top), strict=True)
        return [(self.originals[row].id, self.originals[row].answer_id, float(share)) for row, share in found]

    def score(self, questions: Sequence[str]) -> list[Scores]:
        """Return the scores of each question."""
        starts = range(0, len(questions), SCORED_TOGETHER)
        return [one for start in starts for one in self._score(questions[start : start + SCORED_TOGETHER])]


@dataclass(frozen=True)
class _Prepared:
    """What scores a few questions against prepared originals, and how many of them gain from being scored together."""

    score: Score
    together: int = 1


def _prepare(pipeline: Pipeline, texts: Sequence[str], candidates: int | None) -> _Prepared | None:
    """Return what scores a question against prepared originals; None when the pipeline doesn't allow it."""
    splittable = isinstance(pipeline, Pipeline) and len(pipeline) > 1
    if splittable and isinstance(pipeline[0], PairFeatures):
        return _prepare_features(pipeline, texts, candidates)
    if candidates is not None:
        _log.info("only a pipeline whose first step is PairFeatures can find candidates: all originals are scored")
    assemble = prepare_blocks(pipeline[0], texts) if splittable else None
    if assemble is None:
        return None
    return _one_by_one(lambda question: Scores(_take_last(pipeline[1:].predict_proba(assemble(question)))))


def _prepare_features(pipeline: Pipeline, texts: Sequence[str], candidates: int | None) -> _Prepared:
    first: PairFeatures = pipeline[0]
    index = first.index(texts)
    classify = prepare_classifier(pipeline[1:], first.describe(index, first.read(texts[0])))
    wanted = candidates if candidates is not None and candidates < len(texts) else None
    if isinstance(classify, WeightedSum):
        return _prepare_sums(first, index, classify, wanted)
    return _prepare_descriptions(first, index, classify, wanted)


def _prepare_sums(
    first: PairFeatures, index: OriginalIndex, classify: WeightedSum, candidates: int | None
) -> _Prepared:
    gains = weigh_terms(index, classify.weights)
    if candidates is None:
        return _prepare_all_sums(first, gains, classify)
    champions = find_champions(gains)

    def score(question: str) -> Scores:
        (terms,) = list_terms(first.read_all([question]))
        chosen = champions.find(terms, candidates)
        return Scores(classify.conclude(gains.add_up(terms, chosen)), chosen)

    return _one_by_one(score)


def _prepare_all_sums(first: PairFeatures, gains: Gains, classify: WeightedSum) -> _Prepared:
    has_few = len(gains.losses) <= FEW_ORIGINALS
    postings = gains.turn().write_out() if has_few else gains.turn()

    def score(questions: Sequence[str]) -> list[Scores]:
        return [Scores(row) for row in classify.conclude(postings.add_up(list_terms(first.read_all(questions))))]

    return _Prepared(score, SCORED_TOGETHER if has_few else 1)


def _prepare_descriptions(
    first: PairFeatures, index: OriginalIndex, classify: Classify, candidates: int | None
) -> _Prepared:
    if candidates is None:
        by_term = index.turn()
        return _one_by_one(lambda question: Scores(classify(first.describe(by_term, first.read(question)))))
    champions = find_champions(weigh_terms(index, np.ones(len(FEATURES))))

    def score(question: str) -> Scores:
        questions = first.read_all([question])
        (terms,) = list_terms(questions)
        chosen = champions.find(terms, candidates)
        return Scores(classify(first.describe(index.select(chosen), questions.take(0))), chosen)

    return _one_by_one(score)


def _one_by_one(score: Callable[[str], Scores]) -> _Prepared:
    return _Prepared(lambda questions: [score(question) for question in questions])


def _pair_with_all(pipeline: Pipeline, texts: Sequence[str]) -> Score:
    _log.info("the pipeline's first step can't be split by column: each question transforms all originals again")
    return lambda questions: [
        Scores(_take_last(pipeline.predict_proba(pd.DataFrame({"Text_x": question, "Text_y": texts}))))
        for question in questions
    ]


def _take_last(probabilities: object) -> NDArray[np.float64]:
    return np.asarray(probabilities, dtype=np.float64)[:, -1]
