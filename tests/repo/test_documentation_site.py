"""The documentation as one whole, without its generator: each link and anchor leads somewhere, and the navigation leads to each page.

`make docs` says the same by Sphinx's warnings; this is quick enough for every test run.
"""

import re
from collections import Counter
from pathlib import Path

import pytest

from documentation.pages import render_pages
from local_clusters import ROOT

DOCS = ROOT / "docs"
INDEX = DOCS / "index.md"
PAGES = sorted(
    {
        *DOCS.rglob("*.md"),
        *ROOT.glob("samples/**/README.md"),
        *ROOT.glob("benchmarks/*/results/*.md"),
        ROOT / "benchmarks" / "README.md",
        ROOT / "CHANGELOG.md",
        ROOT / "CONTRIBUTING.md",
    }
)
READ = [*PAGES, ROOT / "README.md"]

FENCE = re.compile(r"^(```+).*?^\1", re.MULTILINE | re.DOTALL)
TOCTREE = re.compile(r"^```\{toctree\}\n(.*?)^```", re.MULTILINE | re.DOTALL)
CODE = re.compile(r"(`+).+?\1")
LINK = re.compile(r"!?\[[^]]*\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#{1,6} +(.+)$", re.MULTILINE)
PICTURE = re.compile(r"!\[([^]]*)\]\(([^)\s]+)\)")

every_page = pytest.mark.parametrize("page", READ, ids=lambda page: str(page.relative_to(ROOT)))


def read_prose(page: Path) -> str:
    """Return a page without its fenced blocks."""
    return FENCE.sub("", page.read_text())


def make_anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub and the site make them."""
    anchors: set[str] = set()
    seen: Counter[str] = Counter()
    for heading in HEADING.findall(read_prose(page)):
        text = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading).replace("`", "").strip().lower()
        slug = re.sub(r"[^\w\- ]", "", text).replace(" ", "-")
        anchors.add(f"{slug}-{seen[slug]}" if seen[slug] else slug)
        seen[slug] += 1
    return anchors


def find_links(page: Path) -> list[tuple[Path, str]]:
    """Return the files that a page links to, with the anchors in them."""
    prose = CODE.sub("", read_prose(page))
    inner = [link for link in LINK.findall(prose) if "://" not in link and not link.startswith("mailto:")]
    parts = [link.partition("#") for link in inner]
    return [((page.parent / path).resolve() if path else page, anchor) for path, _, anchor in parts]


def read_navigation(page: Path) -> set[Path]:
    """Return the pages that a page's table of contents names, and those that theirs do."""
    found: set[Path] = set()
    for block in TOCTREE.findall(page.read_text()):
        for entry in [line for line in block.splitlines() if line and not line.startswith(":")]:
            paths = page.parent.glob(f"{entry}.md") if "*" in entry else [page.parent / f"{entry}.md"]
            for path in map(Path.resolve, paths):
                found |= {path} | read_navigation(path)
    return found


@every_page
def test_links_lead_to_files_and_headings(page: Path) -> None:
    broken = [
        f"{path.relative_to(ROOT)}#{anchor}"
        for path, anchor in find_links(page)
        if not path.is_file() or (anchor and path.suffix == ".md" and anchor not in make_anchors(path))
    ]
    assert not broken


@every_page
def test_pictures_have_a_text_for_those_who_do_not_see_them(page: Path) -> None:
    assert not [path for text, path in PICTURE.findall(read_prose(page)) if not text.strip()]


def test_navigation_leads_to_each_page_and_to_no_other() -> None:
    assert read_navigation(INDEX) == {*PAGES} - {INDEX}, "put the page into a toctree of docs/index.md"


def test_each_decision_is_in_the_list_by_number_and_title() -> None:
    listed = dict(
        re.findall(r"^\| \d+ \| \[(.+)\]\((\d{4}-.+\.md)\) \|$", (DOCS / "adr" / "README.md").read_text(), re.M)
    )
    titles = {path.name: path.read_text().splitlines()[0] for path in DOCS.glob("adr/0*.md")}
    assert {name: f"# {int(name[:4])}. {title}" for title, name in listed.items()} == titles


def test_api_reference_is_what_the_crds_say() -> None:
    written = {path.name: path.read_text() for path in (DOCS / "reference").iterdir()}
    assert written == render_pages(), "run `make crds`"


@pytest.mark.parametrize(("kind", "path"), [("scoringmodel", "spec.endpoint"), ("hardwareclass", "spec.accelerator")])
def test_api_reference_has_a_section_for_each_object(kind: str, path: str) -> None:
    page = (DOCS / "reference" / f"{kind}.md").read_text()
    assert f"\n## `{path}`\n" in page
    assert f"](#{path.replace('.', '')})" in page


def test_claims_about_other_projects_have_their_sources() -> None:
    claims, sources = (DOCS / "comparison.md").read_text().split("\n## Sources\n")
    listed = re.findall(r"^\| ([A-Z]\d+) \| \S+/\S+ `.+` ?.*\|$", sources, re.MULTILINE)
    assert {mark for marks in re.findall(r"\[((?:[A-Z]\d+(?:, )?)+)\]", claims) for mark in marks.split(", ")} == {
        *listed
    }
    assert len(listed) == len({*listed})
