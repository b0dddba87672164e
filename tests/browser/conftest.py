"""A headless Chromium before the sample app, whose models are real runtimes with artifacts trained here. `make browser`.

`pytest tests/browser --write-screenshots` also writes the pictures of docs/images anew.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from app_processes import AppProcess, mount
from app_steps import sign_in
from app_visitors import Mounted
from chromium import find_chromium, open_page, run_chromium, take_picture
from digit_classifiers import DigitClassifier, package_digits
from local_clusters import ROOT
from packaged_samples import run_sample
from runtime_processes import Runtime
from scoring_runtime.access.keys import hash_key

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

API_KEY = "the key of both models"
PICTURES = ROOT / "docs" / "images"
SHOWN = ("sign-in", "ask-desktop-light", "ask-phone-light", "look-phone-dark")
"""The pictures that docs/sample-app.md shows."""

StartRuntime = Callable[..., Runtime]
StartApp = Callable[..., AppProcess]
OpenPage = Callable[..., "Page"]
Shoot = Callable[["Page", str], None]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--write-screenshots", action="store_true", help="write the pictures of docs/images anew")


@dataclass(frozen=True)
class Packaged:
    """The two artifacts, the FAQ's texts, and a picture of a digit."""

    faq: Path
    answers: Path
    digits: DigitClassifier


@pytest.fixture(scope="session")
def browser() -> "Iterator[Browser]":
    """Yield Chromium; without it, or without its driver, the tests are skipped."""
    driver = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed: `make .venv/browser`")
    program = find_chromium()
    if program is None:
        pytest.skip("there is no Chromium: on Debian, `apt-get install chromium`")
    with run_chromium(program, driver) as browser:
        yield browser


@pytest.fixture(scope="session")
def packaged(browser: "Browser", tmp_path_factory: pytest.TempPathFactory) -> Packaged:
    """Train the FAQ and a classifier of digits, once it is known that there is a browser."""
    del browser
    folder = tmp_path_factory.mktemp("packaged")
    faq = run_sample("-m", "samples.faq", "train", "--output", str(folder / "faq"))
    return Packaged(Path(faq["archive"]), Path(faq["answers"]), package_digits(folder))


@pytest.fixture(scope="session")
def digit(packaged: Packaged) -> DigitClassifier:
    """Return the classifier, whose picture is shown to it."""
    return packaged.digits


@pytest.fixture(scope="session")
def start_runtime(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StartRuntime]:
    """Yield a function that starts a runtime for an artifact, which asks for the key, and waits until it is ready."""
    with ExitStack() as stack:

        def start(archive: Path, **variables: str) -> Runtime:
            folder = tmp_path_factory.mktemp("runtime")
            (folder / "keys").mkdir()
            (folder / "keys" / "app").write_text(hash_key(API_KEY))
            base = {"MODEL_URI": archive.as_uri(), "API_KEYS_DIR": str(folder / "keys"), "DRAIN_SECONDS": "0"}
            base |= {"WORK_DIR": str(folder / "work"), "TERMINATION_LOG": str(folder / "termination-log")}
            runtime = Runtime({f"SCORING_{name}": value for name, value in {**base, **variables}.items()})
            stack.callback(runtime.end)
            runtime.wait_for_log("ready")
            runtime.follow_log()
            return runtime

        yield start


@pytest.fixture(scope="session")
def faq(packaged: Packaged, start_runtime: StartRuntime) -> Runtime:
    """Return the FAQ's runtime."""
    return start_runtime(packaged.faq)


@pytest.fixture(scope="session")
def digits(packaged: Packaged, start_runtime: StartRuntime) -> Runtime:
    """Return the classifier's runtime."""
    return start_runtime(packaged.digits.archive)


@pytest.fixture
def mounted(packaged: Packaged, tmp_path: Path) -> Mounted:
    """Return the folders of an app."""
    return mount(tmp_path / "app", packaged.answers, API_KEY)


@pytest.fixture
def start_app(faq: Runtime, digits: Runtime, mounted: Mounted, tmp_path: Path) -> Iterator[StartApp]:
    """Yield a function that starts the app before both models; variables replace the defaults."""
    with ExitStack() as stack:

        def start(**variables: str) -> AppProcess:
            models = {"FAQ_URL": find_url(faq), "IMAGES_URL": find_url(digits)}
            return stack.enter_context(AppProcess(mounted, tmp_path / "app.log", **{**models, **variables}))

        yield start


@pytest.fixture
def open_app(browser: "Browser", start_app: StartApp) -> Iterator[OpenPage]:
    """Yield a function that opens the app, signed in as its user; `app` is one that was started before."""
    with ExitStack() as stack:

        def open_it(app: AppProcess | None = None, **context: Any) -> "Page":
            address = (app or start_app()).address
            page = stack.enter_context(open_page(browser, address, **context))
            sign_in(page)
            return page

        yield open_it


@pytest.fixture
def shoot(request: pytest.FixtureRequest) -> Shoot:
    """Return a function that writes a screenshot of docs/images, when that is asked for."""
    is_wanted = request.config.getoption("--write-screenshots", default=False)

    def write(page: "Page", name: str) -> None:
        if is_wanted and name in SHOWN:
            take_picture(page, PICTURES / f"sample-app-{name}.webp")

    return write


def find_url(runtime: Runtime) -> str:
    """Return the address of a runtime."""
    return f"http://127.0.0.1:{runtime.port}"
