"""Picks one text column of the pairs, as the pipelines of the reference do. Beside `features` in `faq`."""

from typing import Self

import pandas as pd
from sklearn.base import BaseEstimator, TransformerMixin


class ColumnSelector(TransformerMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """First step of `Pipeline([("select", ColumnSelector("Text_x")), ("tfidf", TfidfVectorizer())])`."""

    def __init__(self, column: str) -> None:
        self.column = column

    def fit(self, X: pd.DataFrame, y: object = None) -> Self:  # noqa: N803  # scikit-learn's own names
        """Learn nothing."""
        return self

    def transform(self, X: pd.DataFrame) -> "pd.Series[str]":  # noqa: N803
        """Return the column's n texts. Raises KeyError when the pairs lack it."""
        return X[self.column]

    def __sklearn_is_fitted__(self) -> bool:
        return True
