"""The sample app on a desktop and a phone, light and dark: nothing keeps people out, nothing is cut off; also its screenshots."""

from typing import TYPE_CHECKING, Any

import pytest

from app_steps import ask, read_problem, wait_for_faqs, wait_for_labels
from chromium import DESKTOP, PHONE, find_barriers, open_page
from digit_classifiers import DigitClassifier

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

VIEWS = {
    "desktop-light": {**DESKTOP, "color_scheme": "light"},
    "desktop-dark": {**DESKTOP, "color_scheme": "dark"},
    "phone-light": {**PHONE, "color_scheme": "light"},
    "phone-dark": {**PHONE, "color_scheme": "dark"},
}


@pytest.mark.parametrize("view", VIEWS)
def test_nothing_keeps_people_out_and_nothing_is_cut_off(
    browser: "Browser", open_app: Any, start_app: Any, digit: DigitClassifier, shoot: Any, view: str
) -> None:
    app = start_app(TITLE="Ask the fleet")
    with open_page(browser, app.address, **VIEWS[view]) as page:
        page.goto("/")
        check(page)
        if view == "phone-light":
            shoot(page, "sign-in")
    page = open_app(app, **VIEWS[view])
    check(page)
    ask(page)
    wait_for_faqs(page)
    check(page)
    shoot(page, f"ask-{view}")
    page.get_by_role("tab", name="Look at a picture").click()
    page.get_by_label("Choose a picture").set_input_files(digit.picture)
    wait_for_labels(page)
    page.locator("#preview").wait_for()
    check(page)
    shoot(page, f"look-{view}")
    page.get_by_role("tab", name="Ask a question").click()
    page.context.set_offline(True)
    ask(page)
    read_problem(page)
    check(page)


def check(page: "Page") -> None:
    """Nothing that axe-core knows keeps people out, and nothing is wider than the screen."""
    assert find_barriers(page) == []
    # Not window.innerWidth: on a phone that grows with what is too wide.
    view = page.viewport_size
    assert view is not None
    assert page.evaluate("document.documentElement.scrollWidth") <= view["width"]
