"""Scorer of scikit-learn models: .skops of trusted types, or .joblib and .pkl whose digest was verified."""

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import skops.io
from numpy.typing import NDArray

from scoring_runtime.errors import ModelInvalidError
from scoring_runtime.scorers import Batch, ModelSource


class SklearnScorer:
    """A fitted estimator; a batch is whatever its `predict_proba` takes."""

    model: Any = None

    def load(self, source: ModelSource) -> None:
        """Load the estimator. Raises ModelInvalidError, naming the types that are not trusted."""
        readers: dict[str, Callable[[ModelSource], Any]] = {
            ".skops": _read_skops,
            ".joblib": lambda model: joblib.load(model.path),
            ".pkl": lambda model: _read_pickle(model.path),
            ".pickle": lambda model: _read_pickle(model.path),
        }
        reader = readers.get(source.path.suffix.lower())
        if reader is None:
            raise ModelInvalidError(f"{source.path.name} is no scikit-learn model file: name it {', '.join(readers)}.")
        self.model = reader(source)
        if not hasattr(self.model, "predict_proba"):
            kind = type(self.model).__name__
            raise ModelInvalidError(
                f"The model is a {kind} without predict_proba: save a fitted classifier or pipeline."
            )

    def score(self, batch: Batch) -> NDArray[np.float64]:
        """Return the probabilities of the batch: shape (items, classes)."""
        return np.asarray(self.model.predict_proba(batch), dtype=np.float64)


def _read_skops(source: ModelSource) -> object:
    untrusted = sorted(set(skops.io.get_untrusted_types(file=source.path)) - set(source.trusted_types))
    if untrusted:
        names = ", ".join(untrusted[:5])
        raise ModelInvalidError(
            f"{source.path.name} holds types that are not trusted: {names}. Save the model without them."
        )
    return skops.io.load(source.path, trusted=list(source.trusted_types))


def _read_pickle(path: Path) -> object:
    # Only reached when the digest of the artifact was given and verified (artifacts.require_digest).
    with path.open("rb") as file:
        return pickle.load(file)  # noqa: S301
