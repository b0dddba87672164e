"""The types of the columns that a fitted scikit-learn estimator takes, as its parts tell them. Used by scorers/estimators.

scikit-learn keeps the names of columns and no types. What tells them is what learned values of a column: a text vectoriser,
an encoder's categories, what an imputer fills in. These are looked for along every way that the input takes.
"""

import math
from collections.abc import Hashable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from scoring_runtime.tensors import DataType

_FITTED_LISTS = ("estimators_", "calibrated_classifiers_")
_FITTED = ("best_estimator_", "regressor_", "estimator_", "estimator", "_preprocessor")
"""Where estimators keep the one within them; the last is that of gradient boosting by histograms for its categories."""

_CATEGORIES = "categories_"
"""What encoders learned of each of their columns, and nothing else will do."""

_FILLED_IN = "statistics_"
"""What imputers fill in, for each of their columns."""


class ColumnType(NamedTuple):
    """What is known of a column.

    `example` is a value that the model can score, `missing` what stands for a text that is missing, `is_category` tells whether
    pandas' type of it is category.
    """

    datatype: DataType
    example: str | float
    nullable: bool = False
    missing: float | None = math.nan
    is_category: bool = False


NUMBER = ColumnType("FP64", 0.0)
TEXT = ColumnType("BYTES", "text")


def find_column_types(model: object, columns: Sequence[Hashable]) -> dict[Hashable, ColumnType]:
    """Return the types of columns as far as they are known. `columns` names all that the model takes, in their order."""
    found: dict[Hashable, ColumnType] = {}
    encoded: set[Hashable] = set()
    for column, kind, is_encoder in _trace(model, columns):
        # A part nearer to the input saw the column itself, one after it perhaps what became of it.
        known = found.setdefault(column, kind)
        if is_encoder and column not in encoded and kind.datatype == known.datatype:
            # An encoder knows some values only; what an imputer before it fills in need not be among them.
            encoded.add(column)
            found[column] = known._replace(example=kind.example)
    return found


def read_attribute(model: object, name: str) -> Any:  # noqa: ANN401  # estimators have no types
    """Return an attribute; None where it is missing: pipelines and searches pass such questions on, and may fail."""
    try:
        return getattr(model, name, None)
    except (ValueError, TypeError, KeyError):
        return None


def _trace(model: object, columns: Sequence[Hashable]) -> Iterator[tuple[Hashable, ColumnType, bool]]:
    """Yield columns with the types that are known, those told nearest to the input first, and whether an encoder tells."""
    if hasattr(model, "build_analyzer"):
        # A vectoriser of texts, which fails where there is none.
        yield from ((column, TEXT, False) for column in columns)
    missing = read_attribute(model, "missing_values") if hasattr(model, "missing_values") else math.nan
    for name in (_CATEGORIES, _FILLED_IN):
        for column, values in zip(columns, _read_learned(model, name, len(columns)), strict=False):
            kind = _find_type(values)
            yield column, (kind._replace(missing=None) if missing is None else kind), name == _CATEGORIES
    booster = read_attribute(model, "booster_")
    if booster is not None:
        yield from ((column, kind, True) for column, kind in _read_booster(booster, columns))
    for inner, taken in _list_takers(model, columns):
        yield from _trace(inner, taken)


def _read_learned(model: object, name: str, size: int) -> Iterable[Any]:
    """Return what was learned of each column; nothing where an estimator of somebody's own has something else of that name."""
    values = read_attribute(model, name)
    return values if isinstance(values, list | tuple | np.ndarray) and len(values) == size else ()


def _read_booster(booster: object, columns: Sequence[Hashable]) -> Iterator[tuple[Hashable, ColumnType]]:
    """Yield the columns that were categories of pandas when LightGBM was fitted, which takes them as such alone."""
    known = read_attribute(booster, "pandas_categorical") or ()
    places = (read_attribute(booster, "params") or {}).get("categorical_column") or ()
    if len(known) == len(places):
        for place, values in zip(places, known, strict=True):
            yield columns[place], _find_type(values)._replace(is_category=True)


def _list_takers(model: object, columns: Sequence[Hashable]) -> Iterator[tuple[object, Sequence[Hashable]]]:
    """Yield the estimators within one that get its input, or some of its columns."""
    for _, transformer, chosen in _read_parts(model, "transformers_", 3):
        yield transformer, _choose_columns(columns, chosen)
    for inner in _list_whole_takers(model):
        yield inner, columns


def _list_whole_takers(model: object) -> Iterator[object]:
    for _, member in _read_parts(model, "transformer_list", 2):
        yield member
    yield from _list_steps([step for _, step in _read_parts(model, "steps", 2)])
    for name in _FITTED_LISTS:
        fitted = read_attribute(model, name)
        yield from fitted if isinstance(fitted, list) else ()
    for name in _FITTED:
        inner = read_attribute(model, name)
        if inner is not None:
            yield inner
            return


def _read_parts(model: object, name: str, size: int) -> list[tuple[Any, ...]]:
    """Return the parts of a pipeline, union or ColumnTransformer: tuples of so many; none where something else has that name."""
    parts = read_attribute(model, name)
    is_list = isinstance(parts, list) and all(isinstance(part, tuple) and len(part) == size for part in parts)
    return parts if is_list else []


def _list_steps(steps: Sequence[object]) -> Iterator[object]:
    """Yield a pipeline's first step, and the one after it as long as values and order of the columns are kept, as by an imputer."""
    for step in steps:
        if step is not None and step != "passthrough":
            yield step
            if not _keeps_values(step):
                return


def _keeps_values(step: object) -> bool:
    is_imputer = hasattr(step, _FILLED_IN) and not getattr(step, "add_indicator", False)
    return is_imputer or (hasattr(step, "func") and step.func is None)


def _choose_columns(columns: Sequence[Hashable], chosen: Any) -> list[Hashable]:  # noqa: ANN401  # whatever a ColumnTransformer takes
    """Return those of the columns that are chosen as scikit-learn takes it: by name, place, mask, or a slice of names or places."""
    if isinstance(chosen, str):
        return [chosen]
    if isinstance(chosen, slice):
        return list(columns[_find_places(columns, chosen)])
    places = np.asarray([chosen] if isinstance(chosen, int) else list(chosen))
    if places.dtype.kind not in "biu":
        return list(places)
    return [columns[place] for place in np.arange(len(columns))[places]]


def _find_places(columns: Sequence[Hashable], names: slice) -> slice:
    """Return a slice by names, which holds its end, as one by places."""
    start, stop = names.start, names.stop
    start = columns.index(start) if isinstance(start, str) else start
    stop = columns.index(stop) + 1 if isinstance(stop, str) else stop
    return slice(start, stop, names.step)


def _find_type(learned: object) -> ColumnType:
    """Return the type of a column of which an estimator has learned a value or several."""
    values = np.atleast_1d(np.asarray(learned, dtype=object)).tolist()
    texts = [value for value in values if isinstance(value, str)]
    if texts:
        # scikit-learn keeps None and NaN apart.
        is_none = None in values and not any(isinstance(value, float) for value in values)
        return ColumnType("BYTES", texts[0], nullable=True, missing=None if is_none else math.nan)
    if values and all(isinstance(value, bool) for value in values):
        return ColumnType("BOOL", values[0])
    numbers = [value for value in values if isinstance(value, int | float) and _is_finite(value)]
    return ColumnType("FP64", float(numbers[0])) if numbers else NUMBER


def _is_finite(value: float) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:
        return False
