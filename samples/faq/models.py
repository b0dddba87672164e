"""The models of words that are compared: this sample's, and the reference's. Above `pairs`.

Both learn from the same pairs. The reference's gets its texts as the reference's preparation cleans them.
"""

import html
import re
from collections.abc import Callable
from dataclasses import dataclass

import lightgbm
import pandas as pd
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import FeatureUnion, Pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.class_weight import compute_sample_weight

from samples.faq.entries import Entry
from samples.faq.pairs import Split, pair_with_originals
from scoring_runtime.faq import Matcher, Original
from scoring_runtime.faq.features import PairFeatures
from scoring_runtime.faq.matching import FaqMatcher
from scoring_runtime.faq.selection import ColumnSelector

REFERENCE_TREES = 1000

_CODE = re.compile(r"<pre>.*?</pre>|```.*?```", re.DOTALL)
_LINK = re.compile(r"[a-z]+://\S+")
_TAG = re.compile(r"<[^>]+>")


@dataclass(frozen=True)
class Model:
    """A fitted pipeline with the originals as it knows them."""

    name: str
    pipeline: Pipeline
    originals: tuple[Original, ...]
    prepare: Callable[[str], str]  # of a question, before the pipeline gets it

    def make_matcher(self, candidates: int | None = None) -> Matcher:
        """Return what the runtime answers questions with: all originals, or so many candidates, get a score."""
        return FaqMatcher(self.pipeline, self.originals, candidates=candidates)


def train_model(split: Split) -> Model:
    """Fit this sample's model: similarities of a pair, weighed by a logistic regression."""
    pipeline = Pipeline(
        [("features", PairFeatures()), ("scale", StandardScaler()), ("classifier", LogisticRegression())]
    )
    pairs, labels = _make_frame(split, prepare=str, describe=lambda entry: entry.original.text)
    pipeline.fit(pairs, labels)
    return Model("similarities → logistic regression", pipeline, tuple(entry.original for entry in split.entries), str)


def train_reference(split: Split, trees: int = REFERENCE_TREES) -> Model:
    """Fit the reference's model with its parameters: TF-IDF of both texts, LightGBM, weights that balance the labels."""
    union = FeatureUnion(
        [
            (column, Pipeline([("select", ColumnSelector(column)), ("tfidf", TfidfVectorizer())]))
            for column in ("Text_x", "Text_y")
        ]
    )
    classifier = lightgbm.LGBMClassifier(n_estimators=trees, min_child_samples=20, verbosity=-1)
    pipeline = Pipeline([("features", union), ("model", classifier)])
    pairs, labels = _make_frame(split, prepare=clean_as_reference, describe=_describe_as_reference)
    pipeline.fit(pairs, labels, model__sample_weight=compute_sample_weight("balanced", labels))
    originals = tuple(Original(entry.id, entry.answer_id, _describe_as_reference(entry)) for entry in split.entries)
    return Model(f"TF-IDF → LightGBM, {trees} trees (reference)", pipeline, originals, clean_as_reference)


def clean_as_reference(text: str) -> str:
    """Return the text in lower case without code blocks, tags and links, as the reference's preparation does."""
    return html.unescape(_TAG.sub("", _LINK.sub("", _CODE.sub("", text)))).lower()


def _describe_as_reference(entry: Entry) -> str:
    return clean_as_reference(entry.asked)


def _make_frame(
    split: Split, *, prepare: Callable[[str], str], describe: Callable[[Entry], str]
) -> tuple[pd.DataFrame, list[int]]:
    pairs = pair_with_originals(split)
    described = {entry.id: describe(entry) for entry in split.entries}
    frame = pd.DataFrame(
        {
            "Text_x": [prepare(pair.duplicate.text) for pair in pairs],
            "Text_y": [described[pair.entry.id] for pair in pairs],
        }
    )
    return frame, [pair.label for pair in pairs]
