"""Splits a FeatureUnion or ColumnTransformer into blocks that read one text column each. Below `matching` in `faq`.

The blocks of the originals' column are computed once; a question then costs its own block and one horizontal stack.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
from scipy import sparse
from sklearn.base import BaseEstimator
from sklearn.compose import ColumnTransformer
from sklearn.pipeline import FeatureUnion

QUESTION = "Text_x"
ORIGINAL = "Text_y"

TOLERANCE = 1e-12
"""Of a feature: a matrix product of one row may add up in another order than that of many."""

Features: TypeAlias = Any
"""An array or a sparse matrix, pairs x features: each transformer decides for itself."""

Assemble = Callable[[str], Features]
"""Gives the features (originals x features) of one question with every original."""


@dataclass(frozen=True)
class Block:
    """A fitted transformer that reads one column only."""

    transformer: BaseEstimator
    column: str
    selection: str | list[str] | None  # what of the pairs the transformer gets; None: all of them
    weight: float | None

    def compute(self, pairs: pd.DataFrame) -> Features:
        """Return the features, n x the block's width, of n pairs that hold at least the block's column."""
        features = self.transformer.transform(pairs if self.selection is None else pairs[self.selection])
        return features if self.weight is None else features * self.weight


def prepare_blocks(first: BaseEstimator, originals: Sequence[str]) -> Assemble | None:
    """Return what assembles the pairs' features as the fitted `first` would, or None when it has another shape.

    Compares both on a first question: a part that reads the other column in secret is found here, not in wrong scores.
    """
    blocks = _find_blocks(first)
    if blocks is None:
        return None
    try:
        assemble = _prepare(blocks, originals, dense=_stacks_dense(first))
        found = assemble(originals[0])
    except (KeyError, ValueError):  # a part asked for the column that its parameters do not name
        return None
    expected = first.transform(pd.DataFrame({QUESTION: originals[0], ORIGINAL: originals}))
    return assemble if _is_close(found, expected) else None


def _prepare(blocks: Sequence[Block], originals: Sequence[str], *, dense: bool | None) -> Assemble:
    known_pairs = pd.DataFrame({ORIGINAL: originals})
    known = [block.compute(known_pairs) if block.column == ORIGINAL else None for block in blocks]

    def assemble(question: str) -> Features:
        asked = pd.DataFrame({QUESTION: [question]})
        parts = [
            _repeat(block.compute(asked), len(originals)) if ready is None else ready
            for block, ready in zip(blocks, known, strict=True)
        ]
        return _stack(parts, dense=dense)

    return assemble


def _find_blocks(first: BaseEstimator) -> list[Block] | None:
    """Return the blocks in the order of their features, or None when one can't be told to read one column only."""
    if isinstance(first, FeatureUnion):
        parts = [(name, part, None) for name, part in first.transformer_list]
    elif isinstance(first, ColumnTransformer):
        parts = list(first.transformers_)
    else:
        return None
    weights = first.transformer_weights or {}
    blocks = [_find_block(part, selection, weights.get(name)) for name, part, selection in parts if part != "drop"]
    found = [block for block in blocks if block is not None]
    return found if found and len(found) == len(blocks) else None


def _find_block(part: BaseEstimator, selection: str | list[str] | None, weight: float | None) -> Block | None:
    """A part without a selection gets all columns; the one it reads is the only one named among its parameters."""
    if not hasattr(part, "get_params"):
        return None
    named = {selection} if isinstance(selection, str) else set(selection or _list_texts(part))
    columns = named & {QUESTION, ORIGINAL}
    return Block(part, columns.pop(), selection, weight) if len(columns) == 1 else None


def _list_texts(part: BaseEstimator) -> list[str]:
    return [value for value in part.get_params(deep=True).values() if isinstance(value, str)]


def _stacks_dense(first: BaseEstimator) -> bool | None:
    """A ColumnTransformer decides while fitting whether it gives a dense array; a FeatureUnion by its parts."""
    return not first.sparse_output_ if isinstance(first, ColumnTransformer) else None


def _repeat(row: Features, times: int) -> Features:
    return row[np.zeros(times, dtype=np.int64)]


def _stack(parts: Sequence[Features], *, dense: bool | None) -> Features:
    if not any(sparse.issparse(part) for part in parts):
        return np.hstack(parts)
    stacked: Features = sparse.hstack(parts, format="csr")
    return stacked.toarray() if dense else stacked


def _is_close(found: Features, expected: Features) -> bool:
    return found.shape == expected.shape and bool(abs(found - expected).max() <= TOLERANCE)
