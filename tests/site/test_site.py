"""The site as `make docs` has built it: whole, sufficient to itself, and searchable in a browser that has no network.

`make docs` runs it, after Sphinx has treated every warning as an error.
"""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from local_clusters import ROOT

SITE = ROOT / "build" / "site"
PAGES = sorted(path for path in SITE.rglob("*.html") if "_static" not in path.parts)
RESOURCE = re.compile(r"""<(?:script|img|iframe|source)\b[^>]*\bsrc=["']([^"']+)|<link\b[^>]*\bhref=["']([^"']+)""")
IN_STYLE = re.compile(r"""(?:@import\s+|url\()["']?([^"')]+)""")
ANCHOR = re.compile(r"""<a\b[^>]*\bhref=["']([^"'#?]+)""")
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")

every_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(SITE)))


def test_site_is_built() -> None:
    assert len(PAGES) > 50, "run `make docs`"


@every_page
def test_page_loads_nothing_from_elsewhere(page: Path) -> None:
    resources = {found for pair in RESOURCE.findall(page.read_text()) for found in pair if found}
    local = {found.partition("?")[0] for found in resources if not found.startswith(("data:", "#"))}
    assert not [found for found in local if "//" in found]
    assert not [found for found in local if not (page.parent / found).resolve().exists()]


def test_styles_load_nothing_from_elsewhere() -> None:
    styles = {path: path.read_text() for path in SITE.rglob("*.css")}
    assert styles
    found = {path: IN_STYLE.findall(text) for path, text in styles.items()}
    assert not [url for urls in found.values() for url in urls if url.startswith(("http:", "https:", "//"))]


@every_page
def test_links_inside_the_site_lead_to_pages(page: Path) -> None:
    links = {link for link in ANCHOR.findall(page.read_text()) if ":" not in link and "//" not in link}
    assert not [link for link in links if not (page.parent / link).resolve().exists()]


def test_first_address_leads_to_the_first_page() -> None:
    assert "url=docs/index.html" in (SITE / "index.html").read_text()


@pytest.mark.skipif(CHROMIUM is None, reason="the search is tried in Chromium, which is not installed")
@pytest.mark.parametrize(
    ("word", "page"),
    [
        ("DigestMismatch", "docs/status.html"),
        ("cooldownPeriod", "docs/reference/scoringmodel.html"),
        ("velero", "docs/operations/backup.html"),
    ],
)
def test_search_finds_a_word_without_network(word: str, page: str, tmp_path: Path) -> None:
    command = [
        str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path}",
        "--host-resolver-rules=MAP * ~NOTFOUND", "--virtual-time-budget=10000", "--dump-dom",
        f"file://{SITE}/search.html?q={word}",
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    results = re.search(r'<ul[^>]*class="search".*?</ul>', done.stdout, re.DOTALL)
    assert results is not None, done.stdout[-3000:]
    assert page in results[0]
