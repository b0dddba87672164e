"""Ranks originals for a question, with what depends on the originals alone computed once. Top of `faq`, for pipelines.

The scores are the pipeline's own: those that `predict_proba` gives for the pairs of the question with every original.
"""

import logging
from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.pipeline import Pipeline

from scoring_runtime.faq.blocks import prepare_blocks
from scoring_runtime.faq.classifiers import Classify, WeightedSum, prepare_classifier
from scoring_runtime.faq.features import FEATURES, OriginalIndex, PairFeatures
from scoring_runtime.faq.originals import Match, Original, Scores
from scoring_runtime.faq.postings import list_terms, weigh_terms
from scoring_runtime.faq.retrieval import find_champions

FEW_ORIGINALS = 500
"""Up to so many, dense rows of the frequent terms are faster and small enough: 20 MiB for a vocabulary of 75,000."""

_log = logging.getLogger(__name__)

Score = Callable[[str], Scores]


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
        score = _prepare(pipeline, texts, candidates)
        self.precomputed = score is not None
        self._score = score or _pair_with_all(pipeline, texts)

    def match(self, question: str) -> list[Match]:
        """Return (original id, answer id, probability) of the `top` most probable originals, best first."""
        return self.rank(self._score(question))

    def rank(self, scores: Scores) -> list[Match]:
        """Return what `match` does for the scores of a question."""
        found = zip(*scores.find_best(self.top), strict=True)
        return [(self.originals[row].id, self.originals[row].answer_id, float(share)) for row, share in found]

    def score(self, questions: Sequence[str]) -> list[Scores]:
        """Return the scores of each question."""
        return [self._score(question) for question in questions]


def _prepare(pipeline: Pipeline, texts: Sequence[str], candidates: int | None) -> Score | None:
    """Return what scores a question against prepared originals; None when the pipeline doesn't allow it."""
    splittable = isinstance(pipeline, Pipeline) and len(pipeline) > 1
    if splittable and isinstance(pipeline[0], PairFeatures):
        return _prepare_features(pipeline, texts, candidates)
    if candidates is not None:
        _log.info("only a pipeline whose first step is PairFeatures can find candidates: all originals are scored")
    assemble = prepare_blocks(pipeline[0], texts) if splittable else None
    if assemble is None:
        return None
    return lambda question: Scores(_take_last(pipeline[1:].predict_proba(assemble(question))))


def _prepare_features(pipeline: Pipeline, texts: Sequence[str], candidates: int | None) -> Score:
    first: PairFeatures = pipeline[0]
    index = first.index(texts)
    classify = prepare_classifier(pipeline[1:], first.describe(index, first.read(texts[0])))
    wanted = candidates if candidates is not None and candidates < len(texts) else None
    if isinstance(classify, WeightedSum):
        return _prepare_sums(first, index, classify, wanted)
    return _prepare_descriptions(first, index, classify, wanted)


def _prepare_sums(first: PairFeatures, index: OriginalIndex, classify: WeightedSum, candidates: int | None) -> Score:
    gains = weigh_terms(index, classify.weights)
    if candidates is None:
        postings = gains.turn()
        if len(gains.losses) <= FEW_ORIGINALS:
            postings = postings.write_out()
        return lambda question: Scores(classify.conclude(postings.add_up(list_terms(first.read(question)))))
    champions = find_champions(gains)

    def score(question: str) -> Scores:
        terms = list_terms(first.read(question))
        chosen = champions.find(terms, candidates)
        return Scores(classify.conclude(gains.add_up(terms, chosen)), chosen)

    return score


def _prepare_descriptions(
    first: PairFeatures, index: OriginalIndex, classify: Classify, candidates: int | None
) -> Score:
    if candidates is None:
        by_term = index.turn()
        return lambda question: Scores(classify(first.describe(by_term, first.read(question))))
    champions = find_champions(weigh_terms(index, np.ones(len(FEATURES))))

    def score(question: str) -> Scores:
        read = first.read(question)
        chosen = champions.find(list_terms(read), candidates)
        return Scores(classify(first.describe(index.select(chosen), read)), chosen)

    return score


def _pair_with_all(pipeline: Pipeline, texts: Sequence[str]) -> Score:
    _log.info("the pipeline's first step can't be split by column: each question transforms all originals again")
    return lambda question: Scores(
        _take_last(pipeline.predict_proba(pd.DataFrame({"Text_x": question, "Text_y": texts})))
    )


def _take_last(probabilities: object) -> NDArray[np.float64]:
    return np.asarray(probabilities, dtype=np.float64)[:, -1]
