"""What a person does with the sample app: by mouse, by keyboard, on a phone, and when things go wrong. Models are real runtimes."""

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

from app_processes import AppProcess
from app_visitors import Mounted
from chromium import DESKTOP, PHONE, find_barriers, open_page
from digit_classifiers import DigitClassifier
from oidc_issuers import run_issuer
from runtime_processes import Runtime

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

QUESTION = "My function returns undefined although the request inside it worked. How do I hand the data back?"
ANSWER = "How do I return the response from an asynchronous call?"
VIEWS = {
    "desktop-light": {**DESKTOP, "color_scheme": "light"},
    "desktop-dark": {**DESKTOP, "color_scheme": "dark"},
    "phone-light": {**PHONE, "color_scheme": "light"},
    "phone-dark": {**PHONE, "color_scheme": "dark"},
}


@pytest.fixture(scope="session")
def digit(packaged: Any) -> DigitClassifier:
    """Return the classifier, whose picture is shown to it."""
    classifier: DigitClassifier = packaged.digits
    return classifier


def ask(page: "Page", question: str = QUESTION) -> None:
    page.get_by_label("Your question").fill(question)
    page.get_by_role("button", name="Ask", exact=True).click()


def read_problem(page: "Page", panel: str = "#ask") -> str:
    problem = page.locator(f"{panel} .problem-place p").first
    problem.wait_for()
    return problem.inner_text()


def wait_for_faqs(page: "Page") -> None:
    page.locator("#ask .match").first.wait_for()


def wait_for_labels(page: "Page") -> None:
    page.locator("#look .label").first.wait_for()


def test_question_shows_faqs_with_scores_and_answers(open_app: Any) -> None:
    page = open_app()
    ask(page)
    wait_for_faqs(page)
    first = page.locator(".match").first
    assert ANSWER in first.inner_text()
    assert re.search("[0-9]+ %", first.inner_text())
    assert first.locator(".answer").is_visible()
    assert page.locator(".match").count() == 3
    assert not page.locator(".match").nth(1).locator(".answer").is_visible()
    page.locator(".match").nth(1).locator("summary").click()
    assert page.locator(".match").nth(1).locator(".answer").is_visible()
    assert re.search(
        "3 FAQs, the best first. In [0-9]+ ms, of which the model took", page.locator("#ask .status").inner_text()
    )


def test_question_that_nothing_matches_is_told(open_app: Any) -> None:
    page = open_app()
    ask(page, "how tall is mount everest")
    wait_for_faqs(page)
    assert "No FAQ is a close match" in page.locator("#ask .status").inner_text()


def test_app_is_used_by_keyboard_alone(open_app: Any, digit: DigitClassifier) -> None:
    page = open_app()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.get_by_label("Your question").focus()
    page.keyboard.type("how do i copy an array")
    page.keyboard.press("Enter")
    wait_for_faqs(page)
    page.locator("summary").nth(1).focus()
    page.keyboard.press("Enter")
    assert page.locator(".match").nth(1).get_attribute("open") is not None
    page.get_by_role("tab", name="Ask a question").focus()
    page.keyboard.press("ArrowRight")
    assert page.get_by_role("tab", name="Look at a picture").get_attribute("aria-selected") == "true"
    assert page.get_by_role("tabpanel", name="Look at a picture").is_visible()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "file"
    with page.expect_file_chooser() as chooser:
        page.keyboard.press("Space")
    chooser.value.set_files(digit.picture)
    wait_for_labels(page)


@pytest.mark.parametrize("way", ["choose", "drop", "paste"])
def test_picture_shows_labels_with_bars(open_app: Any, digit: DigitClassifier, way: str) -> None:
    page = open_app()
    page.get_by_role("tab", name="Look at a picture").click()
    if way == "choose":
        page.get_by_label("Choose a picture").set_input_files(digit.picture)
    else:
        hand_over(page, digit.picture, way)
    wait_for_labels(page)
    assert page.locator("#look .label").count() == 3
    first = page.locator("#look .label").first
    assert digit.label in first.inner_text()
    widths = [bar.bounding_box()["width"] for bar in page.locator("#look .fill").all()]
    assert widths == sorted(widths, reverse=True)
    assert f"Most probably {digit.label}. Answered in" in page.locator("#look .status").inner_text()
    assert page.locator("#preview").is_visible()


def hand_over(page: "Page", picture: Path, way: str) -> None:
    """Drop a picture on the page, or paste it."""
    script = """([bytes, way]) => {
        const transfer = new DataTransfer();
        transfer.items.add(new File([new Uint8Array(bytes)], "digit.png", {type: "image/png"}));
        const named = way === "drop" ? {dataTransfer: transfer} : {clipboardData: transfer};
        const event = way === "drop" ? new DragEvent("drop", {...named, bubbles: true, cancelable: true})
                                     : new ClipboardEvent("paste", {...named, bubbles: true});
        document.getElementById("drop").dispatchEvent(event);
    }"""
    page.evaluate(script, [list(picture.read_bytes()), way])


def test_file_that_is_no_picture_is_told(open_app: Any, tmp_path: Path) -> None:
    page = open_app()
    page.get_by_role("tab", name="Look at a picture").click()
    text = tmp_path / "picture.jpg"
    text.write_text("not a picture")
    page.get_by_label("Choose a picture").set_input_files(text)
    assert "no picture that your browser can read" in read_problem(page, "#look")


def test_camera_is_offered_on_a_phone_alone(open_app: Any, start_app: Any) -> None:
    app = start_app()
    for view, is_offered in ((PHONE, True), (DESKTOP, False)):
        page = open_app(app, **view)
        page.get_by_role("tab", name="Look at a picture").click()
        assert page.get_by_text("Take a picture", exact=True).is_visible() == is_offered


def test_picture_is_made_smaller_before_it_is_sent(open_app: Any, tmp_path: Path) -> None:
    page = open_app()
    page.get_by_role("tab", name="Look at a picture").click()
    large = tmp_path / "large.png"
    draw_noise(large)
    with page.expect_request("**/api/classify") as sent:
        page.get_by_label("Choose a picture").set_input_files(large)
    wait_for_labels(page)
    body = sent.value.post_data_buffer
    assert body is not None
    assert body.startswith(b"\xff\xd8\xff")
    assert len(body) < large.stat().st_size / 4


def draw_noise(path: Path) -> None:
    """Write a picture of twelve million pixels, as phones take them."""
    noise = np.random.default_rng(0).integers(0, 256, (300, 400, 3), dtype=np.uint8)
    Image.fromarray(noise).resize((4000, 3000)).save(path)


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


def test_cookie_is_out_of_the_scripts_reach(open_app: Any) -> None:
    page = open_app()
    assert page.evaluate("document.cookie") == ""
    (cookie,) = page.context.cookies()
    assert cookie["name"] == "__Host-session"
    assert (cookie["httpOnly"], cookie["secure"], cookie["sameSite"]) == (True, True, "Lax")
    page.get_by_role("button", name="Sign out").click()
    page.get_by_role("heading", name="Sign in").wait_for()
    page.go_back()
    page.get_by_role("heading", name="Sign in").wait_for()


def test_script_that_somebody_gets_into_an_answer_is_shown_and_not_run(
    open_app: Any, start_app: Any, mounted: Mounted
) -> None:
    markup = "<img src=x onerror=alert(1)><script>alert(2)</script> `<b>`"
    texts = json.loads(mounted.answers.read_text())
    mounted.answers.write_text(json.dumps({one: {"title": markup, "answer": markup} for one in texts}))
    page = open_app(start_app())
    ask(page)
    wait_for_faqs(page)
    assert page.locator(".results img, .results script, .results b").count() == 0
    assert page.locator(".answer").first.inner_text() == "<img src=x onerror=alert(1)><script>alert(2)</script> <b>"


def test_somebody_signs_in_at_an_issuer(browser: "Browser", start_app: Any, mounted: Mounted) -> None:
    with run_issuer("localhost") as issuer:
        (mounted.secrets / "oidc-client-secret").write_text(issuer.client_secret)
        app: AppProcess = start_app(OIDC_ISSUER=issuer.address, OIDC_CLIENT_ID=issuer.client_id)
        with open_page(browser, app.address) as page:
            page.goto("/")
            page.get_by_role("link", name="Sign in with your organisation").click()
            page.get_by_role("link", name="Continue as Ann").click()
            page.get_by_role("button", name="Sign out").wait_for()
            assert page.get_by_text("Ann", exact=True).is_visible()
            ask(page)
            wait_for_faqs(page)
            page.get_by_role("button", name="Sign out").click()
            page.get_by_role("link", name="Sign in with your organisation").wait_for()
        assert issuer.refused == []


@pytest.mark.parametrize("view", VIEWS)
def test_nothing_keeps_people_out_and_nothing_is_cut_off(
    browser: "Browser", open_app: Any, start_app: Any, digit: DigitClassifier, shoot: Any, view: str
) -> None:
    app = start_app(TITLE="Ask the fleet")
    with open_page(browser, app.address, **VIEWS[view]) as page:
        page.goto("/")
        check(page)
        if view == "phone-light":
            shoot(page, "sample-app-sign-in")
    page = open_app(app, **VIEWS[view])
    check(page)
    ask(page)
    wait_for_faqs(page)
    check(page)
    shoot(page, f"sample-app-ask-{view}")
    page.get_by_role("tab", name="Look at a picture").click()
    page.get_by_label("Choose a picture").set_input_files(digit.picture)
    wait_for_labels(page)
    page.locator("#preview").wait_for()
    check(page)
    shoot(page, f"sample-app-look-{view}")
    page.get_by_role("tab", name="Ask a question").click()
    page.context.set_offline(True)
    ask(page)
    read_problem(page)
    check(page)


def check(page: "Page") -> None:
    """Nothing that axe-core knows keeps people out, and nothing is wider than the screen."""
    assert find_barriers(page) == []
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
