"""What a fitted scikit-learn estimator tells of its inputs, and how tensors become what it takes. Used by scorers/sklearn.

The names of a table's columns come from the estimator where it was fitted on a DataFrame, their types from its parts.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from scoring_runtime.errors import ManifestInvalidError
from scoring_runtime.scorers.column_types import NUMBER, ColumnType, find_column_types, read_attribute
from scoring_runtime.tensors import ANY_SIZE, Signature, Tensor, Tensors, TensorSpec

Json = Any
INPUT = "input"
"""Name of the only input of a model without named columns."""

_TABLE_AXES = 2


class Inputs(NamedTuple):
    """What an estimator takes, and the `input` of a request that it can score: each name with the values of one item."""

    signature: Signature
    example: Mapping[str, Json]


def derive_inputs(model: object) -> Inputs | None:
    """Return the inputs: a text, a row of numbers or of texts, or named columns; None when the estimator does not tell."""
    names = read_attribute(model, "feature_names_in_")
    if names is not None:
        kinds = find_column_types(model, names.tolist())
        return _describe_columns({name: kinds.get(name, NUMBER) for name in names.tolist()})
    size = read_attribute(model, "n_features_in_")
    if size is not None:
        return _describe_rows(model, int(size))
    text = find_column_types(model, [INPUT]).get(INPUT)
    return None if text is None else _describe_columns({INPUT: text})


def _describe_columns(columns: Mapping[str, ColumnType]) -> Inputs:
    specs = tuple(_make_spec(name, kind, (ANY_SIZE,)) for name, kind in columns.items())
    return Inputs(Signature(inputs=specs), {name: [kind.example] for name, kind in columns.items()})


def _describe_rows(model: object, size: int) -> Inputs:
    found = find_column_types(model, range(size))
    kinds = [found.get(column, NUMBER) for column in range(size)]
    # A row has one type; numbers among texts are what only the manifest can tell.
    kind = kinds[0] if len({kind.datatype for kind in kinds}) == 1 else NUMBER
    spec = _make_spec(INPUT, kind, (ANY_SIZE, size))
    return Inputs(Signature(inputs=(spec,)), {INPUT: [[column.example for column in kinds]]})


def _make_spec(name: str, kind: ColumnType, shape: tuple[int, ...]) -> TensorSpec:
    return TensorSpec(name=name, datatype=kind.datatype, shape=shape, nullable=kind.nullable)


def choose_input(model: object, specs: Sequence[TensorSpec]) -> Callable[[Tensors], Any]:
    """Return what makes the model's input of named tensors: texts, an array or, if fitted on one, a DataFrame.

    Missing texts become NaN, or None where the model learned that. Raises ManifestInvalidError for several inputs that are no
    columns, or that are others than the model was fitted on.
    """
    missing = _find_missing(model, specs)
    make_input = _choose_form(model, specs)
    if not missing:
        return make_input
    return lambda tensors: make_input(
        {**tensors, **{name: _mark_missing(tensors[name], mark) for name, mark in missing.items()}}
    )


def _find_missing(model: object, specs: Sequence[TensorSpec]) -> dict[str, float | None]:
    """Return what stands for a text that is missing, by the names of the inputs that may lack one."""
    nullable = [spec.name for spec in specs if spec.nullable]
    names = read_attribute(model, "feature_names_in_")
    if names is not None:
        kinds = find_column_types(model, names.tolist())
        return {name: kinds.get(name, NUMBER).missing for name in nullable}
    found = find_column_types(model, range(int(read_attribute(model, "n_features_in_") or 1)))
    is_none = any(kind.missing is None for kind in found.values())
    return dict.fromkeys(nullable, None if is_none else NUMBER.missing)


def _choose_form(model: object, specs: Sequence[TensorSpec]) -> Callable[[Tensors], Any]:
    fitted = read_attribute(model, "feature_names_in_")
    names = None if fitted is None else [str(name) for name in fitted]
    if len(specs) == 1 and not (names and len(names) > 1 and len(specs[0].shape) == 1):
        return _choose_single(model, specs[0], names)
    wrong = [spec.name for spec in specs if len(spec.shape) != 1]
    if wrong:
        raise ManifestInvalidError(
            f"manifest.json: signature: of several inputs each is a column: {wrong[0]} has more axes."
        )
    if names is None:
        return lambda tensors: np.column_stack([tensors[spec.name] for spec in specs])
    make_table = _choose_table(model, names)
    given = {spec.name for spec in specs}
    missing = [name for name in names if name not in given]
    if missing:
        raise ManifestInvalidError(
            f"manifest.json: signature lacks the input {missing[0]!r}, which the model was fitted on."
        )
    return lambda tensors: make_table({name: tensors[name] for name in names})


def _choose_single(model: object, spec: TensorSpec, names: Sequence[str] | None) -> Callable[[Tensors], Any]:
    name = spec.name
    if names is not None and len(spec.shape) in (1, _TABLE_AXES):
        make_table = _choose_table(model, names)
        if len(spec.shape) == 1:
            return lambda tensors: make_table({names[0]: tensors[name]})
        return lambda tensors: make_table(dict(zip(names, tensors[name].T, strict=True)))
    if len(spec.shape) == 1 and read_attribute(model, "n_features_in_") is not None:
        return lambda tensors: tensors[name].reshape(-1, 1)
    if spec.datatype == "BYTES" and len(spec.shape) == 1:
        return lambda tensors: tensors[name].tolist()
    return lambda tensors: tensors[name]


def _mark_missing(texts: Tensor, mark: float | None) -> Tensor:
    missing = np.array([text is None for text in texts.flat]).reshape(texts.shape)
    return np.where(missing, np.array(mark, dtype=object), texts)


def _choose_table(model: object, names: Sequence[str]) -> Callable[[dict[str, Tensor]], Any]:
    """Return what makes a DataFrame of columns, those that the model was fitted on as categories as such."""
    import pandas as pd  # noqa: PLC0415  # only models of tables need it, and it takes 0.3 s to import

    kinds = find_column_types(model, names).items()
    dtypes = {name: "category" for name, kind in kinds if kind.is_category}
    # pandas makes NaN of None wherever it is not told to leave it.
    dtypes |= {name: "object" for name, kind in kinds if kind.missing is None}
    if not dtypes:
        return pd.DataFrame
    return lambda columns: pd.DataFrame(
        {name: pd.Series(values, dtype=dtypes.get(str(name))) for name, values in columns.items()}
    )
