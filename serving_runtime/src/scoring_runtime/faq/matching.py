"""Ranks all originals for one question, with what depends on the originals alone computed once. Top of `faq`.

The scores are the pipeline's own: those that `predict_proba` gives for the pairs of the question with every original.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.pipeline import Pipeline

from scoring_runtime.faq.blocks import Assemble, prepare_blocks
from scoring_runtime.faq.features import PairFeatures

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Original:
    """A question of the FAQ. Its ids are those of the question and of its answer; they are given back as they came."""

    id: int | str
    answer_id: int | str
    text: str


class FaqMatcher:
    """Answers a question with the originals it most probably repeats.

    Two shapes of pipeline let the originals' features be computed once, at construction: a first step `PairFeatures`, and
    a first step (FeatureUnion or ColumnTransformer) whose parts each read one of the columns Text_x and Text_y. Any other
    pipeline works too, but transforms all pairs for each question; `precomputed` tells which it is.
    """

    def __init__(self, pipeline: Pipeline, originals: Sequence[Original], top: int = 3) -> None:
        """`pipeline` is fitted; its `predict_proba` gives a duplicate's probability last. Raises ValueError for no originals."""
        if not originals:
            raise ValueError("there are no originals to match with: give at least one")
        if top < 1:
            raise ValueError(f"top is {top}: the number of answers must be at least 1")
        self.originals = tuple(originals)
        self.top = top
        self._texts = [original.text for original in originals]
        assemble = _prepare(pipeline, self._texts)
        self.precomputed = assemble is not None
        self._assemble = assemble or self._pair
        self._classifier = pipeline[1:] if self.precomputed else pipeline
        if not self.precomputed:
            _log.info(
                "the pipeline's first step can't be split by column: each question transforms all originals again"
            )

    def match(self, question: str) -> list[tuple[int | str, int | str, float]]:
        """Return (original id, answer id, probability) of the `top` most probable originals, best first."""
        return self.rank(self.score(question))

    def rank(self, scores: NDArray[np.float64]) -> list[tuple[int | str, int | str, float]]:
        """Return what `match` does for the scores of `score`."""
        best = np.argsort(-scores, kind="stable")[: self.top]
        return [(self.originals[i].id, self.originals[i].answer_id, float(scores[i])) for i in best]

    def score(self, question: str) -> NDArray[np.float64]:
        """Return the probability, for each original in order, that `question` repeats it."""
        probabilities = self._classifier.predict_proba(self._assemble(question))
        return np.asarray(probabilities, dtype=np.float64)[:, -1]

    def _pair(self, question: str) -> pd.DataFrame:
        return pd.DataFrame({"Text_x": question, "Text_y": self._texts})


def _prepare(pipeline: Pipeline, texts: Sequence[str]) -> Assemble | None:
    """Return what assembles a question's features from prepared originals; None when the pipeline doesn't allow it."""
    if not isinstance(pipeline, Pipeline) or len(pipeline) == 1:
        return None
    first = pipeline[0]
    if not isinstance(first, PairFeatures):
        return prepare_blocks(first, texts)
    index = first.index(texts)
    return lambda question: first.transform_against(index, question)
