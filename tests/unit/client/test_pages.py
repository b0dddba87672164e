"""The way in: what is open, what a session is, and what browsers are told."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from app_visitors import PASSWORD, AppVisitor, MakeApp, Mounted
from samples.client.errors import SettingsError, SignInError
from samples.client.limits import find_network
from samples.client.settings import Settings, read_settings
from samples.client.users import MAX_WAITING, Users, hash_password
from waiting import wait_for


def test_nothing_is_shown_before_the_sign_in(visitor: AppVisitor) -> None:
    for path in ("/", "/anything"):
        answer = visitor.get(path)
        assert (answer.status_code, answer.location) == (302, "/sign-in")
    answer = visitor.ask()
    assert (answer.status_code, answer.json["error"]["code"]) == (401, "SignedOut")
    assert visitor.get("/healthz").text == "Healthy"
    assert "Password" in visitor.get("/sign-in").text


def test_user_signs_in_and_out(ann: AppVisitor) -> None:
    page = ann.get("/").text
    assert ">ann<" in page
    assert 'id="ask"' in page
    assert 'id="look"' in page
    assert ann.get("/sign-in").location == "/"
    assert ann.post("/sign-out").location == "/sign-in"
    assert ann.get("/").location == "/sign-in"


@pytest.mark.parametrize(
    ("name", "password"),
    [
        ("ann", "wrong"),
        ("ann", ""),
        ("bob", PASSWORD),
        ("", PASSWORD),
        ("../users/ann", PASSWORD),
        ("..", PASSWORD),
        (".", ""),
    ],
)
def test_wrong_name_or_password_are_told_alike(visitor: AppVisitor, name: str, password: str) -> None:
    answer = visitor.sign_in(name, password)
    assert answer.status_code == 401
    assert "Name or password is wrong." in answer.text
    assert visitor.get("/").location == "/sign-in"


def test_cookie_is_for_this_host_and_for_no_script(visitor: AppVisitor) -> None:
    cookie = visitor.sign_in().headers["Set-Cookie"]
    assert cookie.startswith("__Host-session=")
    for part in ("Secure", "HttpOnly", "SameSite=Lax", "Path=/"):
        assert f"; {part}" in cookie
    assert "Domain" not in cookie


def test_pages_and_errors_forbid_what_the_app_does_not_need(ann: AppVisitor) -> None:
    for answer in (ann.get("/"), ann.get("/nothing"), ann.post("/api/ask", data=b"")):
        policy = answer.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["Strict-Transport-Security"]


def test_page_holds_no_script_or_style_of_its_own(ann: AppVisitor) -> None:
    page = ann.get("/").text
    assert page.count("<script") == page.count('<script type="module" src="/static/')
    assert "<style" not in page
    assert " style=" not in page
    assert " onclick" not in page
    assert "://" not in page


def test_request_without_the_pages_token_is_refused(ann: AppVisitor) -> None:
    for path in ("/api/ask", "/api/classify", "/sign-out", "/sign-in"):
        assert ann.post(path, token="").status_code == 400
        assert ann.post(path, token="forged").status_code == 400
    assert ann.ask().status_code == 200


def test_request_from_another_site_is_refused(ann: AppVisitor) -> None:
    headers = {"X-CSRFToken": ann.read_token(), "Referer": "https://evil.example.com/"}
    answer = ann.client.post("/api/ask", json={"question": "?"}, headers=headers, base_url="https://app.example.com")
    assert answer.status_code == 400


def test_page_to_go_to_is_not_taken_from_the_request(visitor: AppVisitor) -> None:
    token = visitor.read_token()
    answer = visitor.post(
        "/sign-in?next=https://evil.example.com", token, data={"name": "ann", "password": PASSWORD, "next": "//evil"}
    )
    assert answer.location == "/"


def test_user_who_is_taken_out_is_signed_out(ann: AppVisitor, mounted: Mounted) -> None:
    entry = mounted.users / "ann"
    entry.unlink()
    assert ann.get("/").location == "/sign-in"


def test_user_with_another_password_is_signed_out(ann: AppVisitor, mounted: Mounted) -> None:
    (mounted.users / "ann").write_text(hash_password("another password"))
    assert ann.get("/").location == "/sign-in"
    assert ann.sign_in().status_code == 401
    assert ann.sign_in(password="another password").location == "/"


def test_session_ends_after_its_hours(ann: AppVisitor, monkeypatch: pytest.MonkeyPatch) -> None:
    now = time.time()
    monkeypatch.setattr("samples.client.sessions.time.time", lambda: now + 8 * 3600 + 1)
    assert ann.get("/").location == "/sign-in"


def test_forged_session_is_none(visitor: AppVisitor) -> None:
    visitor.client.set_cookie("__Host-session", "eyJ1c2VyIjoiYW5uIn0.aaaa.bbbb", domain="app.example.com", secure=True)
    assert visitor.get("/").location == "/sign-in"


def test_too_many_tries_have_to_wait(visitor: AppVisitor) -> None:
    token = visitor.read_token()
    wrong = {"name": "bob", "password": "guess"}
    assert {visitor.post("/sign-in", token, data=wrong).status_code for _ in range(10)} == {401}
    answer = visitor.post("/sign-in", token, data={"name": "ann", "password": PASSWORD})
    assert answer.status_code == 429
    assert 0 < int(answer.headers["Retry-After"]) <= 60
    assert "Too many tries. Wait" in answer.text


def test_large_forms_are_refused_unread(visitor: AppVisitor) -> None:
    answer = visitor.post("/sign-in", data={"name": "ann", "password": "x" * 100_000})
    assert answer.status_code == 413
    assert "too large" in answer.text


def test_users_are_those_with_a_plain_name(tmp_path: Path) -> None:
    users = Users(tmp_path)
    assert users.is_empty()
    assert Users(tmp_path / "none").is_empty()
    (tmp_path / "..data").mkdir()
    assert users.is_empty()
    (tmp_path / "ann").write_text("not a hash")
    assert not users.is_empty()
    assert not users.check("ann", "not a hash")


def test_sign_ins_wait_for_one_another_but_not_all_of_them(mounted: Mounted, monkeypatch: pytest.MonkeyPatch) -> None:
    users, is_verifying, may_end = Users(mounted.users), threading.Event(), threading.Event()

    class SlowHasher:
        def verify(self, *_arguments: str) -> bool:
            is_verifying.set()
            return may_end.wait(30)

    monkeypatch.setattr(users, "_hasher", SlowHasher())
    with ThreadPoolExecutor(MAX_WAITING) as pool:
        waiting = [pool.submit(users.check, "ann", PASSWORD) for _ in range(MAX_WAITING)]
        is_verifying.wait(30)
        refused = wait_for(lambda: find_refusal(users), "a refusal")
        may_end.set()
        assert [one.result() for one in waiting] == [True] * MAX_WAITING
    assert (refused.status, refused.retry_after) == (503, 5)
    assert users.check("ann", PASSWORD)


def find_refusal(users: Users) -> SignInError | None:
    """Try to sign in once all places are taken."""
    if users._places._value > 0:
        return None
    with pytest.raises(SignInError) as raised:
        users.check("ann", PASSWORD)
    return raised.value


@pytest.mark.parametrize(
    ("address", "network"),
    [("192.0.2.7", "192.0.2.7"), ("2001:db8::1:2:3:4", "2001:db8::/64"), ("", "unknown"), ("x", "unknown")],
)
def test_address_is_counted_by_network(address: str, network: str) -> None:
    assert find_network(address) == network


@pytest.mark.parametrize(
    ("variables", "told"),
    [
        ({}, "CLIENT_FAQ_URL"),
        ({"CLIENT_FAQ_URL": "faq"}, "CLIENT_FAQ_URL"),
        ({"CLIENT_FAQ_URL": "http://user:secret@faq"}, "no user and no password"),
        ({"CLIENT_FAQ_URL": "http://faq", "CLIENT_OIDC_ISSUER": "https://login.example.com"}, "CLIENT_OIDC_CLIENT_ID"),
        ({"CLIENT_FAQ_URL": "http://faq", "CLIENT_OIDC_ISSUER": "http://login.example.com"}, "CLIENT_OIDC_ISSUER"),
        ({"CLIENT_FAQ_URL": "http://faq", "CLIENT_PORT": "many"}, "CLIENT_PORT"),
        ({"CLIENT_FAQ_URL": "http://faq", "CLIENT_OIDC_REQUIRED_CLAIMS": "groups"}, "CLIENT_OIDC_REQUIRED_CLAIMS"),
    ],
)
def test_wrong_setting_is_named(monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], told: str) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError, match=told) as raised:
        read_settings()
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize("content", [None, "", "short"])
def test_missing_session_key_is_told_with_the_remedy(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "session-key").write_text(content)
    settings = Settings(faq_url="http://faq", secrets_dir=tmp_path)
    with pytest.raises(SettingsError, match=r"samples\.client secrets"):
        settings.read_session_keys()


def test_session_signed_by_a_former_key_is_believed(ann: AppVisitor, mounted: Mounted, make_app: MakeApp) -> None:
    (mounted.secrets / "session-key").write_text(f"{'n' * 48}\n{'k' * 48}\n")
    later = make_app()
    later_visit = later.test_client()
    cookie = ann.client.get_cookie("__Host-session", domain="app.example.com")
    assert cookie is not None
    later_visit.set_cookie("__Host-session", cookie.value, domain="app.example.com", secure=True)
    assert later_visit.get("/", base_url="https://app.example.com").status_code == 200
