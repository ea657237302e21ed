"""The way in and out, as a person sees it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from rig.browser import Browser
from rig.console import Console, console
from rig.oidc_provider import CLIENT_ID, CLIENT_SECRET, Provider, serving
from rig.ports import free_port
from tests.browser import steps


def test_a_login_leads_to_the_page_that_was_asked_for(page: Browser) -> None:
    page.open("/search?log=error&filter=level%3Aerror&since=6h")
    assert page.path == "/login"
    steps.log_in(page, "vera")
    page.wait("the search", lambda: page.path == "/search")
    steps.settled(page)
    assert page.one("header a[href='/account']").text == "vera"
    assert page.one("#search [name=filter]").get_property("value") == "level:error"
    assert set(steps.found(page, "level")) == {"error"}


def test_a_wrong_password_is_said_and_the_name_stays(page: Browser) -> None:
    page.open("/login")
    steps.log_in(page, "vera", "a wrong password")
    assert page.one(".trouble").text == "Name or password is wrong."
    assert page.one("input[name=name]").get_property("value") == "vera"
    assert page.one("input[name=password]").get_property("value") == ""


def test_after_too_many_failures_the_form_says_how_long_to_wait(page: Browser, site: Console) -> None:
    for _ in range(5):
        site.log_in("vera", "a wrong password")
    page.open("/login")
    steps.log_in(page, "vera")
    assert page.one(".trouble").text.startswith("Too many failed logins. Try again in ")
    assert page.path == "/login"


def test_who_has_logged_out_is_asked_again(page: Browser) -> None:
    page.open("/login")
    steps.log_in(page, "vera")
    page.wait("the overview", lambda: page.path == "/overview")
    page.click("header form button")
    page.wait("the login", lambda: page.path == "/login")
    page.driver.back()
    page.wait("the login again", lambda: page.path == "/login")
    assert page.all("header") == []


def test_a_session_that_ends_meanwhile_leads_to_the_login_and_back(page: Browser, site: Console) -> None:
    steps.search(page, site, filter="status:502", since="6h")
    with site.rows() as cursor:
        cursor.execute("DELETE FROM console_session")
    page.click("#go")
    page.wait("the login", lambda: page.path == "/login")
    steps.log_in(page, "vera")
    page.wait("the search", lambda: page.path == "/search")
    assert page.asked == {"log": "access", "filter": "status:502", "since": "6h"}


def test_the_language_is_switched_on_the_account_page(page: Browser, site: Console) -> None:
    page.enter_as(site.logged_in())
    page.open("/account")
    page.choose("select[name=language]", "zh")
    page.click("form[action='/language'] button")
    assert page.wait("Chinese", lambda: page.run("return document.documentElement.lang === 'zh-CN'"))
    page.open("/search")
    steps.settled(page)
    assert page.one("#go").text == "搜索"
    assert "行" in page.one("#progress").text
    page.open("/traffic")
    steps.settled(page)
    assert "每秒请求数" in page.one("#charts").text


def test_an_own_session_is_ended_from_the_account_page(page: Browser, site: Console) -> None:
    other = site.logged_in()
    page.enter_as(site.logged_in())
    page.open("/account")
    while buttons := page.all("form[action^='/account/sessions/'] button"):
        buttons[0].click()
    assert other.get(f"{site.url}/v1/me", timeout=10).status_code == 401
    page.open("/account")
    assert page.path == "/account"


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    with serving() as running:
        yield running


@pytest.fixture(scope="module")
def vouched(site: Console, provider: Provider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Console]:
    """A console over the same database, with a provider of OpenID Connect."""
    folder, port = tmp_path_factory.mktemp("vouched"), free_port()
    secret = folder / "client-secret"
    secret.write_text(f"{CLIENT_SECRET}\n")
    oidc = {
        "issuer": provider.url,
        "client_id": CLIENT_ID,
        "client_secret": f"file:{secret}",
        "url": f"http://127.0.0.1:{port}",
        "name": "Example <SSO>",
    }
    with console(site.server, folder, port, people={"oidc": oidc}) as running:
        yield running


def test_a_provider_of_openid_connect_leads_back_to_the_page_that_was_asked_for(
    page: Browser, vouched: Console, provider: Provider, axe_script: str
) -> None:
    page.fresh(vouched)
    provider.person = {"sub": "number-of-vera", "preferred_username": "vera"}
    page.open("/search?log=error&since=6h")
    assert page.one(".login a.button").text == "Log in with Example <SSO>"
    assert page.barriers(axe_script) == []
    page.click(".login a.button")
    page.wait("the search", lambda: page.path == "/search")
    steps.settled(page)
    assert page.asked["log"] == "error"
    assert page.one("header a[href='/account']").text == "vera"


def test_whom_the_provider_does_not_let_in_reads_why_and_can_use_the_password(
    page: Browser, vouched: Console, provider: Provider
) -> None:
    page.fresh(vouched)
    provider.refuses = {"error": "access_denied"}
    page.open("/login")
    page.click(".login a.button")
    assert page.one(".trouble").text
    steps.log_in(page, "vera")
    page.wait("the overview", lambda: page.path == "/overview")
    provider.is_as_at_first()
