"""Login at a provider of OpenID Connect, over a real console and database: who gets in, and what is not believed."""

from __future__ import annotations

import base64
import json
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import jwt
import pytest
import requests
from cryptography.hazmat.primitives.asymmetric import rsa

from obsctl.cli import main
from obsctl.console.config import OidcConfig
from obsctl.console.oidc import provider as own
from obsctl.console.oidc.errors import ProviderAwayError, UntrustedError
from rig.console import DATABASE, Console, console, csrf, make_database, password_of
from rig.database import MariaDB
from rig.oidc_provider import CLIENT_ID, CLIENT_SECRET, Provider, SigningKey, serving
from rig.ports import free_port
from rig.waiting import HANGS_S, wait_for

#: Where the provider leads browsers back to; the tests go to the console's own address instead.
URL = "https://console.example:8443"
NAME = "Example <SSO>"
VERA = {"sub": "number-of-vera", "preferred_username": "Vera"}


@pytest.fixture(scope="module")
def idp() -> Iterator[Provider]:
    with serving() as running:
        yield running


def _section(idp: Provider, folder: Path, **more: Any) -> dict[str, Any]:
    secret = folder / "client-secret"
    secret.write_text(f"{CLIENT_SECRET}\n")
    given = {"issuer": idp.url, "client_id": CLIENT_ID, "client_secret": f"file:{secret}", "url": URL, "name": NAME}
    return {"oidc": {**given, **more}}


@pytest.fixture(scope="module")
def page(mariadb: MariaDB, idp: Provider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Console]:
    make_database(mariadb)
    folder = tmp_path_factory.mktemp("console")
    people = _section(idp, folder, roles={"ops": "operator", "ops-admins": "admin"})
    with console(mariadb, folder, people=people) as running:
        yield running
    with mariadb.root() as cursor:
        cursor.execute(f"DROP DATABASE {DATABASE}")


@pytest.fixture(scope="module")
def second(page: Console, idp: Provider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Console]:
    """A console of the same client beside the first, with other rules."""
    folder = tmp_path_factory.mktemp("second")
    people = _section(idp, folder, name_claim="email", required_group="staff", create_users=True)
    with console(page.server, folder, people=people) as running:
        yield running


@pytest.fixture(autouse=True)
def _as_at_first(idp: Provider) -> Iterator[None]:
    idp.person = dict(VERA)
    yield
    idp.is_as_at_first()


@pytest.fixture(autouse=True)
def _tables_as_at_first(page: Console) -> None:
    with page.rows() as cursor:
        for table in ("login_failure", "session", "identity", "oidc_used", "audit"):
            cursor.execute(f"DELETE FROM console_{table}")
        cursor.execute("DELETE FROM console_user WHERE name NOT IN ('ada', 'olga', 'vera')")
        cursor.execute("UPDATE console_user SET disabled = 0, role = 'viewer' WHERE name = 'vera'")


def in_time(ask: Callable[[], requests.Response]) -> requests.Response:
    """Return an answer of a console that had one of the provider within its four seconds, also on a busy machine."""

    def answers() -> list[requests.Response]:
        # In a list: a response of 400 and more is false by itself.
        given = ask()
        return [] if given.status_code == 503 else [given]

    return wait_for("an answer of the provider", answers)[0]


def begun(page: Console, browser: requests.Session, path: str = "/search") -> str:
    """Begin a login; return where the provider leads the browser."""

    def asked() -> requests.Response:
        return browser.get(f"{page.url}/login/oidc", params={"next": path}, allow_redirects=False, timeout=30)

    answer = in_time(asked)
    assert answer.status_code == 303, answer.text
    back = requests.get(answer.headers["location"], allow_redirects=False, timeout=30).headers["location"]
    assert back.startswith(f"{URL}/login/oidc/callback?")
    return back.replace(URL, page.url)


def ended(browser: requests.Session, back: str) -> requests.Response:
    return browser.get(back, allow_redirects=False, timeout=30)


def log_in(page: Console, browser: requests.Session | None = None, path: str = "/search") -> requests.Response:
    """Log in at the provider; return the console's answer, whose redirect is not followed."""
    browser = browser or page.browser()
    return in_time(lambda: ended(browser, begun(page, browser, path)))


def refused(answer: requests.Response, status: int, words: str) -> None:
    """Check that a login came to nothing, and says why."""
    assert (answer.status_code, words in answer.text) == (status, True), answer.text
    assert "obsctl" not in answer.cookies


def changes(page: Console) -> list[tuple[str, ...]]:
    with page.rows() as cursor:
        cursor.execute("SELECT actor, action, object, detail FROM console_audit ORDER BY audit_id")
        return list(cursor.fetchall())


def user(page: Console, name: str) -> tuple[Any, ...] | None:
    with page.rows() as cursor:
        cursor.execute("SELECT role, password_hash FROM console_user WHERE name = %s", (name,))
        return cursor.fetchone()


# -- who gets in ---------------------------------------------------------------------------------------------------


def test_whom_the_provider_names_is_logged_in(page: Console, idp: Provider) -> None:
    browser = page.browser()
    shown = browser.get(f"{page.url}/search?log=error&filter=a", timeout=30).text
    link = f'href="{URL}/login/oidc?next=/search%3Flog%3Derror%26filter%3Da"'
    assert link in shown
    assert ">Log in with Example &lt;SSO&gt;</a>" in shown
    answer = log_in(page, browser, "/search?log=error&filter=a")
    assert (answer.status_code, answer.headers["location"]) == (303, "/search?log=error&filter=a")
    cookies = answer.headers["set-cookie"]
    assert "HttpOnly" in cookies.partition("obsctl-login")[0]
    assert "SameSite=lax" in cookies
    assert set(browser.cookies.keys()) == {"obsctl"}, "what the browser kept for the way is gone"
    assert browser.get(f"{page.url}/v1/me", timeout=30).json() == {"name": "vera", "role": "viewer"}
    host = "127.0.0.1 (OpenID Connect)"
    assert changes(page) == [(host, "user.link", "vera", f"number-of-vera at {idp.url}")]
    # The session is as every other.
    account = browser.get(f"{page.url}/account", timeout=30).text
    browser.post(f"{page.url}/logout", data={"csrf": csrf(account)}, timeout=30)
    assert browser.get(f"{page.url}/v1/me", timeout=30).status_code == 401


def test_what_the_provider_is_asked_for_follows_from_the_configuration(page: Console) -> None:
    asked = []
    for _ in range(2):
        answer = requests.get(
            f"{page.url}/login/oidc", headers={"host": "evil.example"}, allow_redirects=False, timeout=30
        )
        asked.append({name: value[0] for name, value in parse_qs(urlsplit(answer.headers["location"]).query).items()})
    first, again = asked
    assert first["redirect_uri"] == f"{URL}/login/oidc/callback"
    assert (first["scope"], first["code_challenge_method"]) == ("openid profile email", "S256")
    assert all(len(first[name]) >= 43 and first[name] != again[name] for name in ("state", "nonce", "code_challenge"))


def test_a_session_that_was_planted_ends(page: Console) -> None:
    planted = page.logged_in("olga")
    victim = page.browser()
    victim.cookies.set("obsctl", planted.cookies["obsctl"])
    answer = log_in(page, victim)
    assert answer.cookies["obsctl"] != planted.cookies["obsctl"]
    assert planted.get(f"{page.url}/v1/me", timeout=30).status_code == 401


def test_a_login_ends_on_another_console_than_it_began_on(page: Console, second: Console, idp: Provider) -> None:
    idp.person = {"sub": "1", "email": "vera", "email_verified": True, "groups": ["staff"]}
    browser = page.browser()
    back = begun(page, browser)
    answer = ended(browser, back.replace(page.url, second.url))
    assert answer.status_code == 303
    assert browser.get(f"{page.url}/v1/me", timeout=30).json()["name"] == "vera"


@pytest.mark.parametrize(
    "path", ["//evil.example", "https://evil.example/", "/\\evil.example", "javascript:a", "x" * 9]
)
def test_a_login_leads_to_no_other_site(page: Console, path: str) -> None:
    assert log_in(page, path=path).headers["location"] == "/overview"


def test_an_address_that_no_cookie_can_hold_is_left_out(page: Console) -> None:
    assert log_in(page, path=f"/search?filter={'a' * 5000}").headers["location"] == "/overview"


def test_who_is_no_user_stays_out(page: Console, idp: Provider) -> None:
    idp.person = {"sub": "x", "preferred_username": "<b>nobody</b>"}
    refused(log_in(page), 403, "&lt;b&gt;nobody&lt;/b&gt; is no user of this console, or is disabled.")
    idp.person = {"sub": "x", "preferred_username": "mallory"}
    refused(log_in(page), 403, "mallory is no user of this console, or is disabled.")
    assert user(page, "mallory") is None
    assert changes(page) == []


def test_who_is_disabled_stays_out(page: Console) -> None:
    with page.rows() as cursor:
        cursor.execute("UPDATE console_user SET disabled = 1 WHERE name = 'vera'")
    refused(log_in(page), 403, "vera is no user of this console, or is disabled.")
    assert changes(page) == []


def test_groups_give_roles_at_each_login(page: Console, idp: Provider) -> None:
    browser = page.browser()
    for groups, role in (
        (["ops", "staff"], "operator"),
        (["ops", "ops-admins"], "admin"),
        ("ops", "operator"),
        (["OPS", 7, None], "viewer"),
        ({"ops": 1}, "viewer"),
    ):
        idp.person = {**VERA, "groups": groups}
        assert log_in(page, browser).status_code == 303
        assert browser.get(f"{page.url}/v1/me", timeout=30).json()["role"] == role, groups
    given = [detail for _, action, thing, detail in changes(page) if (action, thing) == ("user.role", "vera")]
    assert given == ["viewer -> operator", "operator -> admin", "admin -> operator", "operator -> viewer"]


def test_the_last_admin_stays_one(page: Console, idp: Provider) -> None:
    idp.person = {"sub": "1", "preferred_username": "ada", "groups": []}
    browser = page.browser()
    log_in(page, browser)
    assert browser.get(f"{page.url}/v1/me", timeout=30).json() == {"name": "ada", "role": "admin"}


def test_a_person_without_a_user_gets_one_where_that_is_wanted(second: Console, page: Console, idp: Provider) -> None:
    nora = {"sub": "n", "email": "Nora@example.com", "email_verified": True, "groups": ["staff", "ops-admins"]}
    idp.person = {**nora, "groups": ["ops-admins"]}
    refused(log_in(second), 403, "nora@example.com is not in the group that may use this console.")
    idp.person = {**nora, "email_verified": False}
    refused(log_in(second), 403, "does not tell this console your user name")
    assert user(page, "nora@example.com") is None
    idp.person = nora
    assert log_in(second).status_code == 303
    # Groups give no roles here.
    assert user(page, "nora@example.com") == ("viewer", None)
    assert [(action, detail) for _, action, _, detail in changes(page)] == [
        ("user.add", "role viewer, without a password"),
        ("user.link", f"n at {idp.url}"),
    ]
    idp.person = {**nora, "sub": "o", "email": "no name"}
    refused(log_in(second), 403, "no name is no user of this console")


def test_a_user_belongs_to_a_person_and_not_to_a_name(
    page: Console, idp: Provider, capsys: pytest.CaptureFixture[str], page_config: Path
) -> None:
    assert log_in(page).status_code == 303
    idp.person = {**VERA, "sub": "somebody else"}
    refused(log_in(page), 403, "obsctl console user unlink vera")
    # Who is known keeps the user under another name, and does not get that of the other one.
    idp.person = {**VERA, "preferred_username": "olga"}
    browser = page.browser()
    log_in(page, browser)
    assert browser.get(f"{page.url}/v1/me", timeout=30).json()["name"] == "vera"
    assert int(main.run(["console", "user", "unlink", "vera", "--config", str(page_config)])) == 0
    assert "vera" in capsys.readouterr().err
    idp.person = {**VERA, "sub": "somebody else"}
    assert log_in(page).status_code == 303
    assert [action for _, action, _, _ in changes(page)] == ["user.link", "user.unlink", "user.link"]


@pytest.fixture
def page_config(page: Console, tmp_path: Path) -> Path:
    """A configuration of the same console, for commands."""
    from rig.console import write_config

    return write_config(tmp_path, page.server, free_port())


def test_what_the_id_token_lacks_is_asked_of_userinfo(page: Console, idp: Provider) -> None:
    idp.person = {"sub": "number-of-vera"}
    idp.further = {"preferred_username": "vera", "groups": ["ops"]}
    browser = page.browser()
    assert log_in(page, browser).status_code == 303
    assert browser.get(f"{page.url}/v1/me", timeout=30).json() == {"name": "vera", "role": "operator"}
    idp.further["sub"] = "number-of-ada"
    refused(log_in(page), 403, "could not be verified")
    idp.further = {"name": "Vera"}
    refused(log_in(page), 403, "does not tell this console your user name")


# -- what is not believed ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "lies",
    [
        {"nonce": "another"}, {"nonce": None}, {"nonce": 1}, {"iss": "https://evil.example"}, {"iss": None},
        {"aud": "another"}, {"aud": ["another", "third"]}, {"aud": None}, {"aud": [CLIENT_ID, "another"]},
        {"azp": "another"}, {"aud": [CLIENT_ID, "another"], "azp": "another"},
        {"exp": 1_000_000_000}, {"exp": None}, {"exp": "soon"}, {"iat": None}, {"iat": 9_999_999_999},
        {"nbf": 9_999_999_999}, {"sub": None}, {"sub": ""}, {"sub": 7}, {"sub": "x" * 256}, {"sub": "夜班"},
    ],
    ids=json.dumps,
)  # fmt: skip
def test_an_id_token_that_says_something_wrong_is_refused(page: Console, idp: Provider, lies: dict[str, Any]) -> None:
    idp.lies = lies
    refused(log_in(page), 403, "The login at Example &lt;SSO&gt; could not be verified.")
    assert changes(page) == []


def test_several_audiences_are_taken_where_the_token_is_made_for_this_client(page: Console, idp: Provider) -> None:
    idp.lies = {"aud": ["another", CLIENT_ID], "azp": CLIENT_ID}
    assert log_in(page).status_code == 303


def _unsigned(claims: dict[str, Any]) -> str:
    return jwt.encode(claims, None, "none")


def _by_secret(claims: dict[str, Any]) -> str:
    return jwt.encode(claims, CLIENT_SECRET.encode() * 2, "HS256", headers={"kid": "first"})


def _by_another_key(claims: dict[str, Any]) -> str:
    return SigningKey("first").sign(claims)


def _by_the_key_that_it_brings(claims: dict[str, Any]) -> str:
    key = SigningKey("first")
    return jwt.encode(claims, key.private, "ES256", headers={"kid": "first", "jwk": key.public})


def _with_another_algorithm(claims: dict[str, Any]) -> str:
    private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return jwt.encode(claims, private, "RS256", headers={"kid": "first"})


def _changed(claims: dict[str, Any]) -> str:
    head, _, mark = SigningKey("first").sign(claims).split(".")
    return f"{head}.{base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b'=').decode()}x.{mark}"


def _none(_: dict[str, Any]) -> str:
    return "no.token"


@pytest.mark.parametrize(
    "sign",
    [
        _unsigned, _by_secret, _by_another_key, _by_the_key_that_it_brings, _with_another_algorithm, _changed, _none,
    ],
)  # fmt: skip
def test_an_id_token_that_no_key_of_the_provider_has_signed_is_refused(
    page: Console, idp: Provider, sign: Callable[[dict[str, Any]], str]
) -> None:
    idp.sign = sign
    refused(log_in(page), 403, "could not be verified")


def test_a_secret_of_the_client_published_as_a_key_is_none(idp: Provider, tmp_path: Path) -> None:
    """A public key's bytes as the secret of HMAC, which careless libraries take for each other."""
    mine = own.Provider(_config(idp, tmp_path))
    published = json.dumps(idp.keys[-1].public).encode()
    idp.sign = lambda claims: jwt.encode(claims, published * 2, "HS512", headers={"kid": "first"})
    with pytest.raises(UntrustedError, match="not signed by a key of the provider"):
        _whole(mine)


def test_a_new_key_is_fetched_once_and_then_known(page: Console, idp: Provider) -> None:
    log_in(page)
    before = list(idp.keys)
    idp.asked.clear()
    try:
        idp.keys.append(SigningKey("second", "RS256"))
        for _ in range(2):
            assert log_in(page).status_code == 303
        assert idp.asked.count("/keys") == 1
        assert "/.well-known/openid-configuration" not in idp.asked
        idp.asked.clear()
        idp.sign = SigningKey("of nobody").sign
        refused(log_in(page), 403, "could not be verified")
        assert idp.asked.count("/keys") == 1
        # A key that is withdrawn is not taken any more once the set was fetched again.
        first = idp.keys.pop(0)
        idp.sign = SigningKey("of nobody").sign
        log_in(page)
        idp.sign = first.sign
        refused(log_in(page), 403, "could not be verified")
    finally:
        idp.keys[:] = before


# -- the way there and back ----------------------------------------------------------------------------------------


def test_a_callback_that_this_browser_did_not_begin_is_refused(page: Console, idp: Provider) -> None:
    browser, other = page.browser(), page.browser()
    back = begun(page, browser)
    idp.asked.clear()
    again = "This login was not begun in this browser"
    refused(ended(other, back), 400, again)
    begun(page, other)
    refused(ended(other, back), 400, again)
    refused(ended(browser, f"{back.partition('state=')[0]}state=forged"), 400, again)
    refused(ended(browser, back.partition("?")[0]), 400, again)
    other.cookies.set("obsctl-login", "forged")
    refused(ended(other, back), 400, again)
    assert "/token" not in idp.asked, "no code is sent for a browser that did not begin"
    assert ended(browser, back).status_code == 303, "and who has begun goes on"


def test_a_login_ends_once(page: Console, idp: Provider) -> None:
    browser = page.browser()
    back = begun(page, browser)
    kept = browser.cookies["obsctl-login"]
    assert ended(browser, back).status_code == 303
    idp.asked.clear()
    thief = page.browser()
    thief.cookies.set("obsctl-login", kept)
    refused(ended(thief, back), 400, "or has ended")
    assert idp.asked == []


def test_a_code_is_of_its_own_login(page: Console) -> None:
    """A code of another browser's login: the provider refuses it for want of the verifier."""
    browser, thief = page.browser(), page.browser()
    stolen = parse_qs(urlsplit(begun(page, browser)).query)["code"][0]
    state = parse_qs(urlsplit(begun(page, thief)).query)["state"][0]
    query = urlencode({"code": stolen, "state": state})
    refused(ended(thief, f"{page.url}/login/oidc/callback?{query}"), 403, "could not be verified")


def test_an_answer_of_another_issuer_is_refused(page: Console, idp: Provider) -> None:
    browser = page.browser()
    back = begun(page, browser)
    idp.asked.clear()
    refused(ended(browser, back.replace("iss=http", "iss=https")), 403, "could not be verified")
    assert "/token" not in idp.asked


def test_what_the_provider_says_to_a_person_is_shown_as_text(page: Console, idp: Provider) -> None:
    idp.refuses = {"error": "access_denied", "error_description": "<script>alert(1)</script>\x1b[31m\u202e no"}
    browser = page.browser()
    back = begun(page, browser, "/traffic")
    answer = ended(browser, back)
    refused(
        answer, 403, "Example &lt;SSO&gt; refused the login: access_denied: &lt;script&gt;alert(1)&lt;/script&gt; [31m"
    )
    assert "\u202e" not in answer.text
    assert 'value="/traffic"' in answer.text, "a password leads there as well"
    # Another site cannot have this page say something.
    forged = page.browser().get(back, timeout=30)
    assert (forged.status_code, "alert(1)" in forged.text) == (400, False)


def test_who_is_refused_again_and_again_waits_and_can_still_use_a_password(page: Console, idp: Provider) -> None:
    browser = page.browser()
    idp.person = {"sub": "x", "preferred_username": "mallory"}
    codes = [log_in(page, browser).status_code for _ in range(32)]
    assert codes == [403] * 30 + [429] * 2
    assert page.log_in("vera").status_code == 303
    idp.person = dict(VERA)
    answer = log_in(page)
    refused(answer, 429, "Too many failed logins.")
    assert 0 < int(answer.headers["retry-after"]) <= 30
    with page.rows() as cursor:
        cursor.execute("UPDATE console_login_failure SET last_at = last_at - INTERVAL 31 SECOND")
    assert log_in(page).status_code == 303


def test_what_others_have_a_browser_ask_for_counts_for_nobody(page: Console) -> None:
    for _ in range(35):
        requests.get(f"{page.url}/login/oidc/callback", params={"code": "x", "state": "y"}, timeout=30)
    assert log_in(page).status_code == 303


def test_secrets_of_a_login_are_not_in_the_journal(page: Console, idp: Provider, page_log: Path) -> None:
    browser = page.browser()
    idp.lies = {"nonce": "another"}
    back = begun(page, browser)
    code = parse_qs(urlsplit(back).query)["code"][0]
    refused(ended(browser, back), 403, "could not be verified")
    said = page_log.read_text()
    assert "the ID token is not of this login (nonce)" in said
    assert not [secret for secret in (CLIENT_SECRET, code, "eyJ") if secret in said]


@pytest.fixture
def page_log(page: Console) -> Path:
    """The journal of the console."""
    return page.log


# -- the provider away ---------------------------------------------------------------------------------------------


def test_a_provider_that_hangs_costs_its_own_login_alone(page: Console, idp: Provider) -> None:
    browsers = [page.browser() for _ in range(12)]
    backs = [begun(page, browser) for browser in browsers]
    idp.hangs.set()
    began = time.monotonic()
    answers: list[requests.Response] = []
    logins = [
        threading.Thread(target=lambda given=given: answers.append(ended(*given)))
        for given in zip(browsers, backs, strict=True)
    ]
    for one in logins:
        one.start()
    assert page.log_in("vera").status_code == 303
    for one in logins:
        one.join()
    assert time.monotonic() - began < HANGS_S
    assert len(answers) == len(browsers)
    for answer in answers:
        if answer.status_code == 429:
            refused(answer, 429, "Too many logins at once.")
        else:
            refused(answer, 503, "Example &lt;SSO&gt; does not answer. You can log in with name and password.")
    assert 503 in {answer.status_code for answer in answers}


def test_a_provider_that_cannot_be_reached_is_named(idp: Provider, tmp_path: Path) -> None:
    port = free_port()
    with pytest.raises(ProviderAwayError, match=rf"^http://127\.0\.0\.1:{port}: Connection refused$"):
        own.Provider(_config(idp, tmp_path, issuer=f"http://127.0.0.1:{port}")).begin("/")


def _config(idp: Provider, folder: Path, **more: Any) -> OidcConfig:
    return OidcConfig(**{**_section(idp, folder)["oidc"], **more})


def _whole(mine: own.Provider) -> Any:
    """Log in without a console."""
    step = mine.begin("/x")
    back = requests.get(step.url, allow_redirects=False, timeout=30).headers["location"]
    given = {name: value[0] for name, value in parse_qs(urlsplit(back).query).items()}
    login = mine.returned(step.sealed, given["state"])
    assert login is not None
    assert login.path == "/x"
    return mine.end(login, given["code"], given["iss"])


@pytest.mark.parametrize(
    ("described", "says"),
    [
        ({"issuer": "https://evil.example"}, "describes the issuer 'https://evil.example'"),
        ({"token_endpoint": "http://192.0.2.1/token"}, "token_endpoint is 'http://192.0.2.1/token', not an address of"),
        ({"authorization_endpoint": "javascript:alert(1)"}, "authorization_endpoint is 'javascript:alert(1)'"),
        ({"jwks_uri": "file:///etc/passwd"}, "jwks_uri is 'file:///etc/passwd'"),
        ({"jwks_uri": 7}, "openid-configuration: Expected `str`"),
        ({"much": "x" * 300_000}, "an answer of more than 262144 bytes"),
    ],
)
def test_a_description_that_cannot_be_used_is_refused(
    idp: Provider, tmp_path: Path, described: dict[str, Any], says: str
) -> None:
    idp.described = described
    with pytest.raises(ProviderAwayError) as refused_by:
        own.Provider(_config(idp, tmp_path)).begin("/")
    assert says in str(refused_by.value)


def test_the_secret_goes_in_the_form_where_the_provider_wants_it_there(idp: Provider, tmp_path: Path) -> None:
    idp.described = {"token_endpoint_auth_methods_supported": ["client_secret_post", "private_key_jwt"]}
    assert _whole(own.Provider(_config(idp, tmp_path))).name == "vera"


def test_a_wrong_secret_is_said_in_the_journal(idp: Provider, tmp_path: Path) -> None:
    (tmp_path / "other").write_text("another secret")
    config = _config(idp, tmp_path, client_secret=f"file:{tmp_path / 'other'}")
    with pytest.raises(UntrustedError, match=r"refuses the code: status 401 'invalid_client'"):
        _whole(own.Provider(config))


def test_without_a_provider_there_is_no_such_page(page: Console, tmp_path: Path) -> None:
    with console(page.server, tmp_path) as plain:
        for path in ("/login/oidc", "/login/oidc/callback"):
            assert requests.get(f"{plain.url}{path}", timeout=30).status_code == 404
        assert "oidc" not in requests.get(f"{plain.url}/login", timeout=30).text
    assert page.log_in("vera", password_of("vera")).status_code == 303
