"""Users, projects and API tokens of the console over a real database, and what none of them may do."""

from __future__ import annotations

import datetime
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import requests
from fastapi.routing import APIRoute

from obsctl.console.web import app
from obsctl.lines.formats.line import AccessLine, ErrorLine
from obsctl.query import values
from rig.console import DATABASE, Console, console, csrf, make_database, password_of, store_lines
from rig.database import MariaDB

NOW = datetime.datetime.now(datetime.UTC).replace(microsecond=0)
SHOP = {"access": "uri:\\/shop*", "error": "message:*shop*"}
#: Calls of tests/unit/console/test_routes.py that a viewer may make.
OWN = ("/v1/sessions/", "/v1/password", "/v1/tokens", "/v1/queries/")


def _lines() -> list[AccessLine]:
    return [
        AccessLine(
            values.stored(NOW - datetime.timedelta(seconds=number)),
            "192.0.2.7", 200, number, uri=f"/{('shop', 'blog')[number % 2]}/{number}", log_format="json",
            host=f"node{1 + number % 2}", line_id=number.to_bytes(16, "big"),
        )
        for number in range(40)
    ]  # fmt: skip


def _errors() -> list[ErrorLine]:
    return [
        ErrorLine(values.stored(NOW), "error", 1, 1, f"{what} is broken", log_format="error", line_id=what.encode() * 4)
        for what in ("shop", "blog")
    ]


@pytest.fixture(scope="module")
def page(mariadb: MariaDB, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Console]:
    make_database(mariadb)
    store_lines(mariadb, _lines(), _errors())
    with console(mariadb, tmp_path_factory.mktemp("console")) as running:
        yield running
    with mariadb.root() as cursor:
        cursor.execute(f"DROP DATABASE {DATABASE}")


@pytest.fixture(autouse=True)
def _as_at_first(page: Console) -> Iterator[None]:
    yield
    with page.rows() as cursor:
        for table in ("login_failure", "project", "member", "token", "session", "query"):
            cursor.execute(f"DELETE FROM console_{table}")
        cursor.execute("DELETE FROM console_user WHERE name NOT IN ('ada', 'olga', 'vera')")


class Person:
    """Somebody who is logged in, or has a token, and asks the API."""

    def __init__(self, page: Console, name: str = "", token: str = "") -> None:
        self.page = page
        self.browser = page.logged_in(name) if name else page.browser()
        if name:
            self.browser.headers["x-csrf-token"] = csrf(self.browser.get(f"{page.url}/account", timeout=30).text)
        if token:
            self.browser.headers["authorization"] = f"Bearer {token}"

    def ask(self, method: str, path: str, **options: Any) -> requests.Response:
        """Return an answer of the API."""
        return self.browser.request(method, f"{self.page.url}/v1{path}", timeout=30, **options)

    def search(self, filter: str = "", **parameters: str) -> list[dict[str, Any]]:  # noqa: A002 - the parameter's name
        """Return the found lines."""
        answer = self.ask("GET", "/search", params={"filter": filter, "since": "24h", **parameters})
        assert answer.status_code == 200, answer.text
        return [line for message in answer.text.splitlines() for line in json.loads(message).get("lines", ())]

    def token(self, **wanted: Any) -> str:
        """Return a new token of one's own."""
        answer = self.ask("POST", "/tokens", json={"name": "ci", **wanted})
        assert answer.status_code == 201, answer.text
        return str(answer.json()["token"])


@pytest.fixture
def ada(page: Console) -> Person:
    return Person(page, "ada")


def _give(ada: Person, name: str, *members: str, **filters: str) -> None:
    answer = ada.ask("PUT", f"/projects/{quote(name, safe='')}", json={**filters, "members": members})
    assert answer.status_code == 204, answer.text


# -- users ---------------------------------------------------------------------------------------------------------


def test_an_admin_manages_users_and_each_change_is_on_record(page: Console, ada: Person) -> None:
    first, second, own = "the first of all passwords", "a second of all passwords", "one that nora has chosen"
    assert ada.ask("POST", "/users", json={"name": "nora", "role": "viewer", "password": first}).status_code == 201
    nora = Person(page)
    assert page.log_in("nora", first, nora.browser).headers["location"] == "/overview"
    # The first password opens nothing but the change of it.
    assert nora.browser.get(f"{page.url}/search", timeout=10).url == f"{page.url}/account"
    account = nora.browser.get(f"{page.url}/account", timeout=10).text
    assert "Change your password first." in account
    nora.browser.headers["x-csrf-token"] = csrf(account)
    refused = nora.ask("GET", "/search")
    assert (refused.status_code, refused.json()["code"]) == (403, "change-password")
    assert nora.ask("POST", "/tokens", json={"name": "early"}).status_code == 403
    for wanted, code in (
        ({"old": "wrong", "new": own}, "wrong-password"),
        ({"old": first, "new": first}, "refused"),
        ({"old": first, "new": "short"}, "unfit-password"),
    ):
        assert nora.ask("POST", "/password", json=wanted).json()["code"] == code
    assert nora.ask("POST", "/password", json={"old": first, "new": own}).status_code == 204
    assert nora.ask("GET", "/search").status_code == 200

    assert ada.ask("PATCH", "/users/nora", json={"role": "operator"}).status_code == 204
    assert nora.ask("GET", "/me").json() == {"name": "nora", "role": "operator"}
    assert ada.ask("DELETE", "/users/nora/sessions").status_code == 204
    assert nora.ask("GET", "/me").status_code == 401
    page.log_in("nora", own, nora.browser)
    assert ada.ask("PATCH", "/users/nora", json={"password": second}).status_code == 204
    assert nora.ask("GET", "/me").status_code == 401
    assert ada.ask("PATCH", "/users/nora", json={"disabled": True}).status_code == 204
    assert page.log_in("nora", second).status_code == 401
    (seen,) = (one for one in ada.ask("GET", "/users").json() if one["name"] == "nora")
    assert (seen["role"], seen["disabled"], seen["must_change"], seen["has_password"]) == (
        "operator", True, True, True,
    )  # fmt: skip
    assert ada.ask("DELETE", "/users/nora").status_code == 204
    assert ada.ask("DELETE", "/users/nora").status_code == 404

    found = ada.ask("GET", "/audit", params={"limit": "3"}).json()
    rest = ada.ask("GET", "/audit", params={"limit": "1000", "before": str(found["next"])}).json()
    changes = [*found["changes"], *rest["changes"]][:7]
    assert [(one["actor"], one["action"]) for one in reversed(changes)] == [
        ("ada", "user.add"), ("nora", "user.password"), ("ada", "user.role"), ("ada", "user.logout"),
        ("ada", "user.password"), ("ada", "user.disable"), ("ada", "user.remove"),
    ]  # fmt: skip
    assert rest["next"] is None
    assert {one["client_addr"] for one in changes} == {"127.0.0.1"}
    with page.rows() as cursor:
        cursor.execute("SELECT * FROM console_audit")
        assert "passwords" not in str(cursor.fetchall())


@pytest.mark.parametrize(
    ("method", "options"),
    [("DELETE", {}), ("PATCH", {"json": {"disabled": True}}), ("PATCH", {"json": {"role": "viewer"}})],
)
def test_the_last_admin_stays(ada: Person, method: str, options: dict[str, Any]) -> None:
    answer = ada.ask(method, "/users/ada", **options)
    assert (answer.status_code, answer.json()["code"]) == (409, "refused")
    assert "the only admin" in answer.json()["detail"]
    assert ada.ask("GET", "/me").json()["role"] == "admin"


def test_a_change_that_is_refused_half_way_changes_nothing(ada: Person) -> None:
    wanted = {"role": "admin", "disabled": True, "password": "short"}
    assert ada.ask("PATCH", "/users/vera", json=wanted).json()["code"] == "unfit-password"
    (vera,) = (one for one in ada.ask("GET", "/users").json() if one["name"] == "vera")
    assert (vera["role"], vera["disabled"]) == ("viewer", False)


@pytest.mark.parametrize(
    "name", ["", "../../etc", "a/b", "Vera", "vera ", "vera\u0000", "vera' OR '1'='1", "..", "用户", "-x", "a" * 65]
)
def test_a_name_that_could_mean_something_else_is_refused(ada: Person, name: str) -> None:
    wanted = {"name": name, "role": "viewer", "password": "correct horse battery"}
    assert ada.ask("POST", "/users", json=wanted).status_code in (409, 422)
    assert ada.ask("PATCH", f"/users/{quote(name, safe='')}", json={"role": "admin"}).status_code in (404, 405)


def test_the_own_password_takes_the_old_one_and_ends_the_other_sessions(page: Console) -> None:
    here, there = Person(page, "vera"), Person(page, "vera")
    other = "another horse of vera's"
    assert here.ask("POST", "/password", json={"old": password_of("vera"), "new": other}).status_code == 204
    try:
        assert there.ask("GET", "/me").status_code == 401
        assert here.ask("GET", "/me").status_code == 200
        for _ in range(5):
            assert here.ask("POST", "/password", json={"old": "guess", "new": other}).status_code == 403
        answer = here.ask("POST", "/password", json={"old": other, "new": password_of("vera")})
        assert (answer.status_code, "retry-after" in answer.headers) == (429, True)
        with page.rows() as cursor:
            cursor.execute("DELETE FROM console_login_failure")
    finally:
        assert here.ask("POST", "/password", json={"old": other, "new": password_of("vera")}).status_code == 204


# -- roles ---------------------------------------------------------------------------------------------------------

CHANGING = [
    (method, route.path_format)
    for subject in app._SUBJECTS
    for route in subject.api.routes
    if isinstance(route, APIRoute) and not route.path_format.startswith(OWN)
    for method in route.methods - {"GET"}
]


@pytest.mark.parametrize(("method", "path"), CHANGING)
def test_a_viewer_changes_nothing_that_all_share(page: Console, method: str, path: str) -> None:
    path = path.replace("{name}", "vera").removeprefix("/v1")
    vera = Person(page, "vera")
    for body in ({}, {"role": "admin"}, {"name": "evil", "role": "admin", "password": "correct horse battery"}):
        answer = vera.ask(method, path, json=body)
        assert (answer.status_code, answer.json()["code"]) == (403, "forbidden"), answer.text
    weak = Person(page, token=Person(page, "ada").token(role="viewer"))
    assert weak.ask(method, path, json={}).status_code == 403
    assert vera.ask("GET", "/me").json()["role"] == "viewer"


@pytest.mark.parametrize("path", ["/users", "/projects", "/audit"])
def test_what_admins_see_is_theirs(page: Console, path: str) -> None:
    for name in ("vera", "olga"):
        other = Person(page, name)
        assert other.ask("GET", path).status_code == 403
        shown = other.browser.get(page.url + path, timeout=10)
        assert (shown.status_code, "ada" in shown.text) == (403, False)
        assert f'href="{path}"' not in other.browser.get(f"{page.url}/search", timeout=10).text
    ada = Person(page, "ada")
    shown = ada.browser.get(page.url + path, timeout=10)
    assert (shown.status_code, f'href="{path}"' in shown.text) == (200, True)


# -- projects ------------------------------------------------------------------------------------------------------


def test_a_member_sees_the_lines_of_the_project_and_no_others(page: Console, ada: Person) -> None:
    _give(ada, "shop", "vera", "ada", **SHOP)
    vera, olga = Person(page, "vera"), Person(page, "olga")
    assert {line["uri"].split("/")[1] for line in vera.search()} == {"shop"}
    assert len(vera.search()) == 20
    assert [line["message"] for line in vera.search(log="error")] == ["shop is broken"]
    assert len(olga.search()) == 40, "who is in no project"
    assert len(ada.search()) == 40, "an admin"
    assert ": shop" in vera.browser.get(f"{page.url}/account", timeout=10).text
    _give(ada, "blog", "vera", access="uri:\\/blog\\/1")
    assert len(vera.search()) == 21
    assert ada.ask("DELETE", "/projects/shop").status_code == 409, "its members would see more"
    _give(ada, "shop", **SHOP)
    assert [line["uri"] for line in vera.search()] == ["/blog/1"]
    assert vera.search(log="error") == []
    assert ada.ask("DELETE", "/projects/shop").status_code == 204
    assert [one["name"] for one in ada.ask("GET", "/projects").json()] == ["blog"]


@pytest.mark.parametrize(
    "filter",
    [
        "* OR *", "*:*", "uri:* OR NOT uri:*", "NOT uri:\\/shop*", "host:node2", "uri:\\/blog* OR uri:\\/shop*",
        ") OR (*", "* ) --", "' OR '1'='1", "bytes:1", "NOT (NOT *)", "*) OR TRUE OR (*",
    ],
)  # fmt: skip
def test_no_filter_leads_out_of_a_project(page: Console, ada: Person, filter: str) -> None:  # noqa: A002
    _give(ada, "shop", "vera", **SHOP)
    answer = Person(page, "vera").ask("GET", "/search", params={"filter": filter, "since": "24h"})
    assert answer.status_code in (200, 422)
    assert "/blog" not in answer.text


def test_no_parameter_leads_out_of_a_project(page: Console, ada: Person) -> None:
    _give(ada, "shop", "vera", **SHOP)
    vera, olga = Person(page, "vera"), Person(page, "olga")
    for forged in ("project", "projects", "project_id", "scope", "user", "user_id", "role", "access_filter"):
        assert vera.ask("GET", "/search", params={forged: "0", "since": "24h"}).status_code == 422, forged
        assert vera.ask("GET", "/traffic", params={forged: "0"}).status_code == 422, forged
    for header in ("x-project", "x-user", "x-remote-user", "x-forwarded-user", "authorization"):
        vera.browser.headers[header] = "ada"
    assert {line["uri"].split("/")[1] for line in vera.search()} == {"shop"}

    # The cursor of somebody who sees more, and what somebody shares.
    first = olga.ask("GET", "/search", params={"filter": "host:node2", "since": "24h", "limit": "3"})
    after = json.loads(first.text.splitlines()[-1])["next"]
    assert after
    assert {line["uri"].split("/")[1] for line in vera.search(before=after)} == {"shop"}
    shared = {"filter": "uri:\\/blog*", "since": "24h", "shared": True}
    assert olga.ask("PUT", "/queries/all", json=shared).status_code == 204
    (query,) = vera.ask("GET", "/queries").json()
    assert vera.search(query["filter"]) == []
    # What a member keeps is the member's own text, without the project's filter.
    assert vera.ask("PUT", "/queries/mine", json={"filter": "bytes:1"}).status_code == 204
    assert olga.ask("PUT", "/queries/vera", json={"filter": "*", "user_id": 1}).status_code == 422

    by_token = Person(page, token=vera.token())
    assert {line["uri"].split("/")[1] for line in by_token.search("*")} == {"shop"}
    low = Person(page, token=ada.token(role="viewer"))
    assert len(low.search()) == 40
    _give(ada, "shop", "vera", "ada", **SHOP)
    assert len(low.search()) == 20, "a viewer's token of an admin who is a member"


def test_what_stands_beside_a_search_is_narrowed_as_the_search_is(page: Console, ada: Person) -> None:
    vera = Person(page, "vera")

    def counted(person: Person, **asked: str) -> int:
        answer = person.ask("GET", "/histogram", params={"since": "24h", **asked})
        assert answer.status_code == 200, answer.text
        return sum(sum(json.loads(line).get("lines", ())) for line in answer.text.splitlines())

    def frequent(person: Person) -> set[str]:
        """The first twenty of values that are there once each."""
        found = person.ask("GET", "/values", params={"field": "uri"}).json()
        return {one["text"].strip('"').replace("\\", "").split("/")[1] for one in found}

    assert (counted(vera), counted(vera, log="error"), frequent(vera)) == (40, 2, {"blog"})
    _give(ada, "shop", "vera", **SHOP)
    assert (counted(vera), counted(vera, log="error"), frequent(vera)) == (20, 1, {"shop"})
    assert counted(vera, filter="uri:\\/blog*") == 0
    assert vera.ask("GET", "/values", params={"field": "uri", "prefix": "/blog"}).json() == []
    sql = vera.ask("GET", "/statement", params={"filter": "status:200 OR status:500"}).json()
    assert any("/shop" in str(one) for one in sql["parameters"])
    assert (counted(ada), frequent(ada)) == (40, {"blog"})


def test_what_cannot_be_narrowed_is_refused_to_members_and_not_offered(page: Console, ada: Person) -> None:
    vera, olga = Person(page, "vera"), Person(page, "olga")
    _give(ada, "shop", "vera", "olga", **SHOP)
    silence = {"filter": "rule:rate", "reason": "x"}
    for person, method, path, body in (
        *((vera, "GET", path, None) for path in (
            "/live", "/errors", f"/errors/{'0' * 32}/example", "/alerts", "/alerts/history", "/alerts/x", "/silences",
            "/quarantine",
        )),
        (olga, "POST", "/silences", silence),
        (olga, "DELETE", "/silences/x", None),
        (olga, "POST", "/quarantine/replay", {"reason": "parse"}),
    ):  # fmt: skip
        answer = person.ask(method, path, json=body)
        assert (answer.status_code, answer.json()["code"]) == (403, "forbidden"), path
        assert "lines of all projects" in answer.json()["detail"], path
    for name in ("live", "errors", "alerts", "quarantine"):
        answer = vera.browser.get(f"{page.url}/{name}", timeout=10)
        assert (answer.status_code, "lines of all projects" in answer.text) == (403, True), name
    shown = vera.browser.get(f"{page.url}/overview", timeout=10).text
    assert 'href="/search"' in shown
    assert 'href="/alerts"' not in shown
    assert 'href="/alerts"' in ada.browser.get(f"{page.url}/overview", timeout=10).text


def test_traffic_of_a_member_is_counted_or_refused(page: Console, ada: Person) -> None:
    vera = Person(page, "vera")
    _give(ada, "second", "vera", access="host:node2")
    found = vera.ask("GET", "/traffic", params={"since": "24h"}).json()
    assert (found["whole"]["requests"], [row["name"] for row in found["hosts"]]) == (20, ["node2"])
    assert vera.ask("GET", "/traffic", params={"host": "node1"}).json()["whole"]["requests"] == 0
    assert sum(map(sum, found["status"].values())) == 20
    _give(ada, "shop", "vera", **SHOP)
    answer = vera.ask("GET", "/traffic")
    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
    assert "the filter of your project shop" in answer.json()["detail"]
    _give(ada, "shop")
    _give(ada, "second")
    _give(ada, "nothing", "vera", error="*")
    assert vera.ask("GET", "/traffic").json()["whole"]["requests"] == 0


def test_a_project_whose_filter_is_damaged_shows_nothing(page: Console, ada: Person) -> None:
    _give(ada, "shop", "vera", **SHOP)
    with page.rows() as cursor:
        cursor.execute("UPDATE console_project SET access_filter = 'gone:1'")
    vera = Person(page, "vera")
    for path in ("/search", "/traffic"):
        answer = vera.ask("GET", path)
        assert (answer.status_code, "project shop" in answer.json()["detail"]) == (403, True)


def test_a_project_that_cannot_work_is_refused(ada: Person) -> None:
    answer = ada.ask("PUT", "/projects/a", json={"access": "*", "error": "statsu:5"})
    assert (answer.status_code, answer.json()["code"], answer.json()["log"]) == (422, "invalid-filter", "error")
    assert ada.ask("PUT", "/projects/a", json={"members": ["nobody"]}).json()["code"] == "refused"
    assert ada.ask("PUT", f"/projects/{'a' * 101}", json={}).status_code == 422
    assert ada.ask("GET", "/projects").json() == []
    odd = "../../夜班 <b>'\"--/.."
    _give(ada, odd, "vera", access="*")
    assert [one["name"] for one in ada.ask("GET", "/projects").json()] == [odd]
    assert ada.ask("DELETE", "/projects/none").status_code == 404


# -- tokens --------------------------------------------------------------------------------------------------------


def test_a_token_is_shown_once_and_does_what_its_role_may(page: Console, ada: Person) -> None:
    token = ada.token(role="admin", days=7)
    assert token.startswith("obs_")
    by_token = Person(page, token=token)
    assert by_token.ask("GET", "/me").json() == {"name": "ada", "role": "admin"}
    # No page's proof is asked of it, and the record names it.
    assert by_token.ask("PUT", "/projects/by-token", json={}).status_code == 204
    last = ada.ask("GET", "/audit", params={"limit": "1"}).json()["changes"][0]
    assert (last["actor"], last["detail"].endswith(", by token ci")) == ("ada", True)
    (seen,) = ada.ask("GET", "/tokens").json()
    assert (seen["name"], seen["role"], seen["used_at"] is not None) == ("ci", "admin", True)
    assert token not in json.dumps(seen)
    with page.rows() as cursor:
        for table in ("token", "audit"):
            cursor.execute(f"SELECT * FROM console_{table}")
            assert token.removeprefix("obs_") not in str(cursor.fetchall())
    assert Person(page, "vera").ask("DELETE", f"/tokens/{seen['id']}").status_code == 404
    assert ada.ask("DELETE", f"/tokens/{seen['id']}").status_code == 204
    assert by_token.ask("GET", "/me").status_code == 401


def test_a_lesser_token_of_an_admin_who_is_a_member_sees_the_projects_lines_alone(page: Console, ada: Person) -> None:
    _give(ada, "shop", "ada", **SHOP)
    assert len(ada.search(limit="100")) == 40
    assert len(Person(page, token=ada.token(role="admin")).search(limit="100")) == 40
    for role in ("viewer", "operator"):
        lines = Person(page, token=ada.token(role=role)).search(limit="100")
        assert len(lines) == 20, role
        assert all(line["uri"].startswith("/shop/") for line in lines)


def test_a_token_ends_by_time_with_its_user_and_with_its_users_role(page: Console, ada: Person) -> None:
    olga = Person(page, "olga")
    token = Person(page, token=olga.token(role="operator"))
    assert olga.ask("POST", "/tokens", json={"name": "x", "role": "admin"}).json()["code"] == "refused"
    assert olga.ask("POST", "/tokens", json={"name": "x", "days": 366}).status_code == 422
    assert ada.ask("PATCH", "/users/olga", json={"role": "viewer"}).status_code == 204
    assert token.ask("GET", "/me").json()["role"] == "viewer"
    assert ada.ask("PATCH", "/users/olga", json={"role": "operator", "disabled": True}).status_code == 204
    assert token.ask("GET", "/me").status_code == 401
    assert ada.ask("PATCH", "/users/olga", json={"disabled": False}).status_code == 204
    assert token.ask("GET", "/me").status_code == 200
    with page.rows() as cursor:
        cursor.execute("UPDATE console_token SET expires_at = UTC_TIMESTAMP(3) - INTERVAL 1 SECOND")
    assert token.ask("GET", "/me").status_code == 401
    again = Person(page, token=Person(page, "olga").token())
    assert ada.ask("DELETE", "/users/olga/tokens").status_code == 204
    assert again.ask("GET", "/me").status_code == 401


def test_a_token_does_not_outlive_itself_and_opens_no_page(page: Console, ada: Person) -> None:
    by_token = Person(page, token=ada.token(role="admin"))
    assert by_token.ask("POST", "/tokens", json={"name": "child"}).status_code == 403
    wanted = {"old": password_of("ada"), "new": "another horse of ada's"}
    assert by_token.ask("POST", "/password", json=wanted).status_code == 403
    answer = by_token.browser.get(f"{page.url}/users", timeout=10, allow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (303, "/login?next=/users")


def test_a_request_with_a_token_and_a_session_is_the_tokens(page: Console, ada: Person) -> None:
    weak = Person(page, "vera").token()
    ada.browser.headers["authorization"] = f"Bearer {weak}"
    assert ada.ask("GET", "/me").json() == {"name": "vera", "role": "viewer"}
    assert ada.ask("GET", "/users").status_code == 403
    ada.browser.headers["authorization"] = "Bearer obs_wrong"
    assert ada.ask("GET", "/me").status_code == 401
    ada.browser.headers["authorization"] = "Basic YWRhOng="
    assert ada.ask("GET", "/me").json()["name"] == "ada", "a proxy's own login"


def test_wrong_tokens_are_bounded_and_right_ones_go_on(page: Console) -> None:
    right = Person(page, token=Person(page, "vera").token())
    codes = [
        Person(page, token=f"obs_{n}").ask("GET", "/me").status_code if n else Person(page, token="x' OR 1=1")
        .ask("GET", "/me").status_code
        for n in range(34)
    ]  # fmt: skip
    assert codes == [401] * 30 + [429] * 4
    assert right.ask("GET", "/me").status_code == 200
    assert page.log_in("vera").status_code == 303


def test_a_user_without_a_password_has_tokens_alone(page: Console, ada: Person) -> None:
    assert ada.ask("POST", "/users", json={"name": "robot", "role": "viewer"}).status_code == 201
    for password in ("", "None", "!", password_of("robot")):
        assert page.log_in("robot", password).status_code == 401
    (robot,) = (one for one in ada.ask("GET", "/users").json() if one["name"] == "robot")
    assert (robot["has_password"], robot["must_change"]) == (False, False)


def test_a_session_that_was_planted_gets_no_rights_by_the_login_of_another(page: Console) -> None:
    vera = Person(page, "vera")
    planted = vera.browser.cookies["obsctl"]
    victim = page.browser()
    victim.cookies.set("obsctl", planted)
    assert page.log_in("ada", browser=victim).cookies["obsctl"] != planted
    assert vera.ask("GET", "/me").status_code == 401


# -- a proxy in front ----------------------------------------------------------------------------------------------


def test_whom_a_trusted_proxy_names_is_logged_in(page: Console, tmp_path: Path) -> None:
    people = {"trusted_header": "X-Remote-User", "trusted_proxies": ["127.0.0.0/8"]}
    with console(page.server, tmp_path, people=people) as behind:
        browser = behind.browser()
        browser.headers.update({"x-remote-user": "vera", "x-forwarded-for": "203.0.113.9"})
        assert browser.get(f"{behind.url}/search?log=error", timeout=30).url == f"{behind.url}/search?log=error"
        assert browser.get(f"{behind.url}/v1/me", timeout=30).json()["name"] == "vera"
        assert "203.0.113.9" in browser.get(f"{behind.url}/account", timeout=30).text
        # The session of one person is of no use to another one whom the proxy names.
        browser.headers["x-remote-user"] = "olga"
        assert browser.get(f"{behind.url}/v1/me", timeout=30).status_code == 401
        browser.get(f"{behind.url}/search", timeout=30)
        assert browser.get(f"{behind.url}/v1/me", timeout=30).json()["name"] == "olga"
        for name in ("nobody", "vera, ada", "' OR '1'='1", "../ada"):
            answer = requests.get(f"{behind.url}/login", headers={"x-remote-user": name}, timeout=30)
            assert (answer.status_code, "set-cookie" in answer.headers) == (403, False), name
        assert behind.log_in("vera").status_code == 303, "by password where the proxy names nobody"
