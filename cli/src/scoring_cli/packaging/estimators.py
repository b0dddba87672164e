"""scikit-learn's estimators, and others with their interface: saved as .skops, which runs no code when it is loaded."""

import io
from typing import Any

import joblib
import numpy as np
import pandas as pd
import skops.io

from scoring_cli.errors import InputInvalid
from scoring_cli.packaging import Hints, Packed
from scoring_cli.packaging.skops_files import dump_exactly
from scoring_runtime.scorers.trusted_types import TRUSTED_TYPES

SKOPS = "model.skops"
JOBLIB = "model.joblib"


def pack(estimator: Any, hints: Hints) -> Packed:  # noqa: ANN401  # any object with predict
    """Return a fitted estimator. Raises InputInvalid when a .skops file of it would be refused by the runtime."""
    methods = hints.methods or ("predict",)
    missing = [name for name in methods if not hasattr(estimator, name)]
    if missing:
        raise InputInvalid(
            f"--method: {type(estimator).__name__} has no {', '.join(missing)}: name methods that it has, once fitted."
        )
    fields: dict[str, Any] = {"options": {"methods": list(methods)}}
    if hints.example is not None:
        fields["expect"] = {"answer": answer(estimator, methods, hints.example)}
    if hints.as_joblib:
        return Packed("sklearn", JOBLIB, {JOBLIB: _dump_joblib(estimator)}, fields)
    return Packed("sklearn", SKOPS, {SKOPS: _dump_skops(estimator)}, fields)


def answer(estimator: Any, methods: tuple[str, ...], example: Any) -> Any:  # noqa: ANN401  # JSON
    """Return what `/score` is to answer to `{"input": example}`: by the estimator itself, here where it was trained."""
    is_table = isinstance(example, dict) or (
        isinstance(example, list) and bool(example) and isinstance(example[0], dict)
    )
    items = pd.DataFrame(example) if is_table else example
    try:
        answers = {name: np.asarray(getattr(estimator, name)(items)).tolist() for name in methods}
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        # What scikit-learn's estimators raise for input that does not fit.
        raise InputInvalid(f"--example: {type(estimator).__name__} does not take its `input`: {error}") from error
    return answers[methods[0]] if len(methods) == 1 else answers


def _dump_skops(estimator: object) -> bytes:
    saved = dump_exactly(estimator)
    unknown = sorted(set(skops.io.get_untrusted_types(data=saved)) - set(TRUSTED_TYPES))
    if unknown:
        raise InputInvalid(
            f"The runtime does not load these types from a .skops file: {', '.join(unknown)}. Take them out of the estimator, or save it "
            "by --joblib, which runs code when it is loaded; the model's image needs their packages then."
        )
    return saved


def _dump_joblib(estimator: object) -> bytes:
    target = io.BytesIO()
    joblib.dump(estimator, target)
    return target.getvalue()
