"""Scores features without the pipeline's own overhead where its steps are known to be a weighted sum. Below `matching`."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

TOLERANCE = 1e-12
"""Of a probability: the weighted sum adds up in another order than scikit-learn's steps."""

Floats = NDArray[np.float64]
Classify = Callable[[Floats], Floats]
"""Gives the probability (n) of a duplicate for n x features."""


@dataclass(frozen=True)
class WeightedSum:
    """A classifier that adds up weighted features and turns the sum into a probability."""

    weights: Floats
    shift: float

    def __call__(self, features: Floats) -> Floats:
        """Return the probabilities (n) for n x features."""
        return self.conclude(features @ self.weights)

    def conclude(self, sums: Floats) -> Floats:
        """Return the probabilities (n) for n sums of weighted features."""
        probabilities: Floats = expit(sums + self.shift)
        return probabilities


def prepare_classifier(steps: Pipeline, example: Floats) -> Classify:
    """Return what gives the last column of the steps' `predict_proba`.

    A scaler and a logistic regression become a WeightedSum; whether it gives the same is tried on `example`.
    """

    def ask_steps(features: Floats) -> Floats:
        return np.asarray(steps.predict_proba(features), dtype=np.float64)[:, -1]

    folded = _fold(steps)
    if folded is None or np.abs(folded(example) - ask_steps(example)).max() > TOLERANCE:
        return ask_steps
    return folded


def _fold(steps: Pipeline) -> WeightedSum | None:
    if [type(step) for _, step in steps.steps] != [StandardScaler, LogisticRegression]:
        return None
    scaler, regression = steps[0], steps[1]
    if len(regression.classes_) > 2 or scaler.mean_ is None or scaler.scale_ is None:  # noqa: PLR2004  # yes and no
        return None
    weights = regression.coef_[0] / scaler.scale_
    return WeightedSum(weights, float(regression.intercept_[0] - scaler.mean_ @ weights))
