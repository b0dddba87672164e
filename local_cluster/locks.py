"""Keeps two runs of the program from doing the same thing at once. A lock ends with its process, however that ends."""

import fcntl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def lock(path: Path, report: Callable[[str], None]) -> Iterator[None]:
    """Hold the lock file; says so through `report` when another run holds it, and waits for that one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            report(f"waiting for another run, which holds {path}")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield
