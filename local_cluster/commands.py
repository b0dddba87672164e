"""Runs other programs: the one place that starts a foreground subprocess."""

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from local_cluster.errors import CommandFailed


def run(
    arguments: Sequence[str | Path],
    *,
    text_input: str | None = None,
    environment: Mapping[str, str] | None = None,
    folder: Path | None = None,
    timeout_seconds: float | None = None,
) -> str:
    """Run a program and return its standard output; CommandFailed when it fails, is missing or takes too long."""
    words = [str(argument) for argument in arguments]
    try:
        result = subprocess.run(
            words,
            input=text_input,
            stdin=None if text_input is not None else subprocess.DEVNULL,
            env={**os.environ, **(environment or {})},
            cwd=folder,
            timeout=timeout_seconds,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
        )
    except FileNotFoundError as error:
        raise CommandFailed(words, 127, str(error)) from error
    except subprocess.TimeoutExpired as error:
        raise CommandFailed(words, 124, f"no answer within {timeout_seconds} s") from error
    if result.returncode != 0:
        raise CommandFailed(words, result.returncode, result.stdout + result.stderr)
    return result.stdout


def try_run(arguments: Sequence[str | Path], *, timeout_seconds: float | None = None) -> str | None:
    """Like `run`, but answers None on failure: for things that may be gone already."""
    try:
        return run(arguments, timeout_seconds=timeout_seconds)
    except CommandFailed:
        return None
