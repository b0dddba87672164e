"""Texts that options name: of a file, or of standard input for `-`."""

import sys
from pathlib import Path

from scoring_cli.errors import InputInvalid

STANDARD_INPUT = Path("-")


def read_text(path: Path, option: str) -> str:
    """Return the text. Raises InputInvalid, naming the option."""
    try:
        content = sys.stdin.buffer.read() if path == STANDARD_INPUT else path.read_bytes()
        return content.decode()
    except (OSError, UnicodeDecodeError) as error:
        raise InputInvalid(f"{option}: {describe_source(path)} cannot be read: {error}.") from error


def describe_source(path: Path) -> str:
    """Return what messages call it."""
    return "standard input" if path == STANDARD_INPUT else str(path)
