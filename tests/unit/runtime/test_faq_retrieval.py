"""Candidates: few originals get a score, and it is the one that they would get among all."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier

from scoring_runtime.faq import Original, Scores
from scoring_runtime.faq.features import PairFeatures
from scoring_runtime.faq.matching import FaqMatcher

COUNT, CANDIDATES, QUESTIONS = 400, 20, 200


def make_text(generator: np.random.Generator, topic: int, length: int) -> str:
    """Return words, half of them the topic's own and half drawn from all as often as words occur in texts."""
    own = [f"topic{topic}word{number}" for number in generator.integers(8, size=length // 2)]
    shared = [f"word{number}" for number in generator.zipf(1.3, size=length // 2) % 2000]
    return " ".join(generator.permutation(own + shared))


def make_faq() -> tuple[list[Original], pd.DataFrame, NDArray[np.int64]]:
    generator = np.random.default_rng(7)
    originals = [Original(topic, topic, make_text(generator, topic, 20)) for topic in range(COUNT)]
    rows = []
    for topic in range(COUNT):
        for _ in range(2):
            question = make_text(generator, topic, 8)
            others = generator.choice(COUNT, size=4, replace=False)
            rows += [(question, originals[row].text, int(row == topic)) for row in {topic, *others.tolist()}]
    pairs = pd.DataFrame(rows, columns=["Text_x", "Text_y", "Label"])
    return originals, pairs[["Text_x", "Text_y"]], pairs["Label"].to_numpy(dtype=np.int64)


@pytest.fixture(scope="module")
def faq() -> Any:
    return make_faq()


@pytest.fixture(scope="module")
def pipeline(faq: Any) -> Pipeline:
    _, pairs, labels = faq
    steps = [("features", PairFeatures()), ("scale", StandardScaler()), ("model", LogisticRegression())]
    return Pipeline(steps).fit(pairs, labels)


@pytest.fixture(scope="module")
def asked() -> list[str]:
    generator = np.random.default_rng(8)
    return [make_text(generator, int(topic), 8) for topic in generator.integers(COUNT, size=QUESTIONS)]


def test_candidates_get_the_scores_that_they_get_among_all(faq: Any, pipeline: Pipeline, asked: list[str]) -> None:
    everything = FaqMatcher(pipeline, faq[0]).score(asked)
    found = FaqMatcher(pipeline, faq[0], candidates=CANDIDATES).score(asked)
    for few, every in zip(found, everything, strict=True):
        assert few.rows is not None
        assert len(few.rows) == CANDIDATES
        np.testing.assert_allclose(few.probabilities, every.probabilities[few.rows], rtol=0, atol=1e-12)


def test_best_original_is_among_the_candidates(faq: Any, pipeline: Pipeline, asked: list[str]) -> None:
    exact, few = FaqMatcher(pipeline, faq[0]), FaqMatcher(pipeline, faq[0], candidates=CANDIDATES)
    pairs = [(exact.match(question), few.match(question)) for question in asked]
    assert np.mean([every[0] == found[0] for every, found in pairs]) >= 0.99


def test_candidates_are_found_for_a_classifier_that_is_no_weighted_sum(faq: Any, asked: list[str]) -> None:
    steps = [("features", PairFeatures()), ("model", DecisionTreeClassifier(max_depth=4, random_state=0))]
    pipeline = Pipeline(steps).fit(faq[1], faq[2])
    (few,) = FaqMatcher(pipeline, faq[0], candidates=CANDIDATES).score(asked[:1])
    (every,) = FaqMatcher(pipeline, faq[0]).score(asked[:1])
    np.testing.assert_allclose(few.probabilities, every.probabilities[few.rows], rtol=0, atol=1e-12)


def test_question_without_known_terms_is_scored_against_some(faq: Any, pipeline: Pipeline) -> None:
    assert len(FaqMatcher(pipeline, faq[0], candidates=CANDIDATES).match("???")) == 3


def test_as_many_candidates_as_originals_are_all(faq: Any, pipeline: Pipeline, asked: list[str]) -> None:
    (scores,) = FaqMatcher(pipeline, faq[0], candidates=COUNT).score(asked[:1])
    assert scores.rows is None


@pytest.mark.parametrize("rows", [None, np.array([7, 3, 5, 1])])
def test_best_scores_come_first_and_equal_ones_by_row(rows: Any) -> None:
    best, shares = Scores(np.array([0.5, 0.9, 0.1, 0.5]), rows).find_best(3)
    assert best.tolist() == ([1, 0, 3] if rows is None else [3, 1, 7])
    assert shares.tolist() == [0.9, 0.5, 0.5]
