"""Reading the three kinds of data: what is taken from good files, and how bad ones are refused."""

import gzip
from pathlib import Path
from typing import Any
from xml.sax.saxutils import quoteattr

import pytest
import yaml

from samples.faq.entries import Duplicate, Entry
from samples.faq.errors import SampleError, SourceError
from samples.faq.sources import Selection, read_entries

ANY = Selection(min_duplicates=1, min_text=1)


def make_document(number: int, **changes: Any) -> dict[str, Any]:
    known = [{"id": 100 * number + k, "text": f"question {number} asked in way {k}"} for k in range(8)]
    document = {
        "id": number,
        "title": f"Title {number}",
        "question": "Why?\n",
        "answer": "Because.",
        "answer_id": -number,
    }
    return document | {"duplicates": known} | changes


def write_yaml(folder: Path, *documents: Any, name: str = "faq.yaml") -> Path:
    (folder / name).write_text(yaml.safe_dump(list(documents)), encoding="utf-8")
    return folder


def write_tables(folder: Path, originals: str, duplicates: str, answers: str) -> Path:
    for name, text in (("orig-q", originals), ("dup-q", duplicates), ("ans", answers)):
        (folder / f"{name}.tsv.gz").write_bytes(gzip.compress(text.encode()))
    return folder


def write_dump(folder: Path, posts: list[dict[str, Any]], links: list[dict[str, Any]]) -> Path:
    for name, root, rows in (("Posts", "posts", posts), ("PostLinks", "postlinks", links)):
        lines = [f"<row {' '.join(f'{key}={quoteattr(str(value))}' for key, value in row.items())} />" for row in rows]
        text = "\n".join(['<?xml version="1.0" encoding="utf-8"?>', f"<{root}>", *lines, f"</{root}>"])
        (folder / f"{name}.xml").write_text(text, encoding="utf-8")
    return folder


def ask(number: int, tags: str = "<javascript><arrays>", **more: Any) -> dict[str, Any]:
    return {"Id": number, "PostTypeId": 1, "Title": f"Title {number}", "Body": f"<p>{number}?</p>", "Tags": tags} | more


def reply(number: int, parent: int, score: int) -> dict[str, Any]:
    return {"Id": number, "PostTypeId": 2, "ParentId": parent, "Score": score, "Body": f"<p>answer {number}</p>"}


def link(duplicate: int, original: int, kind: int = 3) -> dict[str, Any]:
    return {"Id": 1, "PostId": duplicate, "RelatedPostId": original, "LinkTypeId": kind}


POSTS = [
    ask(1, AcceptedAnswerId=11),
    ask(2, tags="|javascript|"),
    ask(3, tags="<python>"),
    *(ask(number) for number in (4, 5, 6, 7)),
    reply(10, 1, 90),
    reply(11, 1, 5),
    reply(12, 1, 80),
    reply(13, 2, -3),
    reply(14, 2, 8),
    reply(15, 3, 1),
]
LINKS = [link(4, 1), link(5, 2), link(6, 3), link(7, 1, kind=1), link(99, 1)]


def test_yaml_files_are_read_in_order_of_their_names(tmp_path: Path) -> None:
    write_yaml(tmp_path, make_document(2), name="b.yaml")
    write_yaml(tmp_path, make_document(1), name="a.yaml")
    first, second = read_entries(tmp_path, Selection())
    assert (first.id, second.id) == (1, 2)
    assert (first.asked, first.answer_id, first.duplicates[3].id) == ("Title 1\nWhy?", -1, 103)
    assert first.original.text == "Title 1\nWhy?\nBecause."


@pytest.mark.parametrize(
    ("document", "message"),
    [
        (make_document(2, answer=None), "original 2: the field `answer` is missing or of the wrong type; give a text"),
        (make_document(2, title=404), "original 2: the field `title` is missing or of the wrong type; give a text"),
        (make_document(2, id=True), "original 2: the field `id` is missing or of the wrong type; give a whole number"),
        (make_document(2, duplicates=[{"id": 1}]), "original 2, duplicate 1: the field `text` is missing"),
        (make_document(2, duplicates=["text"]), "original 2, duplicate 1: not a mapping; give the fields id, text"),
        ("text", "original 2: not a mapping; give the fields id, title, question"),
    ],
)
def test_yaml_entry_is_refused_with_its_place(tmp_path: Path, document: Any, message: str) -> None:
    write_yaml(tmp_path, make_document(1), document)
    with pytest.raises(SourceError) as refusal:
        read_entries(tmp_path, Selection())
    assert str(refusal.value).startswith(f"{tmp_path / 'faq.yaml'}, {message}")


@pytest.mark.parametrize(
    ("text", "message"), [("- [", "not YAML in UTF-8"), ("a: 1", "not a list"), ("", "not a list")]
)
def test_yaml_file_is_refused_when_it_is_no_list(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "faq.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(SourceError, match=message):
        read_entries(tmp_path, Selection())


def test_original_with_too_few_duplicates_is_left_out(tmp_path: Path) -> None:
    few = make_document(3, duplicates=[{"id": 901, "text": "only one"}])
    write_yaml(tmp_path, make_document(1), make_document(2), few)
    assert [entry.id for entry in read_entries(tmp_path, Selection())] == [1, 2]
    assert [entry.id for entry in read_entries(tmp_path, Selection(min_duplicates=1))] == [1, 2, 3]


def test_too_few_usable_originals_are_refused(tmp_path: Path) -> None:
    with pytest.raises(
        SampleError, match="1 of 1 originals have 8 or more duplicates, two are needed: lower --min-dup"
    ):
        read_entries(write_yaml(tmp_path, make_document(1)), Selection())


def test_duplicate_counts_once_and_never_when_it_is_an_original(tmp_path: Path) -> None:
    shared = [{"id": 7, "text": "shared"}, {"id": 2, "text": "an original itself"}, {"id": 8, "text": "own"}]
    write_yaml(
        tmp_path, make_document(1, duplicates=shared), make_document(2, duplicates=[*shared, {"id": 9, "text": "x"}])
    )
    first, second = read_entries(tmp_path, ANY)
    assert [duplicate.id for duplicate in first.duplicates] == [7, 8]
    assert [duplicate.id for duplicate in second.duplicates] == [9]


def test_folder_without_data_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"no FAQ data here; give a folder that holds \*\.yaml files"):
        read_entries(tmp_path, Selection())


def test_tables_of_the_reference_are_read_without_a_header(tmp_path: Path) -> None:
    originals = (
        '1\t11\tHow? <b>. <p>Body of one</p>\t2008-10-20\n2\t12\t"Quoted\ttext\nof two"\t2008\n3\t13\tno answer\t2008\n'
    )
    duplicates = "4\t11\tDup of one\t2009\nx5\t12\tDup of two\t2009\n6\t13\tDup of three\t2009\n"
    entries = read_entries(write_tables(tmp_path, originals, duplicates, "11\t<p>Answer</p>\n12\tOther\n"), ANY)
    assert entries[0] == Entry(1, 11, "How? <b>", "<p>Body of one</p>", "<p>Answer</p>", (Duplicate(4, "Dup of one"),))
    assert entries[1].question == "Quoted\ttext\nof two"
    assert entries[1].duplicates == (Duplicate("x5", "Dup of two"),)
    assert len(entries) == 2


def test_tables_with_a_header_may_have_other_columns(tmp_path: Path) -> None:
    originals = "Id\tCreationDate\tText0\tAnswerId\n1\t2008\tone\t11\n2\t2008\ttwo\t12\n"
    duplicates = "AnswerId\tId\tText\n".replace("AnswerId\tId", "Id\tAnswerId") + "4\t11\tdup one\n5\t12\tdup two\n"
    entries = read_entries(write_tables(tmp_path, originals, duplicates, "Id\tText0\n11\ta\n12\tb\n"), ANY)
    assert [(entry.id, entry.answer_id, entry.question, entry.answer) for entry in entries] == [
        (1, 11, "one", "a"),
        (2, 12, "two", "b"),
    ]


def test_tables_ask_for_the_reference_s_limits(tmp_path: Path) -> None:
    long = "word " * 40
    originals = "".join(f"{n}\t{n}\t{long}{n}\t2008\n" for n in (1, 2, 3))
    known = {1: 12, 2: 11, 3: 12}
    duplicates = "".join(f"{100 * n + k}\t{n}\t{long}{k}\t2009\n" for n, count in known.items() for k in range(count))
    entries = read_entries(write_tables(tmp_path, originals, duplicates, "1\ta\n2\tb\n3\tc\n"), Selection())
    assert [entry.id for entry in entries] == [1, 3]


@pytest.mark.parametrize(
    ("duplicates", "message"),
    [
        (
            "4\t11\n",
            "line 1: 2 columns instead of 3 or more; separate Id, AnswerId (not for answers) and Text0 by tabs",
        ),
        ("4\t11\ta\n\t11\tb\n", "line 2: no id; give each row an id"),
        ("", "row 1: the table is empty; fetch or export it again"),
        ("Id\tText0\n", "row 1: no column answerid; name the columns Id, AnswerId, Text0"),
    ],
)
def test_table_is_refused_with_its_place(tmp_path: Path, duplicates: str, message: str) -> None:
    write_tables(tmp_path, "1\t11\tone\t2008\n", duplicates, "11\ta\n")
    with pytest.raises(SourceError) as refusal:
        read_entries(tmp_path, ANY)
    assert str(refusal.value) == f"{tmp_path / 'dup-q.tsv.gz'}, {message}"


@pytest.mark.parametrize(
    "content", [b"no gzip", gzip.compress(b"1\t11\tone\t2008\n", mtime=0)[:-9], gzip.compress(b"1\t1\t\xff\n", mtime=0)]
)
def test_broken_table_is_refused(tmp_path: Path, content: bytes) -> None:
    write_tables(tmp_path, "", "4\t11\ta\n", "11\ta\n")
    (tmp_path / "orig-q.tsv.gz").write_bytes(content)
    with pytest.raises(SourceError, match=r"orig-q\.tsv\.gz: not a table in UTF-8 \(.+\); fetch or export it again"):
        read_entries(tmp_path, ANY)


def test_missing_table_is_named(tmp_path: Path) -> None:
    (tmp_path / "orig-q.tsv").write_text("1\t11\tone\t2008\n", encoding="utf-8")
    with pytest.raises(SourceError, match=r"ans\.tsv\.gz: there is no such file; bring all three tables"):
        read_entries(tmp_path, ANY)


def test_dump_gives_tagged_originals_with_their_best_answers(tmp_path: Path) -> None:
    entries = read_entries(write_dump(tmp_path, POSTS, LINKS), ANY)
    assert entries[0] == Entry(1, 11, "Title 1", "<p>1?</p>", "<p>answer 11</p>", (Duplicate(4, "Title 4\n<p>4?</p>"),))
    assert [(entry.id, entry.answer_id) for entry in entries] == [(1, 11), (2, 14)]


def test_dump_can_be_read_for_another_tag(tmp_path: Path) -> None:
    posts = [*POSTS, ask(8, tags="<python>"), reply(16, 8, 0), ask(9)]
    write_dump(tmp_path, posts, [*LINKS, link(9, 8)])
    entries = read_entries(tmp_path, Selection(min_duplicates=1, min_text=1, tag="python"))
    assert [entry.id for entry in entries] == [3, 8]


@pytest.mark.parametrize(
    ("posts", "links", "message"),
    [
        (
            POSTS,
            [{"PostId": 4, "LinkTypeId": 3}],
            "PostLinks.xml, row 1: no attribute RelatedPostId; use the dump's own",
        ),
        ([{"Id": "x", "PostTypeId": 1}], LINKS, "Posts.xml, row 1: Id is 'x', not a whole number; use the dump's own"),
        ([{"Id": 1, "PostTypeId": 1}], LINKS, "Posts.xml, row 1: no attribute Title; use the dump's own files"),
    ],
)
def test_dump_is_refused_with_its_place(
    tmp_path: Path, posts: list[dict[str, Any]], links: list[dict[str, Any]], message: str
) -> None:
    with pytest.raises(SourceError) as refusal:
        read_entries(write_dump(tmp_path, posts, links), ANY)
    assert str(refusal.value).startswith(f"{tmp_path}/{message}")


def test_cut_off_dump_is_refused(tmp_path: Path) -> None:
    write_dump(tmp_path, POSTS, LINKS)
    (tmp_path / "Posts.xml").write_text('<posts><row Id="1" PostTypeId="2" />', encoding="utf-8")
    with pytest.raises(SourceError, match=r"Posts\.xml, after row 1: not XML \(.+\); unpack it again"):
        read_entries(tmp_path, ANY)


def test_dump_without_links_is_refused(tmp_path: Path) -> None:
    write_dump(tmp_path, POSTS, LINKS)
    (tmp_path / "PostLinks.xml").unlink()
    with pytest.raises(SourceError, match=r"PostLinks\.xml: there is no such file; unpack it from the site's archive"):
        read_entries(tmp_path, ANY)
