"""How many threads the numerical libraries of a worker compute with, as they say themselves."""

import json
import subprocess
import sys

# The worker is imported, and started no further than its first look at the log level.
SCRIPT = """
import json
from contextlib import suppress
from multiprocessing import Event
from types import SimpleNamespace
from scoring_runtime.server import load_worker

with suppress(AttributeError):
    load_worker(SimpleNamespace(threads=1), Event())
from threadpoolctl import threadpool_info
print(json.dumps([library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"]))
"""


def test_linear_algebra_of_numpy_is_limited_too() -> None:
    """It reads the number of threads once, when numpy is imported, which the worker's modules do."""
    told = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True).stdout
    assert set(json.loads(told)) == {1}
