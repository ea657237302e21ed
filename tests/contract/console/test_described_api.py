"""The published description of the console's API: how each call signs in, and what it answers where it cannot."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from fastapi.routing import APIRoute

from obsctl.console.config import ConsoleConfig
from obsctl.console.people.roles import Role
from obsctl.console.web import app
from obsctl.console.web.described import CSRF, OPEN, SESSION, TOKEN
from obsctl.console.web.guard import admin, by_session, operator
from tests.unit.console.test_routes import CALLS, asked_of

#: Calls that take no login; each other one says how it signs in.
WITHOUT_A_LOGIN = {("get", "/v1/health")}
#: Calls that no token may make.
BY_SESSION_ALONE = {("post", "/v1/password"), ("post", "/v1/tokens")}
_CHANGING = {"post", "put", "patch", "delete"}


def described(**listen: Any) -> dict[str, Any]:
    config = msgspec.convert(
        {
            "listen": {"address": "127.0.0.1", "port": 1, **listen},
            "database": {"host": "127.0.0.1", "port": 1, "name": "x", "user": "x", "password": "env:X"},
        },
        ConsoleConfig,
    )
    document: dict[str, Any] = app.build(config)._application.openapi()
    return document


DOCUMENT = described()
OPERATIONS = {
    (method, path): operation for path, methods in DOCUMENT["paths"].items() for method, operation in methods.items()
}
SIGNED = {place: operation for place, operation in OPERATIONS.items() if place not in WITHOUT_A_LOGIN}


def route_of(method: str, path: str) -> APIRoute:
    (found,) = (route for route in CALLS if route.path_format == path and method.upper() in route.methods)
    return found


def named(place: tuple[str, str]) -> str:
    return " ".join(place)


@pytest.mark.parametrize("place", OPERATIONS, ids=named)
def test_a_call_says_how_it_signs_in(place: tuple[str, str]) -> None:
    security = OPERATIONS[place].get("security")
    assert security is not None, "it takes neither Caller nor stands in OPEN of described.py"
    assert (security == []) is (place in WITHOUT_A_LOGIN)


def test_the_calls_without_a_login_are_those_that_are_listed() -> None:
    assert {path for _, path in WITHOUT_A_LOGIN} == OPEN


@pytest.mark.parametrize("place", SIGNED, ids=named)
def test_a_call_takes_the_role_and_the_proof_that_its_dependencies_ask_for(place: tuple[str, str]) -> None:
    asked = set(asked_of(route_of(*place).dependant))
    role = Role.ADMIN if admin in asked else Role.OPERATOR if operator in asked else Role.VIEWER
    by_login = {SESSION: [role.value], **({CSRF: []} if place[0] in _CHANGING else {})}
    expected = [by_login] if place in BY_SESSION_ALONE else [by_login, {TOKEN: [role.value]}]
    assert SIGNED[place]["security"] == expected
    assert (by_session in asked) is (place in BY_SESSION_ALONE)


def test_each_way_to_sign_in_is_described_once() -> None:
    schemes = DOCUMENT["components"]["securitySchemes"]
    assert {
        name: (one["type"], one.get("in"), one.get("name"), one.get("scheme")) for name, one in schemes.items()
    } == {
        SESSION: ("apiKey", "cookie", "obsctl", None),
        CSRF: ("apiKey", "header", "x-csrf-token", None),
        TOKEN: ("http", None, None, "bearer"),
    }
    used = {name for operation in SIGNED.values() for way in operation["security"] for name in way}
    assert used == set(schemes)


def test_the_cookie_of_a_console_with_tls_is_the_one_that_it_sets() -> None:
    document = described(certificate="/x/cert.pem", key="/x/key.pem")
    assert document["components"]["securitySchemes"][SESSION]["name"] == "__Host-obsctl"


@pytest.mark.parametrize("place", SIGNED, ids=named)
def test_a_call_with_a_login_may_be_refused(place: tuple[str, str]) -> None:
    answers = SIGNED[place]["responses"]
    names = {"401": "NotLoggedIn", "403": "Forbidden", "429": "Busy", "default": "Problem"}
    assert {code: answers.get(code) for code in names} == {
        code: {"$ref": f"#/components/responses/{name}"} for code, name in names.items()
    }
    assert "422" not in answers, "what the framework itself would answer is not what the console answers"


def test_a_problem_is_described_once() -> None:
    answers = DOCUMENT["components"]["responses"]
    assert set(answers) == {"NotLoggedIn", "Forbidden", "Busy", "Problem"}
    for answer in answers.values():
        assert answer["content"] == {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    assert set(DOCUMENT["components"]["schemas"]["Problem"]["required"]) == {
        "type",
        "title",
        "status",
        "code",
        "detail",
    }
    assert "application/problem+json" not in str(DOCUMENT["paths"])
    assert "retry-after" in answers["Busy"]["headers"]
