"""Reads a public Stack Exchange dump: Posts.xml and PostLinks.xml. Beside `documents` and `tables`, below `sources`.

Posts.xml of Stack Overflow has 100 GB: both files are read row by row, and of the posts only those that a duplicate link
names, and their answers, are kept. The standard library's parser does not defend against hostile XML: read only dumps from
a place that you trust.
"""

import re
import xml.etree.ElementTree as ET  # see above
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from samples.faq.entries import Duplicate, Entry
from samples.faq.errors import SourceError

POSTS, LINKS = "Posts.xml", "PostLinks.xml"

_DUPLICATE_LINK, _QUESTION, _ANSWER = "3", "1", "2"
_TAG = re.compile(r"[^<>|]+")


@dataclass
class Answers:
    """What is known of an original's answers so far: the accepted one's id, and the best with its rank."""

    accepted: str = ""
    best_id: int = 0
    best_text: str = ""
    rank: tuple[bool, int] = (False, -(2**31))

    def offer(self, post: dict[str, str]) -> None:
        """Keep the answer when it is the accepted one, or has a higher score than those before."""
        rank = (post["Id"] == self.accepted, int(post.get("Score", "0")))
        if rank > self.rank:
            self.rank, self.best_id, self.best_text = rank, int(post["Id"]), post.get("Body", "")


@dataclass
class Posts:
    """The posts that matter, by id."""

    questions: dict[int, dict[str, str]] = field(default_factory=dict)
    answers: dict[int, Answers] = field(default_factory=dict)


def read_dump(folder: Path, tag: str) -> Iterator[Entry]:
    """Yield the originals tagged `tag` with their best answer (the accepted one, or else that with the highest score).

    Raises SourceError naming the row that is wrong.
    """
    links = _read_links(folder / LINKS)
    posts = _read_posts(folder / POSTS, set(links) | set(links.values()), set(links.values()))
    duplicates: dict[int, list[Duplicate]] = {}
    for duplicate, original in links.items():
        if duplicate in posts.questions:
            text = f"{posts.questions[duplicate]['Title']}\n{posts.questions[duplicate]['Body']}"
            duplicates.setdefault(original, []).append(Duplicate(duplicate, text))
    for original, known in duplicates.items():
        question, answers = posts.questions.get(original), posts.answers.get(original)
        if question and answers and answers.best_id and tag in _TAG.findall(question["Tags"]):
            yield Entry(original, answers.best_id, question["Title"], question["Body"], answers.best_text, tuple(known))


def _read_links(path: Path) -> dict[int, int]:
    """Return each duplicate's original, the first one when it has several."""
    links: dict[int, int] = {}
    for number, row in _read_rows(path):
        _require(path, number, row, "PostId", "RelatedPostId", "LinkTypeId")
        if row["LinkTypeId"] == _DUPLICATE_LINK:
            links.setdefault(int(row["PostId"]), int(row["RelatedPostId"]))
    return links


def _read_posts(path: Path, wanted: set[int], originals: set[int]) -> Posts:
    posts = Posts()
    for number, row in _read_rows(path):
        _require(path, number, row, "Id", "PostTypeId")
        if row["PostTypeId"] == _QUESTION and int(row["Id"]) in wanted:
            _require(path, number, row, "Title", "Body", "Tags")
            posts.questions[int(row["Id"])] = {name: row[name] for name in ("Title", "Body", "Tags")}
            posts.answers[int(row["Id"])] = Answers(row.get("AcceptedAnswerId", ""))
        elif row["PostTypeId"] == _ANSWER and int(row.get("ParentId", "0")) in originals:
            posts.answers.setdefault(int(row["ParentId"]), Answers()).offer(row)
    return posts


def _read_rows(path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield each row's number and attributes, forgetting it afterwards."""
    number = 0
    try:
        with path.open("rb") as file:
            rows = ET.iterparse(file, events=("start", "end"))  # noqa: S314  # see above
            _, root = next(rows)
            for event, element in rows:
                if event == "end" and element.tag == "row":
                    number += 1
                    yield number, dict(element.attrib)
                    root.clear()
    except FileNotFoundError as error:
        raise SourceError(path, "", "there is no such file", "unpack it from the site's archive") from error
    except ET.ParseError as error:
        raise SourceError(path, f"after row {number}", f"not XML ({error})", "unpack it again") from error


def _require(path: Path, number: int, row: dict[str, str], *names: str) -> None:
    for name in names:
        if name not in row:
            raise SourceError(path, f"row {number}", f"no attribute {name}", "use the dump's own files, unchanged")
        if name.endswith("Id") and not row[name].isdigit():
            problem = f"{name} is {row[name]!r}, not a whole number"
            raise SourceError(path, f"row {number}", problem, "use the dump's own files, unchanged")
