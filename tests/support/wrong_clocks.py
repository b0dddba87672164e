"""Processes whose wall clock is wrong, by Debian's libfaketime. Their clocks that are never set go on as they are, as on a real machine."""

from pathlib import Path

FOLDER = Path("/usr/lib")
LIBRARY = "*/faketime/libfaketimeMT.so.1"


class LibraryMissing(Exception):
    """The library that makes clocks wrong is not installed."""


def set_clock(ahead_seconds: int) -> dict[str, str]:
    """Return the variables with which a process starts whose clock is ahead of this machine's; raises LibraryMissing."""
    library = next(FOLDER.glob(LIBRARY), None)
    if library is None:
        raise LibraryMissing(f"no {FOLDER / LIBRARY}: apt-get install libfaketime")
    return {"LD_PRELOAD": str(library), "FAKETIME": f"{ahead_seconds:+d}", "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
