"""The two models of the tabular sample: a classifier of rows of mixed types, and one of texts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sklearn.compose import ColumnTransformer
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import LeaveOneOut, cross_val_score, train_test_split
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from samples.tabular.tables import COLUMNS, MESSAGES, make_parcels

PARCELS = 4_000
TEST_SHARE = 0.25


@dataclass(frozen=True)
class Trained:
    """A fitted pipeline, an example for its manifest as `input` of a request, and how good it is.

    `accuracy` is the share of right answers on items that it has not seen, `baseline` that of always answering the most
    frequent class.
    """

    name: str
    pipeline: Pipeline
    example: Sequence[Mapping[str, Any]] | Sequence[str]
    accuracy: float
    baseline: float


def train_table(seed: int) -> Trained:
    """Train on made-up parcels: will one be late? Numbers with gaps, kinds, a flag and words, each with its own steps."""
    table = make_parcels(PARCELS, seed)
    train, test = train_test_split(table, test_size=TEST_SHARE, random_state=seed)
    columns = ColumnTransformer(
        [
            ("numbers", make_pipeline(SimpleImputer(), StandardScaler()), ["distance_km", "weight_kg", "stops"]),
            ("kinds", OneHotEncoder(handle_unknown="ignore"), ["carrier", "weekend"]),
            ("words", TfidfVectorizer(), "remark"),
        ]
    )
    pipeline = Pipeline([("columns", columns), ("classifier", LogisticRegression())])
    pipeline.fit(train[list(COLUMNS)], train["outcome"])
    rows = test[list(COLUMNS)]
    return Trained(
        "parcels",
        pipeline,
        example=rows.dropna().head(2).to_dict("records"),
        accuracy=float(pipeline.score(rows, test["outcome"])),
        baseline=float(test["outcome"].value_counts(normalize=True).max()),
    )


def train_text(_seed: int) -> Trained:
    """Train on a few messages: which topic? Each message is answered in turn by a model that has not seen it."""
    topics, texts = [list(column) for column in zip(*MESSAGES, strict=True)]
    pipeline = make_pipeline(TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 4)), LogisticRegression(C=10.0))
    accuracy = cross_val_score(pipeline, texts, topics, cv=LeaveOneOut()).mean()
    return Trained(
        "messages",
        pipeline.fit(texts, topics),
        example=["The parcel is late", "I cannot log in"],
        accuracy=float(accuracy),
        baseline=max(topics.count(topic) for topic in topics) / len(topics),
    )
