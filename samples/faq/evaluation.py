"""Asks a model the held-out questions and counts how often the right original is among the first answers. Above `models`."""

import statistics
import time
from dataclasses import dataclass

from samples.faq.embeddings import EmbeddingModel
from samples.faq.models import Model
from samples.faq.pairs import Split

RANKS = 3


@dataclass(frozen=True)
class Evaluation:
    """What a model reached on the held-out questions."""

    model: str
    questions: int
    accuracy: tuple[float, ...]  # shares: the right original is the first answer, among the first two, the first three
    milliseconds: float  # of the CPU, per question, median: steadier than the clock on a shared machine


def evaluate_model(model: Model | EmbeddingModel, split: Split) -> Evaluation:
    """Match every held-out question of the split with all originals, as the served model does."""
    matcher = model.make_matcher()
    hits = [0] * RANKS
    seconds = []
    for pair in split.test:
        started = time.process_time()
        rows, _ = matcher.score([model.prepare(pair.duplicate.text)])[0].find_best(RANKS)
        seconds.append(time.process_time() - started)
        found = [model.originals[row].id for row in rows]
        for rank in range(RANKS):
            hits[rank] += pair.entry.id in found[: rank + 1]
    count = len(split.test)
    return Evaluation(model.name, count, tuple(hit / count for hit in hits), 1000 * statistics.median(seconds))
