"""What a person does on the sample app's page, step by step."""

from typing import TYPE_CHECKING

from app_visitors import NAME, PASSWORD

if TYPE_CHECKING:
    from playwright.sync_api import Page

QUESTION = "My function returns undefined although the request inside it worked. How do I hand the data back?"


def sign_in(page: "Page", name: str = NAME, password: str = PASSWORD) -> None:
    """Sign in as a user of the app, and wait until the page is of use."""
    page.goto("/")
    page.get_by_label("Name").fill(name)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Sign in").click()
    page.locator("html.ready").wait_for()


def ask(page: "Page", question: str = QUESTION) -> None:
    """Ask a question."""
    page.get_by_label("Your question").fill(question)
    page.get_by_role("button", name="Ask", exact=True).click()


def wait_for_faqs(page: "Page") -> None:
    """Wait until FAQs are shown."""
    page.locator("#ask .match").first.wait_for()


def wait_for_labels(page: "Page") -> None:
    """Wait until labels are shown."""
    page.locator("#look .label").first.wait_for()


def read_problem(page: "Page", panel: str = "#ask") -> str:
    """Wait until something went wrong; return the sentence that says so."""
    problem = page.locator(f"{panel} .problem-place p").first
    problem.wait_for()
    return str(problem.inner_text())
