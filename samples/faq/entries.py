"""The FAQ as every source gives it: originals with an answer and the questions that repeat them. Lowest layer of the sample."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from samples.faq.errors import SampleError
from scoring_runtime.faq import Original, clean_text

Id = int | str


@dataclass(frozen=True)
class Duplicate:
    """A question that repeats an original."""

    id: Id
    text: str


@dataclass(frozen=True)
class Entry:
    """An original with its answer and its duplicates."""

    id: Id
    answer_id: Id
    title: str
    question: str
    answer: str
    duplicates: tuple[Duplicate, ...]

    @property
    def asked(self) -> str:
        """Title and question, all that the reference's model gets to know."""
        return f"{self.title}\n{self.question}"

    @property
    def original(self) -> Original:
        """The entry as the matcher takes it. The answer belongs to it: it uses the words that askers do not know yet."""
        return Original(id=self.id, answer_id=self.answer_id, text=f"{self.asked}\n{self.answer}")


@dataclass(frozen=True)
class Limits:
    """What an entry needs to be used."""

    min_duplicates: int
    min_text: int = 0  # characters of cleaned text, of an original and of a duplicate


def parse_id(text: str) -> Id:
    """Return a whole number as int, anything else as it is."""
    return int(text) if text.isascii() and text.isdigit() else text


def select_entries(entries: Iterable[Entry], limits: Limits) -> list[Entry]:
    """Return the entries with enough text and duplicates, as the reference's preparation does.

    A duplicate counts once, for the first original that names it, and never when it is an original itself.
    Raises SampleError when fewer than two entries are left.
    """
    found = [entry for entry in entries if _is_long(entry.asked, limits)]
    selected = [entry for entry in _without_repeats(found, limits) if len(entry.duplicates) >= limits.min_duplicates]
    if len(selected) <= 1:
        raise SampleError(
            f"{len(selected)} of {len(found)} originals have {limits.min_duplicates} or more duplicates, two are needed: "
            "lower --min-duplicates or --min-text, or bring more data"
        )
    return selected


def _without_repeats(entries: list[Entry], limits: Limits) -> Iterator[Entry]:
    seen = {entry.id for entry in entries}
    for entry in entries:
        kept = []
        for duplicate in entry.duplicates:
            if duplicate.id not in seen and _is_long(duplicate.text, limits):
                seen.add(duplicate.id)
                kept.append(duplicate)
        yield replace(entry, duplicates=tuple(kept))


def _is_long(text: str, limits: Limits) -> bool:
    return len(clean_text(text)) >= max(limits.min_text, 1)
