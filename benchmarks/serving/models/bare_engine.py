"""What the three programs beside it share: score one prepared picture again and again, without a server.

The program's first line of output is that of a single picture: the engine is loaded. Then, for each number of seconds on
standard input, it scores for that long and prints {"images": …, "seconds": …}.
"""

import json
import sys
import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

SHAPE = (1, 3, 224, 224)

Score = Callable[[], object]


def draw_batch() -> NDArray[np.float32]:
    """Return one prepared picture."""
    return np.random.default_rng(0).standard_normal(SHAPE, dtype=np.float32)


def serve_standard_input(score: Score) -> None:
    """Measure on request until standard input ends."""
    print(json.dumps(measure(score, 0)), flush=True)
    for line in sys.stdin:
        print(json.dumps(measure(score, float(line))), flush=True)


def measure(score: Score, seconds: float) -> dict[str, float]:
    """Score for at least this long; return how many pictures, and in how many seconds."""
    started = time.perf_counter()
    images, elapsed = 0, 0.0
    while not images or elapsed < seconds:
        score()
        images += 1
        elapsed = time.perf_counter() - started
    return {"images": images, "seconds": elapsed}
