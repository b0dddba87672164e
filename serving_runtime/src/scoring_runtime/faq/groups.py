"""Known texts in groups, one per original: its own text, then the questions known to repeat it. Beside `text` in `faq`.

The groups lie one behind the other in one array of texts, so that the largest of each group is found in one
pass. Needs NumPy alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.floating]
Rows = NDArray[np.int64]


@dataclass(frozen=True)
class Groups:
    """Where each of m groups begins among n rows, and where the last one ends: m + 1 rising numbers."""

    bounds: Rows

    @classmethod
    def measure(cls, sizes: Sequence[int]) -> "Groups":
        """Return groups of these sizes."""
        return cls(np.concatenate(([0], np.cumsum(sizes, dtype=np.int64))).astype(np.int64))

    def check(self, rows: int) -> None:
        """Raise ValueError unless the groups are at least a row each and hold all `rows`."""
        if self.bounds.ndim != 1 or len(self.bounds) <= 1 or self.bounds[0] != 0 or self.bounds[-1] != rows:
            raise ValueError(f"the groups do not begin at 0 and end at {rows}")
        if (np.diff(self.bounds) < 1).any():
            raise ValueError("a group is empty")

    @property
    def own(self) -> Rows:
        """The m rows of the originals' own texts."""
        return self.bounds[:-1]

    def select(self, chosen: Rows) -> tuple["Groups", Rows]:
        """Return the chosen groups, one behind the other, and the rows that they hold in the whole array."""
        starts, sizes = self.bounds[chosen], self.bounds[chosen + 1] - self.bounds[chosen]
        groups = Groups.measure(sizes.tolist())
        rows = np.arange(groups.bounds[-1]) + np.repeat(starts - groups.own, sizes)
        return groups, rows

    def split(self, values: Numbers) -> tuple[Numbers, Numbers]:
        """Return the values (n) of the originals' own texts (m), and all values with 0 in their places (n)."""
        others = values.copy()
        others[self.own] = 0
        return values[self.own], others

    def find_largest(self, values: Numbers) -> Numbers:
        """Return the largest value (n) of each group (m)."""
        largest: Numbers = np.maximum.reduceat(values, self.own)
        return largest
