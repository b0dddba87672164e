"""Reads the reference's three tables of tab-separated values. Beside `documents` and `dump`, below `sources`.

`orig-q.tsv.gz` and `dup-q.tsv.gz` have the columns Id, AnswerId, Text0 and CreationDate, `ans.tsv.gz` has Id and Text0; the
published files have no header row. A duplicate belongs to the original with the same AnswerId.
"""

import csv
import gzip
import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from samples.faq.entries import Duplicate, Entry, Id, parse_id
from samples.faq.errors import SourceError

ORIGINALS, DUPLICATES, ANSWERS = "orig-q.tsv", "dup-q.tsv", "ans.tsv"

_QUESTION_COLUMNS = ("id", "answerid", "text")
_ANSWER_COLUMNS = ("id", "text")
_LONGEST_TEXT = 16 * 1024 * 1024
_TITLE_END = ". <"
_LONGEST_TITLE = 150


@dataclass(frozen=True)
class Row:
    """One row: the text's own id, the id of its answer (of an answer: its own), the text."""

    id: Id
    answer_id: Id
    text: str


def find_table(folder: Path, name: str) -> Path | None:
    """Return the path of the table, packed (.gz) or not, or None."""
    return next((path for path in (folder / f"{name}.gz", folder / name) if path.is_file()), None)


def read_tables(folder: Path) -> Iterator[Entry]:
    """Yield the originals that have an answer, with their duplicates. Raises SourceError naming the row that is wrong."""
    answers = {row.id: row.text for row in _read_table(folder, ANSWERS, _ANSWER_COLUMNS)}
    duplicates: dict[Id, list[Duplicate]] = {}
    for row in _read_table(folder, DUPLICATES, _QUESTION_COLUMNS):
        duplicates.setdefault(row.answer_id, []).append(Duplicate(row.id, row.text))
    for row in _read_table(folder, ORIGINALS, _QUESTION_COLUMNS):
        if row.answer_id in answers:
            title, question = _split_title(row.text)
            known = tuple(duplicates.get(row.answer_id, ()))
            yield Entry(row.id, row.answer_id, title, question, answers[row.answer_id], known)


def _read_table(folder: Path, name: str, columns: tuple[str, ...]) -> Iterator[Row]:
    path = find_table(folder, name)
    if path is None:
        raise SourceError(folder / f"{name}.gz", "", "there is no such file", "bring all three tables of the reference")
    csv.field_size_limit(_LONGEST_TEXT)
    try:
        with _open_text(path) as file:
            yield from _read_rows(path, file, columns)
    except (csv.Error, UnicodeDecodeError, gzip.BadGzipFile, EOFError) as error:
        raise SourceError(path, "", f"not a table in UTF-8 ({error})", "fetch or export it again") from error


def _open_text(path: Path) -> IO[str]:
    if path.suffix == ".gz":
        return gzip.open(path, "rt", encoding="utf-8", newline="")
    return path.open(encoding="utf-8", newline="")


def _read_rows(path: Path, file: IO[str], columns: tuple[str, ...]) -> Iterator[Row]:
    reader = csv.reader(file, delimiter="\t")
    first = next(reader, None)
    if first is None:
        raise SourceError(path, "row 1", "the table is empty", "fetch or export it again")
    header = [name.strip().lower().rstrip("0") for name in first]
    has_header = header[0] == "id"
    positions = _find_columns(path, header, columns) if has_header else {name: at for at, name in enumerate(columns)}
    for cells in reader if has_header else itertools.chain([first], reader):
        if cells:
            yield _read_row(path, reader.line_num, cells, positions)


def _find_columns(path: Path, header: list[str], columns: tuple[str, ...]) -> dict[str, int]:
    missing = [name for name in columns if name not in header]
    if missing:
        raise SourceError(path, "row 1", f"no column {', '.join(missing)}", "name the columns Id, AnswerId, Text0")
    return {name: header.index(name) for name in columns}


def _read_row(path: Path, line: int, cells: list[str], positions: Mapping[str, int]) -> Row:
    if len(cells) <= max(positions.values()):
        problem = f"{len(cells)} columns instead of {max(positions.values()) + 1} or more"
        raise SourceError(path, f"line {line}", problem, "separate Id, AnswerId (not for answers) and Text0 by tabs")
    own = parse_id(cells[positions["id"]].strip())
    if own == "":
        raise SourceError(path, f"line {line}", "no id", "give each row an id")
    answer = parse_id(cells[positions["answerid"]].strip()) if "answerid" in positions else own
    return Row(own, answer, cells[positions["text"]])


def _split_title(text: str) -> tuple[str, str]:
    """The tables hold title and body in one text, a title ending in a full stop before the body's first tag."""
    title, separator, body = text.partition(_TITLE_END)
    if separator and len(title) <= _LONGEST_TITLE:
        return title, f"<{body}"
    return text[:_LONGEST_TITLE].strip(), text
