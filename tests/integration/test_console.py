"""The console over a real database: who may enter, what a search answers, and what other sites cannot do."""

from __future__ import annotations

import concurrent.futures
import datetime
import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import requests

from obsctl.console.database import DatabaseAwayError, Pool
from obsctl.lines.formats.line import AccessLine
from obsctl.query import values
from obsctl.store.settings import Database
from rig.console import (
    DATABASE,
    PASSWORD,
    USER,
    Console,
    console,
    csrf,
    make_database,
    password_of,
    statements,
    store_lines,
    write_config,
)
from rig.database import MariaDB
from rig.waiting import wait_for

NOW = datetime.datetime.now(datetime.UTC).replace(microsecond=0)
HOSTILE = '<script>alert(1)</script>\x1b[31m\u202e"'


def _lines() -> list[AccessLine]:
    return [
        AccessLine(
            values.stored(NOW - datetime.timedelta(seconds=20 * number)),
            f"10.0.0.{number % 5}", 500 if number % 10 == 0 else 200, number,
            uri=HOSTILE if number == 7 else f"/item/{number}", log_format="json", host="node1",
            line_id=number.to_bytes(16, "big"),
        )
        for number in range(1000)
    ]  # fmt: skip


@pytest.fixture(scope="module")
def page(mariadb: MariaDB, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Console]:
    make_database(mariadb)
    store_lines(mariadb, _lines())
    with console(mariadb, tmp_path_factory.mktemp("console"), search={"at_once": 3, "seconds": 60}) as running:
        yield running
    with mariadb.root() as cursor:
        cursor.execute(f"DROP DATABASE {DATABASE}")


@pytest.fixture(autouse=True)
def _nobody_waits(page: Console) -> None:
    with page.rows() as cursor:
        cursor.execute("DELETE FROM console_login_failure")


def _found(answer: requests.Response) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    assert answer.status_code == 200, answer.text
    messages = [json.loads(line) for line in answer.text.splitlines()]
    lines = [line for message in messages[:-1] for line in message["lines"]]
    return lines, messages[-1]


def test_nobody_reads_without_a_login(page: Console) -> None:
    for path in ("/v1/me", "/v1/search", "/v1/traffic", "/v1/fields", "/v1/sessions"):
        answer = requests.get(page.url + path, timeout=10)
        assert answer.status_code == 401, path
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["code"] == "not-logged-in"
    for path in ("/search?filter=a", "/traffic", "/account"):
        answer = requests.get(page.url + path, timeout=10, allow_redirects=False)
        assert answer.status_code == 303
        assert answer.headers["location"].startswith("/login?next=/")


def test_a_login_leads_back_to_where_it_was_asked_for(page: Console) -> None:
    browser = page.browser()
    form = browser.get(f"{page.url}/search?log=error&filter=level:error", timeout=10)
    assert 'value="/search?log=error&amp;filter=level:error"' in form.text
    given = {"name": " Vera ", "password": password_of("vera"), "next": "/search?log=error&filter=level:error"}
    answer = browser.post(f"{page.url}/login", data=given, timeout=10, allow_redirects=False)
    assert answer.headers["location"] == "/search?log=error&filter=level:error"
    assert browser.get(f"{page.url}/v1/me", timeout=10).json() == {"name": "vera", "role": "viewer"}
    for elsewhere in ("//evil.example", "https://evil.example/", "/\\evil.example", "javascript:alert(1)"):
        given["next"] = elsewhere
        answer = page.browser().post(f"{page.url}/login", data=given, timeout=10, allow_redirects=False)
        assert answer.headers["location"] == "/overview", elsewhere


def test_the_cookie_is_the_browsers_alone_and_the_database_has_only_its_hash(page: Console) -> None:
    answer = page.log_in("vera")
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    token = answer.cookies["obsctl"]
    with page.rows() as cursor:
        cursor.execute("SELECT token_hash FROM console_session")
        assert token.encode() not in b"".join(bytes(row[0]) for row in cursor.fetchall())


@pytest.mark.parametrize("name", ["vera", "nobody", "vera' OR '1'='1", "用户", "", "a" * 65, "vera" * 1000])
def test_a_wrong_login_says_the_same_to_everybody(page: Console, name: str) -> None:
    answer = page.log_in(name, "a wrong password")
    assert answer.status_code == 401
    assert "Name or password is wrong." in answer.text
    assert "a wrong password" not in answer.text
    assert "set-cookie" not in answer.headers


def test_what_a_form_cannot_hold_is_refused_on_a_page(page: Console) -> None:
    answer = page.log_in("vera", "p" * 1025)
    assert (answer.status_code, answer.headers["content-type"]) == (422, "text/html; charset=utf-8")
    assert "password: " in answer.text


def test_after_five_failures_even_the_right_password_has_to_wait(page: Console) -> None:
    for _ in range(5):
        assert page.log_in("vera", "a wrong password").status_code == 401
    answer = page.log_in("vera")
    assert answer.status_code == 429
    assert 0 < int(answer.headers["retry-after"]) <= 30
    assert page.log_in("olga").status_code == 303, "another user on the same address"
    with page.rows() as cursor:
        cursor.execute("UPDATE console_login_failure SET last_at = last_at - INTERVAL 31 SECOND")
    assert page.log_in("vera").status_code == 303
    with page.rows() as cursor:
        cursor.execute("SELECT failures FROM console_login_failure WHERE counted LIKE 'pair%vera'")
        assert cursor.fetchall() == ()


def test_many_logins_at_once_are_bounded(page: Console) -> None:
    with concurrent.futures.ThreadPoolExecutor(20) as many:
        codes = list(many.map(lambda n: page.log_in(f"guess{n % 3}", "a wrong password").status_code, range(60)))
    assert set(codes) <= {401, 429}
    assert codes.count(401) < 45
    with page.rows() as cursor:
        cursor.execute("DELETE FROM console_login_failure")
    assert page.log_in("vera").status_code == 303


def test_a_session_that_was_planted_is_worth_nothing_after_the_login(page: Console) -> None:
    attacker = page.log_in("olga").cookies["obsctl"]
    victim = page.browser()
    victim.cookies.set("obsctl", attacker)
    page.log_in("vera", browser=victim)
    assert victim.get(f"{page.url}/v1/me", timeout=10).json()["name"] == "vera"
    assert requests.get(f"{page.url}/v1/me", cookies={"obsctl": attacker}, timeout=10).status_code == 401


def test_sessions_end_by_hand_by_time_and_with_the_user(page: Console) -> None:
    first, second = page.logged_in("vera"), page.logged_in("vera")
    mine = csrf(first.get(f"{page.url}/account", timeout=10).text)
    others = [one["id"] for one in first.get(f"{page.url}/v1/sessions", timeout=10).json()]
    assert len(others) >= 2
    newest = others[0]
    foreign = page.logged_in("olga")
    theirs = csrf(foreign.get(f"{page.url}/account", timeout=10).text)
    assert (
        foreign.delete(f"{page.url}/v1/sessions/{newest}", headers={"x-csrf-token": theirs}, timeout=10).status_code
        == 404
    )
    for one in others:
        if one != _id(first):
            first.post(f"{page.url}/account/sessions/{one}", data={"csrf": mine}, timeout=10)
    assert second.get(f"{page.url}/v1/me", timeout=10).status_code == 401
    assert first.get(f"{page.url}/v1/me", timeout=10).status_code == 200
    with page.rows() as cursor:
        cursor.execute("UPDATE console_session SET seen_at = seen_at - INTERVAL 13 HOUR")
    assert first.get(f"{page.url}/v1/me", timeout=10).status_code == 401
    third = page.logged_in("vera")
    with page.rows() as cursor:
        cursor.execute("UPDATE console_user SET disabled = 1 WHERE name = 'vera'")
    try:
        assert third.get(f"{page.url}/v1/me", timeout=10).status_code == 401
        assert page.log_in("vera").status_code == 401
    finally:
        with page.rows() as cursor:
            cursor.execute("UPDATE console_user SET disabled = 0 WHERE name = 'vera'")
    third = page.logged_in("vera")
    third.post(f"{page.url}/logout", data={"csrf": csrf(third.get(f"{page.url}/search", timeout=10).text)}, timeout=10)
    assert third.get(f"{page.url}/v1/me", timeout=10).status_code == 401


def _id(browser: requests.Session) -> str:
    from obsctl.console.people.sessions import id_of

    return id_of(browser.cookies["obsctl"])


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"origin": "http://["},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {},
    ],
)
def test_another_sites_page_can_change_nothing(page: Console, headers: dict[str, str]) -> None:
    browser = page.logged_in("vera")
    right = csrf(browser.get(f"{page.url}/account", timeout=10).text)
    given = right if headers else ""
    (session, *_) = browser.get(f"{page.url}/v1/sessions", timeout=10).json()
    for answer in (
        browser.post(f"{page.url}/logout", data={"csrf": given}, headers=headers, timeout=10),
        browser.post(f"{page.url}/language", data={"csrf": given, "language": "zh"}, headers=headers, timeout=10),
        browser.delete(
            f"{page.url}/v1/sessions/{session['id']}", headers={**headers, "x-csrf-token": given}, timeout=10
        ),
    ):
        assert answer.status_code == 403, answer.text
    assert browser.get(f"{page.url}/v1/me", timeout=10).status_code == 200


def test_a_login_from_another_sites_page_is_refused(page: Console) -> None:
    given = {"name": "vera", "password": password_of("vera")}
    answer = requests.post(
        f"{page.url}/login", data=given, headers={"origin": "https://evil.example"}, timeout=10, allow_redirects=False
    )
    assert answer.status_code == 403
    assert "set-cookie" not in answer.headers


def test_every_answer_has_its_headers(page: Console) -> None:
    for path in ("/login", "/v1/me", "/static/search.js", "/nowhere", "/v1/nowhere"):
        headers = requests.get(page.url + path, timeout=10).headers
        assert "default-src 'none'" in headers["content-security-policy"], path
        assert "unsafe" not in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert "server" not in headers
    assert requests.get(f"{page.url}/v1/me", timeout=10).headers["cache-control"] == "no-store"


@pytest.mark.parametrize("path", ["/search/", "/v1/me/", "/static"])
def test_no_answer_leads_to_the_host_that_a_request_names(page: Console, path: str) -> None:
    answer = requests.get(page.url + path, headers={"host": "evil.example"}, timeout=10, allow_redirects=False)
    assert (answer.status_code, "location" in answer.headers) == (404, False)


@pytest.mark.parametrize("path", ["/static/../app.py", "/static/%2e%2e/app.py", "/static/..%2f..%2fconfig.py"])
def test_no_file_outside_its_folder_is_served(page: Console, path: str) -> None:
    asked = requests.Request("GET", page.url).prepare()
    asked.url = page.url + path
    assert requests.Session().send(asked, timeout=10).status_code == 404


@pytest.mark.parametrize("body", [b"a" * 70_000, iter([b"name=a"])])
def test_a_body_that_is_too_large_or_of_no_length_is_refused(page: Console, body: Any) -> None:
    answer = requests.post(f"{page.url}/login", data=body, timeout=10)
    assert answer.status_code == 413


def test_a_search_gives_the_lines_newest_first_and_page_after_page(page: Console) -> None:
    browser = page.logged_in()
    asked = {"filter": "status:500", "since": "24h", "limit": "40"}
    first, end = _found(browser.get(f"{page.url}/v1/search", params=asked, timeout=30))
    assert [line["bytes"] for line in first] == list(range(0, 400, 10))
    assert end["next"]
    rest, end = _found(
        browser.get(f"{page.url}/v1/search", params={**asked, "limit": "1000", "before": end["next"]}, timeout=30)
    )
    assert [line["bytes"] for line in rest] == list(range(400, 1000, 10))
    assert (end["whole"], end["next"]) == (True, None)
    assert first[0]["ts"] == f"{NOW:%Y-%m-%dT%H:%M:%S}.000Z"


def test_lines_are_data_and_nothing_else(page: Console) -> None:
    answer = page.logged_in().get(f"{page.url}/v1/search", params={"filter": "bytes:7", "since": "24h"}, timeout=30)
    (line,), _ = _found(answer)
    assert line["uri"] == HOSTILE
    assert answer.headers["content-type"].startswith("application/x-ndjson")


@pytest.mark.parametrize(
    ("parameters", "code", "says"),
    [
        ({"filter": "statsu:500"}, "invalid-filter", "statsu"),
        ({"filter": "status:five"}, "invalid-filter", "five"),
        ({"since": "yesterday"}, "invalid-parameter", "yesterday"),
        ({"since": "1h", "until": "2h"}, "invalid-parameter", "since"),
        ({"until": "9999-12-31T23:59:59Z"}, "invalid-parameter", "9999-12-31"),
        ({"limit": "100000"}, "invalid-parameter", "limit"),
        ({"log": "syslog"}, "invalid-parameter", "log"),
        ({"before": "AAAA"}, "invalid-parameter", "before"),
        ({"before": "'; DROP TABLE console_user"}, "invalid-parameter", "before"),
        ({"fitler": "status:500"}, "invalid-parameter", "fitler"),
        ({"seconds": "0"}, "invalid-parameter", "seconds"),
    ],
)
def test_what_cannot_be_searched_is_named(page: Console, parameters: dict[str, str], code: str, says: str) -> None:
    answer = page.logged_in().get(f"{page.url}/v1/search", params=parameters, timeout=10)
    assert answer.status_code == 422
    problem = answer.json()
    assert (problem["code"], problem["status"]) == (code, 422)
    assert says in problem["detail"]


def test_the_place_of_a_mistake_and_a_suggestion_are_given(page: Console) -> None:
    answer = page.logged_in().get(f"{page.url}/v1/search", params={"filter": "a AND statsu:500"}, timeout=10)
    problem = answer.json()
    assert (problem["column"], problem["length"]) == (7, 6)
    assert "status" in problem["hint"]


def _changing(browser: requests.Session, page: Console) -> dict[str, str]:
    return {"x-csrf-token": csrf(browser.get(f"{page.url}/account", timeout=10).text)}


def test_a_saved_search_is_its_owners_until_it_is_shared(page: Console) -> None:
    vera, olga = page.logged_in("vera"), page.logged_in("olga")
    url, mine = f"{page.url}/v1/queries", _changing(vera, page)
    name = "5xx / 夜班 <b>'\"--"
    one = f"{url}/{quote(name, safe='')}"
    state = {"log": "access", "filter": "status:>=500", "since": "6h"}
    assert vera.put(one, json=state, headers=mine, timeout=10).status_code == 204
    assert vera.get(url, timeout=10).json() == [{"name": name, "owner": "vera", "own": True, "shared": False, **state}]
    assert olga.get(url, timeout=10).json() == []
    assert vera.put(one, json={**state, "shared": True}, headers=mine, timeout=10).status_code == 204
    (seen,) = olga.get(url, timeout=10).json()
    assert (seen["owner"], seen["own"], seen["shared"]) == ("vera", False, True)
    assert olga.delete(one, headers=_changing(olga, page), timeout=10).status_code == 404
    assert (
        vera.put(one, json={**state, "filter": "statsu:5"}, headers=mine, timeout=10).json()["code"] == "invalid-filter"
    )
    assert vera.put(one, json={**state, "role": "admin"}, headers=mine, timeout=10).status_code == 422
    assert vera.put(one, json=state, timeout=10).json()["code"] == "cross-site"
    assert vera.delete(one, headers=mine, timeout=10).status_code == 204
    assert olga.get(url, timeout=10).json() == []


def test_traffic_is_what_a_recount_of_the_lines_gives(page: Console) -> None:
    browser = page.logged_in()
    found = browser.get(f"{page.url}/v1/traffic", params={"since": "24h"}, timeout=30).json()
    assert found["whole"]["requests"] == 1000
    assert found["whole"]["bytes"] == sum(range(1000))
    assert sum(found["status"]["5"]) == 100
    assert found["whole"]["share_5xx"] == 0.1
    assert sum(sum(counts) for counts in found["status"].values()) == 1000
    assert [(row["name"], row["requests"]) for row in found["hosts"]] == [("node1", 1000)]
    nothing = browser.get(f"{page.url}/v1/traffic", params={"host": "' OR 1=1 -- "}, timeout=30).json()
    assert (nothing["whole"]["requests"], nothing["hosts"]) == (0, [])
    asked = {"since": f"{NOW - datetime.timedelta(minutes=30):%FT%TZ}", "until": f"{NOW:%FT%TZ}", "route": "page"}
    hour = browser.get(f"{page.url}/v1/traffic", params=asked, timeout=30).json()
    assert (hour["step_s"], len(hour["at"]) in (30, 31)) == (60, True)
    assert 85 <= hour["whole"]["requests"] <= 92
    for wrong in ({"since": "401d"}, {"since": "x"}, {"step": "1"}):
        assert browser.get(f"{page.url}/v1/traffic", params=wrong, timeout=10).status_code == 422


def test_traffic_of_weeks_is_exact_to_the_minute(page: Console) -> None:
    """Its whole hours are read from the hours, and both ends from the minutes."""
    until = NOW.replace(second=0) - datetime.timedelta(minutes=47)
    times = [datetime.datetime.fromisoformat(f"{line.ts}+00:00") for line in _lines()]
    for since in (until - datetime.timedelta(days=20, minutes=13), until - datetime.timedelta(minutes=97)):
        asked = {"since": f"{since:%FT%TZ}", "until": f"{until:%FT%TZ}"}
        found = page.logged_in().get(f"{page.url}/v1/traffic", params=asked, timeout=30).json()
        expected = sum(since <= at < until for at in times)
        assert found["whole"]["requests"] == expected > 200
        assert sum(sum(counts) for counts in found["status"].values()) == expected


def test_who_leaves_ends_the_statement_and_gives_the_turn_back(page: Console) -> None:
    browser, olga, ada = page.logged_in(), page.logged_in("olga"), page.logged_in("ada")
    url = f"{page.url}/v1/search"

    def running() -> int:
        return statements(page.server, "%FROM `access_log`%")

    with page.rows() as cursor:
        # What a search asks for waits for this lock.
        cursor.execute("LOCK TABLES access_log WRITE")
        with concurrent.futures.ThreadPoolExecutor(3) as three:
            waiting = [three.submit(who.get, url, timeout=(5, 4)) for who in (browser, browser, olga)]
            wait_for("all searches wait", lambda: running() == 3, seconds=4)
            for who, why in ((browser, "you have 2 searches running"), (ada, "too many searches run")):
                refused = who.get(url, timeout=10)
                assert (refused.status_code, refused.json()["code"]) == (429, "busy")
                assert why in refused.json()["detail"]
            for one in waiting:
                with pytest.raises(requests.ConnectionError):
                    one.result().text  # noqa: B018 - reading is what fails

        wait_for("their statements end", lambda: running() == 0, seconds=8)
        cursor.execute("UNLOCK TABLES")
    found, _ = _found(browser.get(f"{page.url}/v1/search", params={"filter": "bytes:1"}, timeout=30))
    assert len(found) == 1


def test_the_description_of_the_api_names_each_call(page: Console) -> None:
    described = requests.get(f"{page.url}/v1/openapi.json", timeout=10).json()
    assert set(described["paths"]) == {
        "/v1/me", "/v1/fields", "/v1/search", "/v1/traffic", "/v1/sessions", "/v1/sessions/{session_id}",
        "/v1/health", "/v1/queries", "/v1/queries/{name}", "/v1/tail", "/v1/live", "/v1/password", "/v1/tokens",
        "/v1/tokens/{token_id}", "/v1/users", "/v1/users/{name}", "/v1/users/{name}/sessions",
        "/v1/users/{name}/tokens", "/v1/projects", "/v1/projects/{name}", "/v1/audit",
        "/v1/status", "/v1/shippers", "/v1/alerts", "/v1/alerts/history", "/v1/alerts/{incident}", "/v1/silences",
        "/v1/silences/{silence_id}", "/v1/rules", "/v1/rules/{name}/would-fire", "/v1/quarantine",
        "/v1/quarantine/replay", "/v1/errors",
        "/v1/errors/{error_id}/example", "/v1/histogram", "/v1/statement", "/v1/values",
    }  # fmt: skip


def test_without_its_database_the_console_says_so_and_hangs_nowhere(mariadb: MariaDB, tmp_path: Path) -> None:
    """On a port where nothing listens."""

    class Away:
        port = 1

    with console(Away(), tmp_path) as alone:  # type: ignore[arg-type]
        answer = alone.log_in("vera")
        assert answer.status_code == 503
        assert "The database does not answer." in answer.text
        call = requests.get(f"{alone.url}/v1/me", cookies={"obsctl": "x"}, timeout=10)
        assert (call.status_code, call.json()["code"]) == (503, "database-away")
        by_token = requests.get(f"{alone.url}/v1/me", headers={"authorization": "Bearer obs_x"}, timeout=10)
        page = requests.get(f"{alone.url}/search", cookies={"obsctl": "x"}, timeout=10)
        assert (by_token.status_code, page.status_code) == (503, 503)
        # Where it is, and the account, is for the log alone: nobody is known to be logged in.
        assert "Can't connect to MySQL server on '127.0.0.1'" in alone.log.read_text()
        for said in (call.text, by_token.text, page.text):
            assert "the database does not answer" in said
            assert "127.0.0.1" not in said
        # Of the process alone, to whom is not logged in.
        health = requests.get(f"{alone.url}/v1/health", timeout=10)
        assert (health.status_code, health.json()) == (200, {"status": "ok"})


def test_a_frozen_database_is_given_up_soon_whatever_connections_are_left(
    page: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CONSOLE_PASSWORD", PASSWORD)
    pool = Pool(
        Database(host="127.0.0.1", port=page.server.port, name=DATABASE, user=USER, password="env:CONSOLE_PASSWORD")
    )
    together = threading.Barrier(4)
    with concurrent.futures.ThreadPoolExecutor(4) as four:
        list(four.map(lambda _: pool.run(lambda _: together.wait(10)), range(4)))
    monkeypatch.setattr("obsctl.console.database._UNUSED_S", 0.0)
    page.server.freeze()
    began = time.monotonic()
    try:
        with pytest.raises(DatabaseAwayError):
            pool.run(lambda cursor: cursor.execute("SELECT 1"))
    finally:
        page.server.thaw()
        pool.close()
    assert time.monotonic() - began < 5


def _obsctl(*words: str) -> tuple[int, dict[str, Any], str]:
    command = [sys.executable, "-c", "from obsctl.cli.main import main; main()", "console", *words, "-o", "json"]
    run = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, stdin=subprocess.DEVNULL)
    return run.returncode, json.loads(run.stdout or "{}"), run.stderr


def test_users_are_managed_by_command_and_each_change_is_on_record(page: Console, tmp_path: Path) -> None:
    config = ("--config", str(write_config(tmp_path, page.server, 1)))
    secret = tmp_path / "given"
    secret.write_text("correct horse battery\n")
    given = ("--password", f"file:{secret}")
    assert _obsctl("user", "add", "noc", "--role", "viewer", *given, *config)[0] == 0
    browser = page.browser()
    assert page.log_in("noc", "correct horse battery", browser).status_code == 303

    code, _, said = _obsctl("user", "add", "noc", "--role", "viewer", *given, *config)
    assert (code, "there is a user noc already" in said) == (77, True)
    code, _, said = _obsctl("user", "role", "nco", "--role", "admin", *config)
    assert (code, "noc" in said) == (64, True)
    code, _, said = _obsctl("user", "disable", "ada", *config)
    assert (code, "the only admin" in said) == (77, True)
    code, _, said = _obsctl("user", "add", "x", "--role", "viewer", *config)
    assert (code, "--password" in said) == (64, True)

    assert _obsctl("user", "role", "noc", "--role", "operator", *config)[0] == 0
    assert browser.get(f"{page.url}/v1/me", timeout=10).json() == {"name": "noc", "role": "operator"}
    secret.write_text("another horse battery\n")
    assert _obsctl("user", "password", "noc", *given, *config)[0] == 0
    assert browser.get(f"{page.url}/v1/me", timeout=10).status_code == 401
    assert page.log_in("noc", "correct horse battery").status_code == 401
    assert _obsctl("user", "disable", "noc", *config)[0] == 0
    assert page.log_in("noc", "another horse battery").status_code == 401
    assert _obsctl("user", "enable", "noc", *config)[0] == 0
    assert page.log_in("noc", "another horse battery", browser).status_code == 303
    _, report, _ = _obsctl("user", "list", *config)
    assert {row["name"]: (row["role"], row["state"]) for row in report["data"]["users"]} == {
        "ada": ("admin", "active"), "noc": ("operator", "active"), "olga": ("operator", "active"),
        "vera": ("viewer", "active"),
    }  # fmt: skip
    assert _obsctl("user", "rm", "noc", *config)[0] == 64
    assert _obsctl("user", "rm", "noc", "--yes", *config)[0] == 0
    assert browser.get(f"{page.url}/v1/me", timeout=10).status_code == 401

    _, report, _ = _obsctl("audit", "--limit", "6", *config)
    changes = report["data"]["changes"]
    assert [(row["action"], row["object"]) for row in reversed(changes)] == [
        (f"user.{action}", "noc") for action in ("add", "role", "password", "disable", "enable", "remove")
    ]
    assert all(row["actor"].endswith(" (obsctl)") for row in changes)
    with page.rows() as cursor:
        cursor.execute("SELECT * FROM console_audit")
        assert "horse" not in str(cursor.fetchall())


def test_a_name_that_others_have_locked_is_unlocked_by_command(page: Console, tmp_path: Path) -> None:
    config = ("--config", str(write_config(tmp_path, page.server, 1)))
    with page.rows() as cursor:
        cursor.executemany(
            "INSERT INTO console_login_failure (counted, failures, last_at) VALUES (%s, %s, UTC_TIMESTAMP(3))",
            [("name vera", 100), ("pair 127.0.0.1 vera", 5), ("name olga", 100), ("addr 192.0.2.1", 30)],
        )
    assert page.log_in("vera").status_code == 429
    assert _obsctl("user", "unlock", "vera", *config)[0] == 0
    assert page.log_in("vera").status_code == 303
    assert page.log_in("olga").status_code == 429
    with page.rows() as cursor:
        cursor.execute("SELECT counted FROM console_login_failure ORDER BY counted")
        assert cursor.fetchall() == (("addr 192.0.2.1",), ("name olga",))
    _, report, _ = _obsctl("audit", "--limit", "1", *config)
    (row,) = report["data"]["changes"]
    assert (row["action"], row["object"], row["actor"].endswith(" (obsctl)")) == ("user.unlock", "vera", True)
    code, _, said = _obsctl("user", "unlock", "vera", *config)
    assert (code, "there are no failed logins of vera" in said) == (77, True)
    assert _obsctl("user", "unlock", "vrea", *config)[0] == 64


def test_tokens_are_managed_by_command(page: Console, tmp_path: Path) -> None:
    config = ("--config", str(write_config(tmp_path, page.server, 1)))
    command = [sys.executable, "-c", "from obsctl.cli.main import main; main()", "console", "token", "add"]
    run = subprocess.run(
        [*command, "robot", "--role", "viewer", *config], capture_output=True, text=True, timeout=60, check=True
    )
    assert "the user robot was added" in run.stderr
    token = run.stdout.removesuffix("\n")
    program = requests.Session()
    program.headers["authorization"] = f"Bearer {token}"
    assert program.get(f"{page.url}/v1/me", timeout=10).json() == {"name": "robot", "role": "viewer"}
    found, _ = _found(program.get(f"{page.url}/v1/search", params={"filter": "bytes:7", "since": "24h"}, timeout=10))
    assert len(found) == 1
    assert page.log_in("robot", "").status_code == 401
    _, report, _ = _obsctl("token", "list", *config)
    (row,) = report["data"]["tokens"]
    assert (row["user"], row["purpose"], row["role"], token in str(report)) == ("robot", "obsctl", "viewer", False)
    for words, said in (
        (("vera", "--role", "admin"), "vera is viewer"),
        (("vera", "--role", "viewer", "--days", "366"), "365"),
    ):
        code, _, complaint = _obsctl("token", "add", *words, *config)
        assert (code, said in complaint) == (77, True)
    assert _obsctl("token", "rm", "999999", *config)[0] == 64
    assert _obsctl("token", "rm", str(row["id"]), *config)[0] == 0
    assert program.get(f"{page.url}/v1/me", timeout=10).status_code == 401
    assert _obsctl("user", "rm", "robot", "--yes", *config)[0] == 0


def test_without_its_database_a_command_says_so(tmp_path: Path) -> None:
    class Away:
        port = 1

    config = write_config(tmp_path, Away(), 1)  # type: ignore[arg-type]
    code, _, said = _obsctl("user", "list", "--config", str(config))
    assert code == 3
    assert "database 127.0.0.1" in said
