"""The questions of an FAQ, and what a matcher answers about them. Lowest layer of `faq`: needs NumPy alone."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Rows = NDArray[np.int64]
Match = tuple[int | str, int | str, float]
"""Original id, answer id, probability."""


@dataclass(frozen=True)
class Original:
    """A question of the FAQ. Its ids are those of the question and of its answer; they are given back as they came."""

    id: int | str
    answer_id: int | str
    text: str


@dataclass(frozen=True)
class Scores:
    """Probabilities that a question repeats an original: of those in `rows`, or of all in order where it is None."""

    probabilities: Floats
    rows: Rows | None = None

    def find_best(self, count: int) -> tuple[Rows, Floats]:
        """Return the rows of the `count` most probable originals, best first and in their order when equal; their scores."""
        rows = np.arange(len(self.probabilities)) if self.rows is None else self.rows
        kept = self._drop_hopeless(count)
        best = kept[np.lexsort((rows[kept], -self.probabilities[kept]))][:count]
        return rows[best], self.probabilities[best]

    def _drop_hopeless(self, count: int) -> Rows:
        # Sorting all of a hundred thousand for three would cost more than scoring them.
        if count >= len(self.probabilities):
            return np.arange(len(self.probabilities))
        least = np.partition(self.probabilities, -count)[-count]
        return np.flatnonzero(self.probabilities >= least)


class Matcher(Protocol):
    """Scores questions against the originals that it was made with; `max_batch_size` of them gain from being scored together."""

    max_batch_size: int

    def score(self, questions: list[str]) -> list[Scores]:
        """Return the scores of each question."""
