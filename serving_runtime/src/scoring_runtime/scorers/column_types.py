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

_LEARNED = ("categories_", "statistics_")
"""What estimators learned of each of their columns: the categories of encoders, what imputers fill in."""


class ColumnType(NamedTuple):
    """The datatype of a column, a value that the model can score, whether a text may be missing, and whether pandas' type is category."""

    datatype: DataType
    example: str | float
    nullable: bool = False
    is_category: bool = False


NUMBER = ColumnType("FP64", 0.0)
TEXT = ColumnType("BYTES", "text")


def find_column_types(model: object, columns: Sequence[Hashable]) -> dict[Hashable, ColumnType]:
    """Return the types of columns as far as they are known. `columns` names all that the model takes, in their order."""
    found: dict[Hashable, ColumnType] = {}
    for column, kind in _trace(model, columns):
        # A part nearer to the input saw the column itself, one after it perhaps what became of it.
        found.setdefault(column, kind)
    return found


def read_attribute(model: object, name: str) -> Any:  # noqa: ANN401  # estimators have no types
    """Return an attribute; None where it is missing: pipelines and searches pass such questions on, and may fail."""
    try:
        return getattr(model, name, None)
    except (ValueError, TypeError, KeyError):
        return None


def _trace(model: object, columns: Sequence[Hashable]) -> Iterator[tuple[Hashable, ColumnType]]:
    """Yield columns with the types that are known, those told nearest to the input first."""
    if hasattr(model, "build_analyzer"):
        # A vectoriser of texts, which fails where there is none.
        yield from ((column, TEXT) for column in columns)
    for name in _LEARNED:
        values = read_attribute(model, name)
        if values is not None and len(values) == len(columns):
            yield from zip(columns, map(_find_type, values), strict=True)
    booster = read_attribute(model, "booster_")
    if booster is not None:
        yield from _read_booster(booster, columns)
    for inner, taken in _list_takers(model, columns):
        yield from _trace(inner, taken)


def _read_booster(booster: object, columns: Sequence[Hashable]) -> Iterator[tuple[Hashable, ColumnType]]:
    """Yield the columns that were categories of pandas when LightGBM was fitted, which takes them as such alone."""
    known = read_attribute(booster, "pandas_categorical") or ()
    places = (read_attribute(booster, "params") or {}).get("categorical_column") or ()
    if len(known) == len(places):
        for place, values in zip(places, known, strict=True):
            yield columns[place], _find_type(values)._replace(is_category=True)


def _list_takers(model: object, columns: Sequence[Hashable]) -> Iterator[tuple[object, Sequence[Hashable]]]:
    """Yield the estimators within one that get its input, or some of its columns."""
    for _, transformer, chosen in read_attribute(model, "transformers_") or ():
        yield transformer, _choose_columns(columns, chosen)
    for inner in _list_whole_takers(model, len(columns)):
        yield inner, columns


def _list_whole_takers(model: object, size: int) -> Iterator[object]:
    for _, member in read_attribute(model, "transformer_list") or ():
        yield member
    yield from _list_steps(read_attribute(model, "steps"), size)
    for name in _FITTED_LISTS:
        fitted = read_attribute(model, name)
        yield from fitted if isinstance(fitted, list) else ()
    for name in _FITTED:
        inner = read_attribute(model, name)
        if inner is not None:
            yield inner
            return


def _list_steps(steps: Iterable[tuple[str, object]] | None, size: int) -> Iterator[object]:
    """Yield a pipeline's first step, and those after steps that keep the columns, such as an encoder after an imputer."""
    working = [step for _, step in steps or () if step is not None and not isinstance(step, str)]
    for place, step in enumerate(working):
        if place > 0 and read_attribute(step, "n_features_in_") != size:
            return
        yield step
        if hasattr(step, "transformers_") or hasattr(step, "transformer_list"):
            # Their columns come out in another order.
            return


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
    """Return the type of a column of which an estimator has learned a value or several. Encoders refuse all others."""
    values = np.atleast_1d(np.asarray(learned, dtype=object)).tolist()
    texts = [value for value in values if isinstance(value, str)]
    if texts:
        return ColumnType("BYTES", texts[0], nullable=True)
    if values and all(isinstance(value, bool) for value in values):
        return ColumnType("BOOL", values[0])
    numbers = [float(value) for value in values if isinstance(value, int | float) and math.isfinite(value)]
    return ColumnType("FP64", numbers[0]) if numbers else NUMBER
