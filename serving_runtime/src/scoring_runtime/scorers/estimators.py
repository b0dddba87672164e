"""What a fitted scikit-learn estimator tells of its inputs, and how tensors become what it takes. Used by scorers/sklearn.

The names and types of a table's columns come from the estimator where it was fitted on a DataFrame; scikit-learn keeps no
types, so those of a ColumnTransformer's columns are told by the transformers that they go to.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from scoring_runtime.errors import ManifestInvalidError
from scoring_runtime.tensors import ANY_SIZE, DataType, Signature, Tensor, Tensors, TensorSpec

INPUT = "input"
"""Name of the only input of a model without named columns."""

# Where estimators keep those that get the input: pipelines and unions their first, searches and ensembles a fitted one.
_NAMED_STEPS = ("steps", "transformer_list")
_FITTED_LISTS = ("estimators_", "calibrated_classifiers_")
_FITTED = ("best_estimator_", "regressor_", "estimator_", "estimator")
_TABLE_AXES = 2


def derive_signature(model: object) -> Signature | None:
    """Return the inputs: a text, a row of numbers, or named columns; None when the estimator does not tell."""
    names = _read_attribute(model, "feature_names_in_")
    if names is not None:
        kinds = dict(_find_column_types(_find_first(model)))
        columns = [TensorSpec(name=str(name), datatype=kinds.get(name, "FP64"), shape=(ANY_SIZE,)) for name in names]
        return Signature(inputs=tuple(columns))
    if _is_vectorizer(_find_first(model)):
        return Signature(inputs=(TensorSpec(name=INPUT, datatype="BYTES", shape=(ANY_SIZE,)),))
    size = _read_attribute(model, "n_features_in_")
    if size is None:
        return None
    return Signature(inputs=(TensorSpec(name=INPUT, datatype="FP64", shape=(ANY_SIZE, int(size))),))


def choose_input(model: object, specs: Sequence[TensorSpec]) -> Callable[[Tensors], Any]:
    """Return what makes the model's input of named tensors: texts, an array or, if fitted on one, a DataFrame.

    Raises ManifestInvalidError for several inputs that are no columns, or that are others than the model was fitted on.
    """
    fitted = _read_attribute(model, "feature_names_in_")
    names = None if fitted is None else [str(name) for name in fitted]
    if len(specs) == 1:
        return _choose_single(specs[0], names)
    wrong = [spec.name for spec in specs if len(spec.shape) != 1]
    if wrong:
        raise ManifestInvalidError(
            f"manifest.json: signature: of several inputs each is a column: {wrong[0]} has more axes."
        )
    if names is None:
        return lambda tensors: np.column_stack([tensors[spec.name] for spec in specs])
    given = {spec.name for spec in specs}
    missing = [name for name in names if name not in given]
    if missing:
        raise ManifestInvalidError(
            f"manifest.json: signature lacks the input {missing[0]!r}, which the model was fitted on."
        )
    return lambda tensors: _make_table({name: tensors[name] for name in names})


def _choose_single(spec: TensorSpec, names: Sequence[str] | None) -> Callable[[Tensors], Any]:
    name = spec.name
    if names == [name] and len(spec.shape) == 1:
        return lambda tensors: _make_table({name: tensors[name]})
    if names is not None and len(spec.shape) == _TABLE_AXES:
        return lambda tensors: _make_table(dict(zip(names, tensors[name].T, strict=True)))
    if spec.datatype == "BYTES" and len(spec.shape) == 1:
        return lambda tensors: tensors[name].tolist()
    return lambda tensors: tensors[name]


def _make_table(columns: dict[str, Tensor]) -> Any:  # noqa: ANN401  # pandas has no types here
    import pandas as pd  # noqa: PLC0415  # only models of tables need it, and it takes 0.3 s to import

    return pd.DataFrame(columns)


def _find_first(model: object) -> object:
    """Return the estimator that gets the input itself: the first step of a pipeline, within searches and ensembles too."""
    inner = next((inner for inner in _list_inner(model) if inner is not None), None)
    return model if inner is None else _find_first(inner)


def _list_inner(model: object) -> Iterator[object]:
    """Yield an estimator's own first estimators, the fitted ones before others; None for those it lacks."""
    for name in _NAMED_STEPS:
        steps = _read_attribute(model, name)
        yield steps[0][1] if isinstance(steps, list) and steps else None
    for name in _FITTED_LISTS:
        fitted = _read_attribute(model, name)
        yield fitted[0] if isinstance(fitted, list) and fitted else None
    for name in _FITTED:
        yield _read_attribute(model, name)


def _find_column_types(model: object) -> Iterator[tuple[object, DataType]]:
    """Yield the columns of a ColumnTransformer that are not FP64, with their types."""
    for _, transformer, columns in _read_attribute(model, "transformers_") or ():
        names = [columns] if isinstance(columns, str) else list(columns)
        first = _find_first(transformer)
        if _is_vectorizer(first):
            yield from ((name, "BYTES") for name in names)
        categories = _read_attribute(first, "categories_") or ()
        for name, known in zip(names, categories, strict=False):
            yield name, _find_category_type(known)


def _find_category_type(categories: Tensor) -> DataType:
    values: np.ndarray[Any, Any] = np.asarray(categories)
    if values.dtype.kind == "b":
        return "BOOL"
    return "BYTES" if values.dtype.kind in "OSUT" else "FP64"


def _is_vectorizer(model: object) -> bool:
    return hasattr(model, "build_analyzer")


def _read_attribute(model: object, name: str) -> Any:  # noqa: ANN401  # estimators have no types
    """Return an attribute; None where it is missing: pipelines and searches pass such questions on, and may fail."""
    try:
        return getattr(model, name, None)
    except (ValueError, TypeError, KeyError):
        return None
