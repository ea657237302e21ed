"""What an attacker sends to the console: SQL in every parameter, broken filters, other sites' requests, guesses.

The console's account has every right here, so that a statement that got through would do what it says.
"""

from __future__ import annotations

import concurrent.futures
import importlib
import pkgutil
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest
import requests
import schemathesis
from fastapi import APIRouter
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import ignored_auth, positive_data_acceptance

from obsctl.console.web import routes
from obsctl.lines.formats.line import AccessLine
from rig.console import DATABASE, USER, Console, console, csrf, make_database, store_lines
from rig.database import MariaDB

#: Each tries to leave a text of a statement, to add a condition that is always true, a second statement, or a wait.
INJECTIONS = (
    "' OR '1'='1", "' OR 1=1 -- ", '" OR ""="', "') OR ('a'='a", "1 OR 1=1", "1' OR SLEEP(30) -- ", "1 AND SLEEP(30)",
    "'; DROP TABLE canary; -- ", "1; DROP TABLE canary", "\\'; DROP TABLE canary; -- ", "\\", "'", '"', "`", "%", "%s",
    "%(x)s", "' UNION SELECT name, password_hash FROM console_user -- ", "/*!50000 UNION*/ SELECT 1",
    "0x27204f5220313d31", "\u02bc OR 1=1 -- ", "\uff07 OR 1=1 -- ", "\xbf' OR 1=1 -- ", "{{7*7}}", "${7*7}", "admin'--",
    "x' AND (SELECT 1 FROM (SELECT SLEEP(30)) a) -- ", "\x00' OR 1=1 -- ", "*:* OR uri:*",
    "' AND EXTRACTVALUE(1, CONCAT(0x7e, VERSION())) -- ",
)  # fmt: skip
#: A wait that an injection asks for takes longer.
_AT_ONCE_S = 20.0
_CHANGING = {"POST", "PUT", "PATCH", "DELETE"}


@pytest.fixture(scope="module")
def site(mariadb: MariaDB, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Console]:
    make_database(mariadb)
    now = time.time()
    store_lines(
        mariadb,
        [
            AccessLine(
                time.strftime("%Y-%m-%d %H:%M:%S.000", time.gmtime(now - number)), "10.0.0.1", 200, number,
                uri=f"/item/{number}", log_format="json", host="node1", line_id=number.to_bytes(16, "big"),
            )
            for number in range(50)
        ],
    )  # fmt: skip
    with mariadb.root(DATABASE) as cursor:
        cursor.execute("CREATE TABLE canary (sings INT)")
        cursor.execute("INSERT INTO canary VALUES (1)")
        cursor.execute(f"GRANT ALL ON {DATABASE}.* TO '{USER}'@'127.0.0.1'")
    with console(mariadb, tmp_path_factory.mktemp("console")) as running:
        yield running
    with mariadb.root() as cursor:
        cursor.execute(f"DROP DATABASE {DATABASE}")


@pytest.fixture(scope="module")
def described(site: Console) -> dict[str, Any]:
    found: dict[str, Any] = requests.get(f"{site.url}/v1/openapi.json", timeout=10).json()
    return found


def _state(site: Console) -> dict[str, int]:
    with site.rows() as cursor:
        found = {}
        for table in ("canary", "access_log", "console_user"):
            cursor.execute(f"SELECT COUNT(*) FROM {table}")
            ((found[table],),) = cursor.fetchall()
    return found


class Browser(requests.Session):
    """A logged-in person whose changing requests come from the console's own page."""

    def __init__(self, site: Console) -> None:
        super().__init__()
        self.cookies.update(site.logged_in("ada").cookies)
        self.headers["x-csrf-token"] = csrf(self.get(f"{site.url}/account", timeout=10).text)


def _lacks(answer: Any) -> bool:
    """Return whether a call was refused because this console has neither brokers nor a fleet."""
    return answer.status_code == 503 and answer.json()["code"] in ("no-kafka", "not-configured")


def _properties(described: dict[str, Any], operation: dict[str, Any]) -> list[str]:
    """Return the names of what a call's body has."""
    schema = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
    if "$ref" in schema:
        schema = described["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    return list(schema.get("properties", ()))


def test_sql_in_a_parameter_is_a_value_or_refused(site: Console, described: dict[str, Any]) -> None:
    before, browser, tried = _state(site), Browser(site), 0
    for path, operations in described["paths"].items():
        for method, operation in operations.items():
            places = [(one["in"], one["name"]) for one in operation.get("parameters", ())]
            places += [("body", name) for name in _properties(described, operation)]
            for place, name in places:
                for text in INJECTIONS:
                    url = path.replace(f"{{{name}}}", quote(text, safe="")) if place == "path" else path
                    began = time.monotonic()
                    answer = browser.request(
                        method,
                        site.url + url.replace("{name}", "x").replace("{session_id}", "x"),
                        params={name: text} if place == "query" else None,
                        json={name: text} if place == "body" else {} if method == "put" else None,
                        timeout=60,
                    )
                    said = f"{method} {path} {name}={text!r}: {answer.status_code} {answer.text[:300]}"
                    assert answer.status_code < 500 or _lacks(answer), said
                    assert time.monotonic() - began < _AT_ONCE_S, said
                    assert "$argon2" not in answer.text, said
                    if (path, name) == ("/v1/traffic", "host") and answer.ok:
                        assert answer.json()["whole"]["requests"] == 0, said
                    tried += 1
    assert tried > 10 * len(INJECTIONS)
    assert _state(site) == before
    for name in ("x", *INJECTIONS):
        browser.delete(f"{site.url}/v1/queries/{quote(name, safe='')}", timeout=10)


_PIECES = st.sampled_from(
    (
        "status", "uri", "ts", "client_addr", "request_time", ":", '"', "'", "(", ")", "[", "]", "{", "}", " TO ",
        " AND ", " OR ", " NOT ", "*", "?", "\\", "/", "~", "^", "<", ">=", "500", "10.0.0.0/8", "now-1h", "-", "+",
        "!", "&&", "||", "%", "%s", "--", ";", "/*", "\x00", "\ud7ff", "\U0001f600",
    )
)  # fmt: skip


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(pieces=st.lists(_PIECES | st.text(max_size=6), max_size=14), log=st.sampled_from(("access", "error")))
@example(pieces=["("] * 4000, log="access")
@example(pieces=["NOT "] * 2000, log="error")
@example(pieces=["uri:", "*a" * 40], log="access")
@example(pieces=["log_format:\u02bc OR cut_fields:*\u02bc*"], log="access")
def test_any_text_is_a_filter_or_refused_at_a_place(site: Console, ada: Browser, pieces: list[str], log: str) -> None:
    text = "".join(pieces)
    answer = ada.get(f"{site.url}/v1/search", params={"filter": text, "log": log, "since": "5m"}, timeout=60)
    if answer.status_code == 200:
        assert '"kind":"end"' in answer.text
        return
    assert answer.status_code == 422, answer.text
    problem = answer.json()
    assert problem["code"] in ("invalid-filter", "invalid-parameter")
    if problem["code"] == "invalid-filter":
        assert 1 <= problem["column"] <= len(text) + 1
        assert problem["detail"]


@pytest.fixture(scope="module")
def ada(site: Console) -> Browser:
    return Browser(site)


@pytest.mark.parametrize(
    "path",
    [
        "/static/../config.py", "/static/%2e%2e/app.py", "/static/..%2fapp.py", "/static/..%5capp.py",
        "/static//etc/passwd", "/static/%2fetc%2fpasswd", "/static/vendor/../../app.py", "/static/....//app.py",
        "/static/%252e%252e/app.py",
        "/static/%c0%ae%c0%ae/app.py", "/static/search.js%00.css", "/static/", "/static/vendor",
        "/static/" + "a" * 5000,
    ],
)  # fmt: skip
def test_static_serves_its_own_files_alone(site: Console, path: str) -> None:
    asked = requests.Request("GET", site.url).prepare()
    asked.url = site.url + path
    answer = requests.Session().send(asked, timeout=10)
    assert answer.status_code == 404, answer.text[:300]


def _changing_routes() -> list[tuple[str, str]]:
    """Return method and path of each route that changes something, of every subject."""
    modules = [
        importlib.import_module(f"{routes.__name__}.{one.name}") for one in pkgutil.iter_modules(routes.__path__)
    ]
    routers = [router for module in modules for router in vars(module).values() if isinstance(router, APIRouter)]
    return sorted(
        (method, route.path)
        for router in routers
        for route in router.routes
        for method in route.methods & _CHANGING  # type: ignore[attr-defined]
    )


@pytest.mark.parametrize(("method", "path"), _changing_routes())
@pytest.mark.parametrize("origin", ["", "https://evil.example"])
def test_a_change_is_refused_that_no_page_of_the_console_asks_for(
    site: Console, method: str, path: str, origin: str
) -> None:
    browser = site.logged_in("ada")
    right = csrf(browser.get(f"{site.url}/account", timeout=10).text)
    headers = {"origin": origin, "x-csrf-token": right} if origin else {}
    if (path, origin) == ("/login", ""):
        return  # it has no session whose value it could repeat; what a browser says of the origin protects it
    url = path.replace("{", "").replace("}", "").replace(":path", "")
    data = {"csrf": right} if origin else {}
    for body in ({"data": data}, {"json": data}):
        answer = browser.request(method, site.url + url, headers=headers, allow_redirects=False, timeout=10, **body)  # type: ignore[arg-type]
        assert answer.status_code == 403, answer.text
    assert browser.get(f"{site.url}/v1/me", timeout=10).status_code == 200


def test_a_thousand_guesses_cost_few_computations_of_a_hash(site: Console) -> None:
    def guess(number: int) -> int:
        return int(site.log_in(f"user{number % 7}", f"a wrong password {number}").status_code)

    with concurrent.futures.ThreadPoolExecutor(8) as many:
        codes = list(many.map(guess, range(1000)))
    assert set(codes) == {401, 429}
    # 5 of each of the 7 names, or 30 of the address; those that run at the same time count on from the same number.
    assert codes.count(401) < 60
    with site.rows() as cursor:
        cursor.execute("DELETE FROM console_login_failure")
    assert site.log_in("vera").status_code == 303


def _refused(site: Console, method: str, path: str, **arguments: Any) -> tuple[int, str]:
    url = path.replace("{", "").replace("}", "")
    answer = requests.request(method, site.url + url, timeout=30, **arguments)
    assert answer.headers["content-type"] == "application/problem+json", f"{method} {path}: {answer.text[:300]}"
    return answer.status_code, answer.json()["code"]


def test_each_call_takes_the_ways_to_sign_in_that_are_described_and_no_other(
    site: Console, described: dict[str, Any]
) -> None:
    browser = site.logged_in("ada")
    cookie = {described["components"]["securitySchemes"]["session"]["name"]: browser.cookies.get("obsctl")}
    right = csrf(browser.get(f"{site.url}/account", timeout=10).text)
    made = browser.post(
        f"{site.url}/v1/tokens", json={"name": "probe", "role": "viewer"}, headers={"x-csrf-token": right}, timeout=10
    ).json()["token"]
    viewer = {"authorization": f"Bearer {made}"}
    tried = 0
    for path, operations in described["paths"].items():
        for method, operation in operations.items():
            if not (ways := operation["security"]):
                assert requests.request(method, site.url + path, timeout=10).ok
                continue
            by_session, *by_token = ways
            assert _refused(site, method, path) == (401, "not-logged-in")
            assert _refused(site, method, path, cookies=dict.fromkeys(cookie, "0" * 64)) == (401, "not-logged-in")
            if "csrf" in by_session:
                assert _refused(site, method, path, cookies=cookie) == (403, "cross-site")
                wrong = {"x-csrf-token": "0" * 64}
                assert _refused(site, method, path, cookies=cookie, headers=wrong) == (403, "cross-site")
            if not by_token or by_token[0]["token"] != ["viewer"]:
                assert _refused(site, method, path, headers=viewer) == (403, "forbidden")
            tried += 1
    assert tried > 30
    wrong_token = {"authorization": "Bearer obs_wrong"}
    assert _refused(site, "GET", "/v1/me", headers=wrong_token, cookies=cookie) == (401, "not-logged-in")


def test_the_api_does_what_its_description_says(site: Console, ada: Browser) -> None:
    # The browser is logged in; values that were made up in its place would be refused, and nothing else looked at.
    config = schemathesis.Config.from_dict({"generation": {"with-security-parameters": False}})
    described = schemathesis.openapi.from_url(f"{site.url}/v1/openapi.json", config=config)
    for found in described.get_all_operations():
        operation = found.ok()

        @settings(max_examples=15, suppress_health_check=list(HealthCheck))
        @given(case=operation.as_strategy())
        def asked(case: schemathesis.Case) -> None:
            # A time or a filter is a text that the description cannot describe further.
            excluded = [positive_data_acceptance, ignored_auth]
            answer = case.call(session=ada)
            if _lacks(answer):
                excluded.append(not_a_server_error)
            case.validate_response(answer, excluded_checks=excluded)

        asked()
