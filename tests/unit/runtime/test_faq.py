"""FAQ matching: the scores stay the pipeline's own, training does not leak, saved models hold trusted types only."""

import itertools
from collections.abc import Sequence
from copy import deepcopy
from functools import cache
from pathlib import Path
from time import process_time
from typing import Any

import joblib
import lightgbm
import numpy as np
import pandas as pd
import pytest
import skops.io
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import sparse
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.compose import ColumnTransformer
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import FeatureUnion, Pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from scoring_runtime.faq import TRUSTED_TYPES, Original, clean_text
from scoring_runtime.faq.features import FEATURES, PairFeatures
from scoring_runtime.faq.matching import SCORED_TOGETHER, FaqMatcher
from scoring_runtime.faq.postings import weigh_terms
from scoring_runtime.faq.selection import ColumnSelector
from scoring_runtime.faq.text import WORD_PATTERN
from scoring_runtime.faq.vectors import TextVectorizer

FAQ = {
    "How do I copy an array? I want a second array with the same items.": [
        "clone an array in javascript",
        "duplicate a list without changing the first",
        "let b = a changes a too, how to copy arr",
        "`slice()` or spread to copy items?",
    ],
    "How do I remove an item from an array? I know its value.": [
        "delete element from array",
        "drop one entry of a list by value",
        "js array remove item",
        "`splice` removes the wrong items",
    ],
    "How do I wait for a promise? My variable is a pending Promise.": [
        "result is Promise { <pending> }",
        "await does not work in my function",
        "how to get the value out of a promise",
        "sleep until fetch is done",
    ],
    "What does === mean? Is it other than ==?": [
        "triple equals or double equals",
        "== vs === in js",
        "strict equality operator",
        "why is 0 == '' true",
    ],
}
ORIGINALS = [Original(id=number, answer_id=f"a{number}", text=text) for number, text in enumerate(FAQ, start=1)]
TEXTS = list(FAQ)
WORDS = sorted({word for text in itertools.chain(FAQ, *FAQ.values()) for word in text.split()})
questions = st.one_of(st.text(max_size=80), st.lists(st.sampled_from(WORDS), max_size=12).map(" ".join))


def pairs_of(faq: dict[str, list[str]]) -> tuple[pd.DataFrame, pd.Series]:
    rows = [(question, text, text == own) for own, known in faq.items() for question in known for text in faq]
    pairs = pd.DataFrame(rows, columns=["Text_x", "Text_y", "Label"])
    return pairs[["Text_x", "Text_y"]], pairs["Label"].astype(int)


def own_pipeline() -> Pipeline:
    return Pipeline([("features", PairFeatures()), ("scale", StandardScaler()), ("model", LogisticRegression())])


def select(column: str, vectorizer: Any) -> Pipeline:
    return Pipeline([("select", ColumnSelector(column)), ("tfidf", vectorizer)])


def reference_pipeline() -> Pipeline:
    union = FeatureUnion([(column, select(column, TfidfVectorizer())) for column in ("Text_x", "Text_y")])
    trees = lightgbm.LGBMClassifier(n_estimators=30, min_child_samples=2, verbosity=-1, n_jobs=1)
    return Pipeline([("features", union), ("model", trees)])


def weighted_union() -> Pipeline:
    parts = [(column, select(column, TfidfVectorizer())) for column in ("Text_y", "Text_x")]
    union = FeatureUnion([*parts, ("unused", "drop")], transformer_weights={"Text_y": 0.25})
    return Pipeline([("features", union), ("model", LogisticRegression())])


def column_transformer(sparse_threshold: float) -> Pipeline:
    columns = ColumnTransformer(
        [
            ("question", TfidfVectorizer(), "Text_x"),
            ("original", CountVectorizer(), "Text_y"),
            ("none", "drop", ["Text_x"]),
        ],
        transformer_weights={"original": 2.0},
        sparse_threshold=sparse_threshold,
    )
    return Pipeline([("features", columns), ("model", LogisticRegression())])


def length_difference(pairs: pd.DataFrame) -> NDArray[np.float64]:
    difference = pairs["Text_x"].str.len() - pairs["Text_y"].str.len()
    return np.asarray(difference, dtype=np.float64)[:, None]


class HiddenReader(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Names one column among its parameters and reads another one too."""

    def __init__(self, column: str = "Text_x") -> None:
        self.column = column

    def fit(self, X: pd.DataFrame, y: Any = None) -> "HiddenReader":  # noqa: N803
        return self

    def transform(self, X: pd.DataFrame) -> NDArray[np.float64]:  # noqa: N803
        return length_difference(X)

    def __sklearn_is_fitted__(self) -> bool:
        return True


def mixing_pipeline(part: Any) -> Pipeline:
    return Pipeline([("features", FeatureUnion([("difference", part)])), ("model", LogisticRegression())])


SPLITTABLE = {
    "own": own_pipeline(),
    "reference": reference_pipeline(),
    "weighted union": weighted_union(),
    "sparse columns": column_transformer(1.0),
    "dense columns": column_transformer(0.0),
}
OTHERS = {
    "function": mixing_pipeline(FunctionTransformer(length_difference)),
    "hidden reader": mixing_pipeline(HiddenReader()),
    "one step": Pipeline([("all", own_pipeline())]),
}
PIPELINES = SPLITTABLE | OTHERS


@cache
def fitted(name: str) -> Pipeline:
    return PIPELINES[name].fit(*pairs_of(FAQ))


def predict(pipeline: Pipeline, question: str, texts: Sequence[str] = TEXTS) -> NDArray[np.float64]:
    pairs = pd.DataFrame({"Text_x": [question] * len(texts), "Text_y": list(texts)})
    return np.asarray(pipeline.predict_proba(pairs)[:, -1])


def score(matcher: FaqMatcher, question: str) -> NDArray[np.float64]:
    """Return the scores of all originals in order."""
    (scores,) = matcher.score([question])
    assert scores.rows is None
    return scores.probabilities


@pytest.mark.parametrize("name", PIPELINES)
@settings(max_examples=40, deadline=None)
@given(question=questions)
def test_scores_equal_predict_proba_for_any_question(name: str, question: str) -> None:
    pipeline = fitted(name)
    np.testing.assert_allclose(
        score(FaqMatcher(pipeline, ORIGINALS), question), predict(pipeline, question), rtol=0, atol=1e-12
    )


@settings(max_examples=40, deadline=None)
@given(question=questions)
def test_scores_equal_predict_proba_with_rows_of_terms_that_are_not_written_out(question: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("scoring_runtime.faq.matching.FEW_ORIGINALS", 0)
        matcher = FaqMatcher(fitted("own"), ORIGINALS)
    np.testing.assert_allclose(score(matcher, question), predict(fitted("own"), question), rtol=0, atol=1e-12)


@settings(max_examples=40, deadline=None)
@given(asked=st.lists(questions, min_size=1, max_size=2 * SCORED_TOGETHER + 1))
def test_questions_have_the_same_scores_in_company_as_alone(asked: list[str]) -> None:
    matcher = FaqMatcher(fitted("own"), ORIGINALS)
    together = [scores.probabilities for scores in matcher.score(asked)]
    np.testing.assert_array_equal(together, [score(matcher, question) for question in asked])


def test_questions_are_scored_together_only_where_they_gain_by_it() -> None:
    assert FaqMatcher(fitted("own"), ORIGINALS).max_batch_size == SCORED_TOGETHER
    assert FaqMatcher(fitted("own"), ORIGINALS, candidates=2).max_batch_size == 1
    assert FaqMatcher(fitted("reference"), ORIGINALS).max_batch_size == 1
    assert FaqMatcher(fitted("function"), ORIGINALS).max_batch_size == 1
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("scoring_runtime.faq.matching.FEW_ORIGINALS", 0)
        assert FaqMatcher(fitted("own"), ORIGINALS).max_batch_size == 1


@pytest.mark.parametrize("name", SPLITTABLE)
def test_originals_are_computed_once_for_a_splittable_pipeline(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    matcher = FaqMatcher(fitted(name), ORIGINALS)
    cleaned: list[str] = []
    analyze, find_terms = TfidfVectorizer.transform, TextVectorizer.find_terms

    def record(self: TfidfVectorizer, texts: Any) -> Any:
        cleaned.extend(texts)
        return analyze(self, texts)

    def record_one(self: TextVectorizer, text: str) -> Any:
        cleaned.append(text)
        return find_terms(self, text)

    monkeypatch.setattr(TfidfVectorizer, "transform", record)
    monkeypatch.setattr(TextVectorizer, "find_terms", record_one)
    matcher.match("copy an array")
    assert matcher.precomputed
    assert set(cleaned) == {"copy an array"}


@pytest.mark.parametrize("name", OTHERS)
def test_other_pipelines_score_all_pairs_and_say_so(name: str, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO"):
        matcher = FaqMatcher(fitted(name), ORIGINALS)
    assert not matcher.precomputed
    assert "transforms all originals again" in caplog.text


def test_match_gives_ids_as_they_came_best_first() -> None:
    matches = FaqMatcher(fitted("own"), ORIGINALS, top=2).match("remove a value from my array")
    assert matches[0][:2] == (2, "a2")
    assert len(matches) == 2
    assert matches[0][2] > matches[1][2]
    assert all(isinstance(probability, float) and 0 <= probability <= 1 for *_, probability in matches)


def test_match_keeps_the_originals_order_for_equal_scores() -> None:
    twins = [Original(id=name, answer_id=name, text=TEXTS[0]) for name in ("first", "second", "third")]
    assert [match[0] for match in FaqMatcher(fitted("own"), twins).match("copy")] == ["first", "second", "third"]


def test_match_gives_all_originals_when_top_is_larger() -> None:
    assert len(FaqMatcher(fitted("own"), ORIGINALS, top=50).match("copy")) == len(ORIGINALS)


def test_matcher_refuses_no_originals() -> None:
    with pytest.raises(ValueError, match="there are no originals to match with: give at least one"):
        FaqMatcher(fitted("own"), [])


def test_matcher_refuses_a_top_below_one() -> None:
    with pytest.raises(ValueError, match="top is 0: the number of answers must be at least 1"):
        FaqMatcher(fitted("own"), ORIGINALS, top=0)


def test_originals_unseen_in_training_are_scored_by_their_own_text() -> None:
    text = "How do I draw a circle on a canvas?"
    originals = [*ORIGINALS, Original(id=9, answer_id=9, text=text)]
    scores = score(FaqMatcher(fitted("own"), originals), "draw a circle on a canvas")
    assert scores.argmax() == len(ORIGINALS)
    np.testing.assert_allclose(scores, predict(fitted("own"), "draw a circle on a canvas", [*TEXTS, text]), atol=1e-12)


def test_training_question_does_not_count_for_itself() -> None:
    pairs, labels = pairs_of(FAQ)
    features = PairFeatures()
    while_training = pd.DataFrame(features.fit_transform(pairs, labels), columns=list(FEATURES))
    afterwards = pd.DataFrame(features.transform(pairs), columns=list(FEATURES))
    own = labels == 1
    assert (while_training.loc[own, "likelihood"] < afterwards.loc[own, "likelihood"]).all()


def test_training_features_equal_those_of_a_model_that_never_saw_the_fold() -> None:
    folds = 4
    pairs, labels = pairs_of(FAQ)
    whole = PairFeatures(folds=folds)
    while_training = whole.fit_transform(pairs, labels)
    for fold in range(folds):
        left_out = {question for known in FAQ.values() for question in known[fold::folds]}
        others = ~pairs["Text_x"].isin(left_out)
        blind = PairFeatures().fit(pairs[others], labels[others])
        # Terms and their weights come from all texts; only who repeats what is left out.
        shared = ("word_", "char_", "background_", "own_word_", "own_char_")
        texts = [clean_text(text) for own, known in FAQ.items() for text in (own, *known) if text not in left_out]
        sums = np.add.reduceat(whole.char_.transform(texts).toarray(), np.arange(0, len(texts), 4), axis=0)
        changed = {name: getattr(whole, name) for name in shared} | {"pooled_char_": sparse.csr_array(sums)}
        blind.__setstate__(blind.__getstate__() | changed)
        np.testing.assert_allclose(
            blind.transform(pairs[~others]), while_training[~others.to_numpy()], rtol=0, atol=1e-6
        )


@pytest.mark.parametrize("analyzer", ["word", "char_wb"])
@settings(max_examples=40, deadline=None)
@given(question=questions)
def test_vectors_are_those_of_scikit_learn(analyzer: str, question: str) -> None:
    texts = [clean_text(text) for text in itertools.chain(FAQ, *FAQ.values())]
    options: Any = {"word": {"token_pattern": WORD_PATTERN, "ngram_range": (1, 2)}, "char_wb": {"ngram_range": (3, 5)}}
    theirs = TfidfVectorizer(analyzer=analyzer, lowercase=False, sublinear_tf=True, **options[analyzer]).fit(texts)
    ours = TextVectorizer(analyzer).fit(texts)
    assert list(ours.vocabulary_) == list(theirs.get_feature_names_out())
    expected = theirs.transform([clean_text(question)]).toarray()
    np.testing.assert_allclose(ours.transform([clean_text(question)]).toarray(), expected, rtol=0, atol=1e-6)


def test_words_taken_apart_beforehand_give_the_same_vector() -> None:
    text = "clone a cloned array, cloning an array?"
    plain, prepared = (TextVectorizer("char_wb").fit([clean_text(text) for text in FAQ]) for _ in range(2))
    prepared.expect_words(["clone", "array", "unheard"])
    np.testing.assert_array_equal(prepared.transform([text]).toarray(), plain.transform([text]).toarray())


def test_features_are_cosines_with_the_texts_of_the_original() -> None:
    features = fitted("own")[0]
    index = features.index(TEXTS)
    found = pd.DataFrame(features.describe(index, features.read("remove an item of a list")), columns=list(FEATURES))
    texts = [clean_text(text) for text in FAQ]
    asked = features.word_.transform([clean_text("remove an item of a list")])
    cosines = (features.word_.transform(texts) @ asked.T).toarray()[:, 0]
    np.testing.assert_allclose(found["own_word"], cosines, atol=1e-6)


def test_questions_are_read_as_their_vectorizers_read_each() -> None:
    features = fitted("own")[0]
    texts = ["copy an array, copy it", "zzz", "array", "…"]
    several = features.read_all(texts)
    assert several.count == len(texts)
    for row, text in enumerate(texts):
        question = several.take(row)
        for found, vectorizer in ((question.word, features.word_), (question.char, features.char_)):
            expected = vectorizer.vectorize(clean_text(text))
            np.testing.assert_array_equal(found.terms, expected.terms)
            np.testing.assert_allclose(found.weights, expected.weights, rtol=1e-15)


def test_places_of_terms_take_32_bits_also_with_originals_that_were_not_learned_from() -> None:
    features = fitted("own")[0]
    index = features.index([*TEXTS, "how do I sort a list"])
    gains = weigh_terms(index, np.ones(len(FEATURES))).matrix
    for matrix in (index.word.rows, index.char.rows, index.likelihood.gains.rows, gains):
        assert matrix.indices.dtype == matrix.indptr.dtype == np.int32


def test_likelihood_is_the_smoothed_language_model_s() -> None:
    features = fitted("own")[0]
    question = features.read("wait for fetch")
    found = features.describe(features.index(TEXTS), question)[:, -1]
    texts = [clean_text(text) for own, known in FAQ.items() for text in (own, *known)]
    counts = np.add.reduceat(features.char_.transform(texts).toarray(), np.arange(0, len(texts), 5), axis=0)
    counts = counts.astype(np.float64)
    total, mu = counts.sum(axis=0), features.smoothing
    models = (counts + mu * total / total.sum()) / (counts.sum(axis=1, keepdims=True) + mu)
    asked = question.char.spread(len(total))
    shares = np.log(models / (total / total.sum())) @ asked
    np.testing.assert_allclose(found, shares, rtol=1e-4)


def test_pair_features_refuse_training_without_duplicates() -> None:
    pairs, labels = pairs_of(FAQ)
    with pytest.raises(ValueError, match="no pair is labelled 1"):
        PairFeatures().fit(pairs, labels * 0)


def test_pair_features_learn_from_a_single_original() -> None:
    text, known = next(iter(FAQ.items()))
    pairs = pd.DataFrame({"Text_x": known, "Text_y": text})
    assert np.isfinite(PairFeatures().fit_transform(pairs, np.ones(len(known)))).all()


def test_pair_features_can_be_cloned_for_a_search_of_parameters() -> None:
    assert clone(PairFeatures(smoothing=2.0, folds=3)).get_params() == {"smoothing": 2.0, "folds": 3}


@pytest.mark.parametrize("name", ["own", "reference", "sparse columns"])
def test_saved_pipeline_loads_with_trusted_types_only(name: str, tmp_path: Path) -> None:
    path = tmp_path / "pipeline.skops"
    skops.io.dump(fitted(name), path)
    loaded = skops.io.load(path, trusted=list(TRUSTED_TYPES))
    np.testing.assert_array_equal(predict(loaded, "copy of a list"), predict(fitted(name), "copy of a list"))
    assert FaqMatcher(loaded, ORIGINALS).match("copy") == FaqMatcher(fitted(name), ORIGINALS).match("copy")


def test_pipeline_survives_joblib(tmp_path: Path) -> None:
    joblib.dump(fitted("own"), tmp_path / "pipeline.joblib")
    loaded = joblib.load(tmp_path / "pipeline.joblib")
    np.testing.assert_array_equal(predict(loaded, "copy of a list"), predict(fitted("own"), "copy of a list"))


def test_trusted_types_hold_no_function() -> None:
    names = [name.rpartition(".")[2].lstrip("_") for name in TRUSTED_TYPES]
    assert all(name[0].isupper() or name == "csr_array" for name in names)


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("<p>Copy   an <strong>Array</strong></p>", "copy an array"),
        ('See <a href="https://example.com/a">this answer</a> or https://example.com/b.', "see this answer or"),
        ("<pre><code>if (a &lt; b) {}</code></pre>", "if (a < b) {}"),
        ("use addEventListener", "use addeventlistener add event listener"),
        ("JavaScript and a===b", "javascript and a===b"),
        ("", ""),
    ],
)
def test_clean_text_keeps_words_and_code(text: str, cleaned: str) -> None:
    assert clean_text(text) == cleaned


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("$fooBar $$ .http://a b", "$foobar foo bar $$ . b"),
        ("x_http://a 1http://b 1.http://c", "x_http://a 1http://b 1."),
        ("&#" + "1" * 5000 + "; a", "a"),
    ],
)
def test_clean_text_keeps_what_stands_before_a_name_or_a_link(text: str, cleaned: str) -> None:
    assert clean_text(text) == cleaned


@pytest.mark.parametrize("part", ["a$", "a.", "aA$", "$", "a://", "<a ", "&#1"])
def test_clean_text_takes_time_in_proportion_to_the_length(part: str) -> None:
    started = process_time()
    clean_text(part * (200_000 // len(part)))
    # A quadratic pattern takes minutes for this, a linear one some 20 ms.
    assert process_time() - started < 5


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda state: state["own_word_"].indices.__setitem__(0, 10**6), "indices"),
        (lambda state: state.update(originals_='["one"]'), "own_word_ does not fit"),
        (lambda state: state.update(pooled_char_=state["own_word_"]), "pooled_char_ does not fit"),
        (lambda state: state.update(background_=np.ones(1)), "background_ does not fit"),
    ],
)
def test_pair_features_whose_arrays_do_not_fit_are_refused(change: Any, message: str) -> None:
    features = PairFeatures().fit(*pairs_of(FAQ))
    state: Any = deepcopy(features.__getstate__())
    change(state)
    with pytest.raises(ValueError, match=message):
        PairFeatures().__setstate__(state)


def test_vectorizer_with_other_weights_than_terms_is_refused() -> None:
    state = TextVectorizer().fit(["some words"]).__getstate__()
    with pytest.raises(ValueError, match="3 weights for 4 terms"):
        TextVectorizer().__setstate__({**state, "terms": "a\nb\nc\nd"})
