"""Turns texts into TF-IDF vectors: of words, and of parts of words. Above `text`, below `features` in `faq`.

scikit-learn's TfidfVectorizer, saved compactly: skops writes a vocabulary term by term, with 400 bytes around each.
"""

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from scipy import sparse
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.feature_extraction.text import TfidfVectorizer

from scoring_runtime.faq.text import WORD_PATTERN, clean_text

OPTIONS: dict[str, dict[str, Any]] = {
    "word": {"token_pattern": WORD_PATTERN, "ngram_range": (1, 2)},
    "char_wb": {"ngram_range": (3, 5)},
}
"""Per analyzer: words and pairs of them; three to five letters within a word."""


class TextVectorizer(TransformerMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """Cleans texts and gives their TF-IDF vectors, n x terms with rows of length 1 (or 0, for a text without known terms)."""

    def __init__(self, analyzer: str = "word") -> None:
        self.analyzer = analyzer

    def fit(self, X: Sequence[str], y: object = None) -> Self:  # noqa: N803  # scikit-learn's own names
        """Learn the terms of the texts and their weights."""
        self.tfidf_ = self._build().fit([clean_text(text) for text in X])
        return self

    def transform(self, X: Sequence[str]) -> sparse.csr_array:  # noqa: N803
        """Return the vectors of n texts."""
        return sparse.csr_array(self.tfidf_.transform([clean_text(text) for text in X]))

    def __getstate__(self) -> dict[str, Any]:
        state = dict(super().__getstate__())
        if "tfidf_" in state:
            tfidf = state.pop("tfidf_")
            state |= {"terms": "\n".join(tfidf.get_feature_names_out()), "idf": tfidf.idf_}
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        terms, idf = state.get("terms"), state.get("idf")
        super().__setstate__({name: value for name, value in state.items() if name not in {"terms", "idf"}})
        if terms is not None:
            self.tfidf_ = self._build(vocabulary=terms.split("\n"))
            self.tfidf_.idf_ = np.asarray(idf)

    def _build(self, **options: Any) -> TfidfVectorizer:
        return TfidfVectorizer(
            analyzer=self.analyzer, lowercase=False, sublinear_tf=True, **OPTIONS[self.analyzer], **options
        )
