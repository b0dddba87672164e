"""The command line `scoring` in this process, as a shell runs it: what it prints, and its exit status."""

import contextlib
import io
import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from scoring_cli.main import run


@dataclass(frozen=True)
class Outcome:
    """What a command has left."""

    status: int
    stdout: str
    stderr: str

    @property
    def json(self) -> Any:
        """What it printed, as JSON."""
        return json.loads(self.stdout)


Scoring = Callable[..., Outcome]
"""The command line with some options given already."""


def run_scoring(*arguments: object, stdin: str | bytes = "") -> Outcome:
    """Run a command to its end, whatever that is."""
    stdout, stderr = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(stdout), contextlib.redirect_stderr(stderr), _typed(stdin):
        try:
            run([str(argument) for argument in arguments])
        except SystemExit as end:
            status = end.code if isinstance(end.code, int) else 1
    return Outcome(status, stdout.getvalue(), stderr.getvalue())


@contextlib.contextmanager
def _typed(given: str | bytes) -> Iterator[None]:
    before = sys.stdin
    content = given.encode() if isinstance(given, str) else given
    sys.stdin = io.TextIOWrapper(io.BytesIO(content), encoding="utf-8")
    try:
        yield
    finally:
        sys.stdin = before
