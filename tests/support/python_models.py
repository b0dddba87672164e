"""Classes of the format `python`, as an image would hold them. Named in the tests' manifests."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from scoring_runtime.errors import InvalidInputError

Tensors = Mapping[str, Any]


class Loading:
    """Remembers what it was loaded from."""

    path: Path | None = None

    def load(self, path: Path) -> None:
        self.path = path


class Sum(Loading):
    """The sum of each row; counts its calls. Tells its own signature."""

    signature: ClassVar[dict[str, Any]] = {
        "inputs": [{"name": "x", "datatype": "FP64", "shape": [-1, 4]}],
        "outputs": [{"name": "y", "datatype": "FP64", "shape": [-1]}],
    }
    calls = 0

    def score(self, batch: Tensors) -> Tensors:
        self.calls += 1
        return {"y": batch["x"].sum(axis=1)}


class Lengths(Loading):
    """The number of values of each item, whatever the item's shape; counts its calls."""

    calls = 0

    def score(self, batch: Tensors) -> Tensors:
        self.calls += 1
        return {"size": np.full(len(batch["x"]), batch["x"][0].size)}


class Echo(Loading):
    """Answers its inputs."""

    def score(self, batch: Tensors) -> Tensors:
        return batch


class Constant(Loading):
    """Answers what it was made with, here a single number for any batch."""

    answer: Any = 1.0

    def score(self, batch: Any) -> Any:
        return self.answer


class Upper(Loading):
    """Writes texts in capital letters; refuses all else."""

    calls = 0

    def score(self, batch: list[Any]) -> list[Any]:
        self.calls += 1
        return [_write_in_capitals(item) for item in batch]


class Mirror(Loading):
    """Answers any list with itself."""

    def score(self, batch: list[Any]) -> list[Any]:
        return batch


class Broken(Loading):
    """Cannot be loaded."""

    def load(self, path: Path) -> None:
        raise ValueError(f"no weights in {path.name}")

    def score(self, batch: Any) -> Any:
        return batch


class WithoutScore(Loading):
    """Lacks a method."""


class WrongSignature(Echo):
    """Tells a datatype that there is not."""

    signature: ClassVar[dict[str, Any]] = {"inputs": [{"name": "x", "datatype": "FLOAT", "shape": [-1]}]}


def _write_in_capitals(item: Any) -> Any:
    if not isinstance(item, str):
        raise InvalidInputError("input must be a text.")
    return item.upper()
