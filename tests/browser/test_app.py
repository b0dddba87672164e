"""What a person does with the sample app: by mouse, by keyboard, with pictures, at an issuer. Models are real runtimes."""

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

from app_processes import AppProcess
from app_steps import ask, wait_for_faqs, wait_for_labels
from app_visitors import Mounted
from chromium import DESKTOP, PHONE, open_page
from digit_classifiers import DigitClassifier
from oidc_issuers import run_issuer

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

ANSWER = "How do I return the response from an asynchronous call?"


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
    page.get_by_label("Choose a picture").set_input_files(large)
    wait_for_labels(page)
    # The preview is what was sent.
    assert page.evaluate("document.getElementById('preview').naturalWidth") == 1024


def draw_noise(path: Path) -> None:
    """Write a picture of twelve million pixels, as phones take them."""
    noise = np.random.default_rng(0).integers(0, 256, (300, 400, 3), dtype=np.uint8)
    Image.fromarray(noise).resize((4000, 3000)).save(path)


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
            page.locator("html.ready").wait_for()
            assert page.get_by_text("Ann", exact=True).is_visible()
            ask(page)
            wait_for_faqs(page)
            page.get_by_role("button", name="Sign out").click()
            page.get_by_role("link", name="Sign in with your organisation").wait_for()
        assert issuer.refused == []
