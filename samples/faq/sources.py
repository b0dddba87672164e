"""Finds out what kind of data a folder holds and reads it. Above `documents`, `tables` and `dump`."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from samples.faq.documents import read_documents
from samples.faq.dump import POSTS, read_dump
from samples.faq.entries import Entry, Limits, select_entries
from samples.faq.errors import SourceError
from samples.faq.tables import ORIGINALS, find_table, read_tables

HAND_WRITTEN_LIMITS = Limits(min_duplicates=8)
REFERENCE_LIMITS = Limits(min_duplicates=12, min_text=150)
"""What the reference's preparation asks of its Stack Overflow questions."""


@dataclass(frozen=True)
class Selection:
    """What to take from a folder; None: the default of its kind."""

    min_duplicates: int | None = None
    min_text: int | None = None
    tag: str = "javascript"


def read_entries(folder: Path, selection: Selection) -> list[Entry]:
    """Return the usable entries of a folder of YAML files, of the reference's tables, or of a Stack Exchange dump.

    Raises SourceError for a malformed file or a folder of another kind, SampleError when too few entries are usable.
    """
    entries, defaults = _open_source(folder, selection.tag)
    min_duplicates = defaults.min_duplicates if selection.min_duplicates is None else selection.min_duplicates
    min_text = defaults.min_text if selection.min_text is None else selection.min_text
    return select_entries(entries, Limits(min_duplicates, min_text))


def _open_source(folder: Path, tag: str) -> tuple[Iterator[Entry], Limits]:
    if find_table(folder, ORIGINALS):
        return read_tables(folder), REFERENCE_LIMITS
    if (folder / POSTS).is_file():
        return read_dump(folder, tag), REFERENCE_LIMITS
    if any(folder.glob("*.yaml")):
        return read_documents(folder), HAND_WRITTEN_LIMITS
    kinds = "*.yaml files, orig-q.tsv.gz with dup-q.tsv.gz and ans.tsv.gz, or Posts.xml with PostLinks.xml"
    raise SourceError(folder, "", "no FAQ data here", f"give a folder that holds {kinds}")
