"""Asks a model the held-out questions and counts how often the right original is among the first answers. Above `models`."""

import statistics
import time
from dataclasses import dataclass

from samples.faq.models import Model
from samples.faq.pairs import Split
from scoring_runtime.faq import FaqMatcher

RANKS = 3


@dataclass(frozen=True)
class Evaluation:
    """What a model reached on the held-out questions."""

    model: str
    questions: int
    accuracy: tuple[float, ...]  # shares: the right original is the first answer, among the first two, the first three
    milliseconds: float  # per question, median


def evaluate_model(model: Model, split: Split) -> Evaluation:
    """Match every held-out question of the split with all originals, as the served model does."""
    matcher = FaqMatcher(model.pipeline, model.originals, top=RANKS)
    hits = [0] * RANKS
    seconds = []
    for pair in split.test:
        started = time.perf_counter()
        found = [match[0] for match in matcher.match(model.prepare(pair.duplicate.text))]
        seconds.append(time.perf_counter() - started)
        for rank in range(RANKS):
            hits[rank] += pair.entry.id in found[: rank + 1]
    count = len(split.test)
    return Evaluation(model.name, count, tuple(hit / count for hit in hits), 1000 * statistics.median(seconds))
