"""Texts that options name: of a file, or of standard input for `-`."""

import sys
from pathlib import Path

from scoring_cli.errors import InputInvalid

STANDARD_INPUT = Path("-")


def read_text(path: Path, option: str) -> str:
    """Return the text. Raises InputInvalid, naming the option."""
    if path == STANDARD_INPUT:
        return sys.stdin.read()
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputInvalid(f"{option}: {path} cannot be read: {error}.") from error
