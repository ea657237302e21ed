"""Each call of the API says by its dependencies who may make it, and whose lines it answers with."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest
from fastapi.routing import APIRoute

from obsctl.console.config import ConsoleConfig
from obsctl.console.web import app
from obsctl.console.web.described import OPEN
from obsctl.console.web.guard import admin, caller, logged_in, operator
from obsctl.console.web.scope import scope_of, unbounded

#: Calls that hold no line and nothing that is counted of lines; each other one is narrowed to a person's projects.
WITHOUT_LINES = {
    "/v1/me", "/v1/fields", "/v1/sessions", "/v1/sessions/{session_id}", "/v1/password", "/v1/tokens",
    "/v1/tokens/{token_id}", "/v1/users", "/v1/users/{name}", "/v1/users/{name}/sessions", "/v1/users/{name}/tokens",
    "/v1/projects", "/v1/projects/{name:path}", "/v1/audit",
    # Saved searches are texts of people; what one finds depends on who runs it.
    "/v1/queries", "/v1/queries/{name:path}",
    # The state of hosts, and when each of them was heard of last.
    "/v1/status", "/v1/shippers",
}  # fmt: skip
#: Calls whose answers cannot be narrowed, and which refuse who sees the lines of projects alone.
WHOLE = {
    "/v1/live", "/v1/errors", "/v1/errors/{error_id}/example", "/v1/alerts", "/v1/alerts/history",
    "/v1/alerts/{incident}", "/v1/rules/{name:path}/would-fire", "/v1/silences", "/v1/silences/{silence_id}",
    "/v1/quarantine", "/v1/quarantine/replay",
}  # fmt: skip
#: Calls that change what belongs to the asking person alone, and that a viewer may make.
OWN = {
    "/v1/sessions/{session_id}", "/v1/password", "/v1/tokens", "/v1/tokens/{token_id}", "/v1/queries/{name:path}",
}  # fmt: skip
#: The same of pages, whose forms have no role.
OWN_FORMS = {"/login", "/logout", "/account/sessions/{session_id}", "/language"}
#: Open to who has to change the password first.
BEFORE_THE_PASSWORD = {"/v1/me", "/v1/password"}

CALLS = [route for subject in app._SUBJECTS for route in subject.api.routes if isinstance(route, APIRoute)]
FORMS = [route for subject in app._SUBJECTS for route in subject.pages.routes if isinstance(route, APIRoute)]


def named(route: Any) -> str:
    return f"{'|'.join(sorted(route.methods))} {route.path}"


def asked_of(dependant: Any) -> Iterator[Callable[..., Any]]:
    for one in dependant.dependencies:
        yield one.call
        yield from asked_of(one)


@pytest.mark.parametrize("route", CALLS, ids=named)
def test_a_call_takes_a_login(route: APIRoute) -> None:
    wanted = caller if route.path in BEFORE_THE_PASSWORD else logged_in
    assert wanted in set(asked_of(route.dependant))


@pytest.mark.parametrize("route", CALLS, ids=named)
def test_a_call_is_narrowed_to_projects_unless_it_holds_no_line(route: APIRoute) -> None:
    assert scope_of in set(asked_of(route.dependant)) or route.path in WITHOUT_LINES, "take Scoped"


def test_what_cannot_be_narrowed_refuses_who_is_bounded() -> None:
    assert {route.path for route in CALLS if unbounded in set(asked_of(route.dependant))} == WHOLE


@pytest.mark.parametrize("route", CALLS, ids=named)
def test_a_call_that_changes_what_all_share_takes_a_role(route: APIRoute) -> None:
    if route.methods != {"GET"}:
        assert {operator, admin} & set(asked_of(route.dependant)) or route.path in OWN, "take Operator or Admin"


def test_pages_change_nothing_that_all_share() -> None:
    assert {route.path for route in FORMS if route.methods != {"GET"}} == OWN_FORMS


def test_there_are_no_other_calls() -> None:
    config = msgspec.convert(
        {
            "listen": {"address": "127.0.0.1", "port": 1},
            "database": {"host": "127.0.0.1", "port": 1, "name": "x", "user": "x", "password": "env:X"},
        },
        ConsoleConfig,
    )
    described = app.build(config)._application.openapi()["paths"]
    assert set(described) == {route.path_format for route in CALLS} | OPEN
    assert {route.path for route in CALLS} >= WITHOUT_LINES | OWN | BEFORE_THE_PASSWORD
