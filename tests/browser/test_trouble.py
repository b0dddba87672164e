"""What the sample app says in a browser when something does not work. Models are real runtimes, and really in trouble."""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from app_steps import QUESTION, ask, read_problem, wait_for_faqs
from app_visitors import Mounted
from chromium import open_page
from runtime_processes import Runtime

if TYPE_CHECKING:
    from playwright.sync_api import Browser


def test_file_that_is_no_picture_is_told(open_app: Any, tmp_path: Path) -> None:
    page = open_app()
    page.get_by_role("tab", name="Look at a picture").click()
    text = tmp_path / "picture.jpg"
    text.write_text("not a picture")
    page.get_by_label("Choose a picture").set_input_files(text)
    assert "no picture that your browser can read" in read_problem(page, "#look")


def test_revoked_key_is_not_the_visitors_fault(open_app: Any, mounted: Mounted) -> None:
    page = open_app()
    (mounted.secrets / "api-key").write_text("revoked")
    ask(page)
    assert "does not know this app's key" in read_problem(page)
    assert "nothing you did" in read_problem(page)


def test_limit_of_the_model_counts_down_until_it_may_be_tried_again(
    open_app: Any, start_app: Any, start_runtime: Any, packaged: Any
) -> None:
    limited = start_runtime(packaged.faq, RATE_PER_KEY="0.4")
    page = open_app(start_app(FAQ_URL=f"http://127.0.0.1:{limited.port}"))
    ask(page)
    wait_for_faqs(page)
    ask(page)
    assert "asked very often" in read_problem(page)
    again = page.locator("#ask .problem-place button")
    assert re.fullmatch("Try again in [1-3] s", again.inner_text())
    assert again.is_disabled()
    page.get_by_role("button", name="Try again", exact=True).click()
    wait_for_faqs(page)


def test_body_that_the_model_finds_too_large_is_told(
    open_app: Any, start_app: Any, start_runtime: Any, packaged: Any
) -> None:
    strict = start_runtime(packaged.digits.archive, MAX_BODY_BYTES="1024")
    page = open_app(start_app(IMAGES_URL=f"http://127.0.0.1:{strict.port}"))
    page.get_by_role("tab", name="Look at a picture").click()
    page.get_by_label("Choose a picture").set_input_files(packaged.digits.picture)
    assert "more than the model takes" in read_problem(page, "#look")


def test_model_that_is_away_is_not_ready(open_app: Any, start_app: Any, start_runtime: Any, packaged: Any) -> None:
    gone: Runtime = start_runtime(packaged.faq)
    page = open_app(start_app(FAQ_URL=f"http://127.0.0.1:{gone.port}"))
    ask(page)
    wait_for_faqs(page)
    gone.end()
    ask(page)
    assert "The model is not ready" in read_problem(page)
    assert page.get_by_text("Try again in 10 s").is_visible()


def test_network_that_is_cut_is_told_and_nothing_is_lost(open_app: Any) -> None:
    page = open_app()
    page.context.set_offline(True)
    ask(page)
    assert "There is no connection to this app" in read_problem(page)
    assert page.get_by_label("Your question").input_value() == QUESTION
    page.context.set_offline(False)
    page.get_by_role("button", name="Try again").click()
    wait_for_faqs(page)


def test_session_that_has_ended_is_told_and_nothing_is_lost(open_app: Any, mounted: Mounted) -> None:
    page = open_app()
    (mounted.users / "ann").unlink()
    ask(page)
    assert "You are signed out" in read_problem(page)
    assert page.get_by_label("Your question").input_value() == QUESTION
    assert page.locator("#ask .problem-place a").get_attribute("href") == "/sign-in"


def test_wrong_password_and_too_many_tries_are_told(browser: "Browser", start_app: Any) -> None:
    with open_page(browser, start_app().address) as page:
        page.goto("/")
        for _ in range(10):
            page.get_by_label("Name").fill("ann")
            page.get_by_label("Password").fill("wrong")
            page.get_by_role("button", name="Sign in").click()
            page.get_by_text("Name or password is wrong.").wait_for()
        page.get_by_label("Name").fill("ann")
        page.get_by_label("Password").fill("wrong")
        page.get_by_role("button", name="Sign in").click()
        page.get_by_text("Too many tries. Wait").wait_for()
