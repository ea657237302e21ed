"""The description of the API (OpenAPI 3.1): FastAPI's description of the calls, and the login that each of them takes.

The login that a call takes follows from its dependencies, which also enforce it (:mod:`obsctl.console.web.guard`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from fastapi import FastAPI
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from starlette.routing import BaseRoute

from obsctl.console.people.roles import Role
from obsctl.console.web.guard import CSRF_HEADER, SAFE_METHODS, admin, by_session, caller, operator
from obsctl.console.web.problems import MEDIA_TYPE, SCHEMA

SESSION, CSRF, TOKEN = "session", "csrf", "token"
#: Calls that take no login.
OPEN = frozenset(("/v1/health",))
#: The answers that each call with a login may give, by status: the name among the shared answers, and the reason.
_REFUSALS = {
    "401": ("NotLoggedIn", "there is no login, or the token is not valid (`not-logged-in`)"),
    "403": (
        "Forbidden",
        "the role or the projects of who asks do not allow it (`forbidden`), a changing request does not repeat the "
        "session's value (`cross-site`), or the password is to be changed first (`change-password`)",
    ),
    "429": ("Busy", "too many requests with a wrong token, or too many such calls run (`busy`)"),
}
_RETRY_AFTER = {"retry-after": {"description": "seconds to wait", "schema": {"type": "integer"}}}


def describe(app: FastAPI, calls: Sequence[BaseRoute], cookie: str) -> None:
    """Add the logins of its calls to an application's description.

    Args:
        app: with all of its routes.
        calls: those of the API.
        cookie: the name of the session's cookie.
    """
    by_framework = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _completed(by_framework(), calls, cookie)
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]


def _completed(document: dict[str, Any], calls: Sequence[BaseRoute], cookie: str) -> dict[str, Any]:
    components = document.setdefault("components", {})
    components["securitySchemes"] = _schemes(cookie)
    components["schemas"] = {**components.get("schemas", {}), "Problem": SCHEMA}
    components["responses"] = {
        "Problem": _answer("problem details (RFC 9457)"),
        **{name: _answer(text) for name, text in _REFUSALS.values()},
    }
    components["responses"]["Busy"]["headers"] = _RETRY_AFTER
    for route in calls:
        if isinstance(route, APIRoute):
            for method in route.methods or ():
                operation = document["paths"][route.path_format][method.lower()]
                operation["responses"]["default"] = _shared("Problem")
                asked = set(_asked_of(route.dependant))
                if caller in asked:
                    operation["security"] = _security(asked, changes=method not in SAFE_METHODS)
                    operation["responses"] |= {code: _shared(name) for code, (name, _) in _REFUSALS.items()}
                elif route.path_format in OPEN:
                    operation["security"] = []
    return document


def _schemes(cookie: str) -> dict[str, Any]:
    return {
        SESSION: {
            "type": "apiKey",
            "in": "cookie",
            "name": cookie,
            "description": "the cookie that the login page (`/login`) sets",
        },
        CSRF: {
            "type": "apiKey",
            "in": "header",
            "name": CSRF_HEADER,
            "description": "beside the cookie, for each changing request: the value that the pages hold in "
            '`<meta name="csrf">`, which follows from the session',
        },
        TOKEN: {
            "type": "http",
            "scheme": "bearer",
            "bearerFormat": "obs_…",
            "description": "an API token (`POST /v1/tokens`, `obsctl console token add`); it needs no other header. "
            "A call names the role that a token, or a user, must have at least",
        },
    }


def _security(asked: set[Callable[..., Any]], *, changes: bool) -> list[dict[str, list[str]]]:
    """Return the kinds of login that a call takes; any of them is enough."""
    role = Role.ADMIN if admin in asked else Role.OPERATOR if operator in asked else Role.VIEWER
    session: dict[str, list[str]] = {SESSION: [role.value]}
    if changes:
        session[CSRF] = []
    return [session] if by_session in asked else [session, {TOKEN: [role.value]}]


def _asked_of(dependant: Dependant) -> Iterator[Callable[..., Any]]:
    for one in dependant.dependencies:
        if one.call is not None:
            yield one.call
        yield from _asked_of(one)


def _answer(text: str) -> dict[str, Any]:
    return {"description": text, "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}}


def _shared(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/responses/{name}"}
