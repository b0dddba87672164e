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
class Classifier:
    """Gives probabilities. `weights` are those of the features where the steps are a weighted sum, None elsewhere."""

    classify: Classify
    weights: Floats | None = None


def prepare_classifier(steps: Pipeline, example: Floats) -> Classifier:
    """Return what gives the last column of the steps' `predict_proba`.

    A scaler and a logistic regression become one weighted sum; whether it gives the same is tried on `example`.
    """

    def ask_steps(features: Floats) -> Floats:
        return np.asarray(steps.predict_proba(features), dtype=np.float64)[:, -1]

    folded = _fold(steps)
    if folded is None or np.abs(folded.classify(example) - ask_steps(example)).max() > TOLERANCE:
        return Classifier(ask_steps)
    return folded


def _fold(steps: Pipeline) -> Classifier | None:
    if [type(step) for _, step in steps.steps] != [StandardScaler, LogisticRegression]:
        return None
    scaler, regression = steps[0], steps[1]
    if len(regression.classes_) > 2 or scaler.mean_ is None or scaler.scale_ is None:  # noqa: PLR2004  # yes and no
        return None
    weights = regression.coef_[0] / scaler.scale_
    shift = regression.intercept_[0] - scaler.mean_ @ weights

    def classify(features: Floats) -> Floats:
        probabilities: Floats = expit(features @ weights + shift)
        return probabilities

    return Classifier(classify, weights)
