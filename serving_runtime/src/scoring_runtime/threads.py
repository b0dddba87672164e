"""How many threads the numerical libraries compute with. Imports none of them: they read it when they are imported themselves."""

import os

_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "LOKY_MAX_CPU_COUNT")


def limit_threads(threads: int) -> None:
    """Tell the numerical libraries how many threads to compute with; before any of them is imported."""
    os.environ.update(dict.fromkeys(_VARIABLES, str(threads)))
