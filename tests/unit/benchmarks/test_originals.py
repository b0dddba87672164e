"""FAQs of any size are the same each time, and no two entries have one id."""

from benchmarks.serving.originals import HAND_WRITTEN, make_entries
from samples.faq.sources import Selection, read_entries


def test_first_entries_are_the_hand_written_ones() -> None:
    written = read_entries(HAND_WRITTEN, Selection())
    assert make_entries(len(written)) == written


def test_smaller_number_is_the_beginning_of_a_larger() -> None:
    assert make_entries(500)[:200] == make_entries(200)


def test_entries_have_ids_and_texts_of_their_own() -> None:
    entries = make_entries(500)
    ids = [entry.id for entry in entries] + [each.id for entry in entries for each in entry.duplicates]
    assert len(set(ids)) == len(ids)
    assert len({entry.original.text for entry in entries}) == 500
