"""A real Chromium, headless, driven by Playwright; and axe-core, which looks for what people with disabilities could not use."""

import io
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image

from local_clusters import ROOT

if TYPE_CHECKING:
    from playwright.sync_api import Browser, ConsoleMessage, Page

PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
AXE = ROOT / "tests" / "browser" / "axe"
DESKTOP: dict[str, Any] = {"viewport": {"width": 1100, "height": 800}}
PHONE: dict[str, Any] = {"viewport": {"width": 390, "height": 780}, "is_mobile": True, "has_touch": True}
WAIT_MILLISECONDS = 20_000


def find_chromium() -> str | None:
    """Return the path of Chromium; None when there is none."""
    return next((path for path in map(shutil.which, PROGRAMS) if path is not None), None)


@contextmanager
def run_chromium(program: str, driver: Any) -> "Iterator[Browser]":
    """Yield a browser; `driver` is Playwright's synchronous module, which may be missing where these tests are skipped."""
    with driver.sync_playwright() as playwright:
        # Chromium's own sandbox does not run as root, as which these tests run where they have real pods.
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield browser
        browser.close()


@contextmanager
def open_page(browser: "Browser", address: str, **context: Any) -> "Iterator[Page]":
    """Yield a page of a fresh visitor. At its end, what broke the page's own policy or its scripts is an AssertionError."""
    options = {"reduced_motion": "reduce", **DESKTOP, **context}
    with browser.new_context(base_url=address, locale="en-GB", **options) as visit:
        page = visit.new_page()
        page.set_default_timeout(WAIT_MILLISECONDS)
        broken: list[str] = []
        page.on("pageerror", lambda error: broken.append(str(error)))
        page.on("console", lambda message: broken.extend(find_broken(message)))
        yield page
        if broken:
            raise AssertionError(broken)


def find_broken(message: "ConsoleMessage") -> list[str]:
    """Return an error on the console; that an answer was not 200 is none of the page."""
    is_error = message.type == "error" and "Failed to load resource" not in message.text
    return [message.text] if is_error else []


def get_axe() -> str:
    """Return axe-core's script, got from npm by its lock where it is not there yet."""
    installed = ROOT / "build" / "axe"
    script = installed / "node_modules" / "axe-core" / "axe.min.js"
    if not script.exists():
        installed.mkdir(parents=True, exist_ok=True)
        for name in ("package.json", "package-lock.json"):
            (installed / name).write_bytes((AXE / name).read_bytes())
        subprocess.run(["npm", "ci", "--no-audit", "--no-fund"], cwd=installed, check=True, capture_output=True)
    return script.read_text()


def find_barriers(page: "Page") -> list[str]:
    """Return what axe-core finds wrong with the page as it is shown now, by its rules of WCAG 2.2 AA and of good practice."""
    page.evaluate(get_axe())
    found = page.evaluate("axe.run()")
    return [f"{one['id']}: {[node['html'] for node in one['nodes']]}" for one in found["violations"]]


def take_picture(page: "Page", path: Path) -> None:
    """Write a screenshot of the page as WebP, small enough for a repository."""
    shot = Image.open(io.BytesIO(page.screenshot()))
    shot.save(path, "WEBP", quality=80, method=6)
