"""The pages: login, search, account."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Form, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from jinja2 import Environment, PackageLoader, select_autoescape
from markupsafe import Markup
from starlette.concurrency import run_in_threadpool

from obsctl import __version__
from obsctl.console.config import ConsoleConfig, Language
from obsctl.console.database import DatabaseAwayError, Pool
from obsctl.console.people import sessions
from obsctl.console.people.login import Attempt, LoginError, log_in
from obsctl.console.people.passwords import BusyError
from obsctl.console.people.sessions import Person
from obsctl.console.web.guard import Door, client_addr, require_own_page
from obsctl.console.web.problems import ProblemError
from obsctl.console.web.texts import chosen, texts

router = APIRouter(include_in_schema=False)

_LANGUAGE_COOKIE = "obsctl-language"
_LANGUAGE_S = 365 * 86400
_ENVIRONMENT = Environment(
    loader=PackageLoader("obsctl.console.web"),
    autoescape=select_autoescape(default=True, default_for_string=True),
    trim_blocks=True,
    lstrip_blocks=True,
)
#: Texts that the pages' scripts put together themselves.
_OF_SEARCH = (
    "searching", "found_all", "found_more", "out_of_time", "stopped", "lost", "only_this", "not_this", "around_this",
    "all_fields", "shared_by",
)  # fmt: skip
_OF_TRAFFIC = ("lost", "requests_per_s", "latency", "bytes_per_s", "no_traffic", "updated", "all_hosts", "all_routes")


def _page(request: Request, template: str, person: Person | None, status: int = 200, **values: Any) -> HTMLResponse:
    language = _language(request)
    body = _ENVIRONMENT.get_template(f"{template}.html").render(
        t=texts(language), language=language, person=person, here=template, version=__version__, **values
    )
    return HTMLResponse(body, status)


def _language(request: Request) -> Language:
    """Return the language that the person has chosen, or the site's own."""
    config: ConsoleConfig = request.app.state.config
    return chosen(request.cookies.get(_LANGUAGE_COOKIE, ""), config.language)


async def _person(request: Request) -> Person | None:
    door: Door = request.app.state.door
    return await door.person(request)


def _to_login(request: Request) -> RedirectResponse:
    asked = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    return RedirectResponse(f"/login?next={quote(asked)}", 303)


def _own_path(text: str) -> str:
    """Return where to go after the login: a path of this console, never another site."""
    return text if text.startswith("/") and not text.startswith(("//", "/\\")) and text.isprintable() else "/search"


@router.get("/")
async def start() -> Response:
    """Lead to the search."""
    return RedirectResponse("/search", 303)


@router.get("/login")
async def login_page(request: Request, next: str = "/search") -> Response:  # noqa: A002 - the address's word
    """Show the login."""
    if await _person(request) is not None:
        return RedirectResponse(_own_path(next), 303)
    return _page(request, "login", None, next=_own_path(next), name="", trouble="")


@router.post("/login")
async def login(
    request: Request,
    name: Annotated[str, Form(max_length=64)] = "",
    password: Annotated[str, Form(max_length=1024)] = "",
    next: Annotated[str, Form(max_length=16384)] = "/search",  # noqa: A002 - the form's word
) -> Response:
    """Log in; a session that the browser had ends, so that nobody can have planted it."""
    require_own_page(request, None, "")
    door: Door = request.app.state.door
    pool: Pool = request.app.state.pool
    said = texts(_language(request))
    attempt = Attempt(name, password, client_addr(request), request.headers.get("user-agent", ""))
    status, headers = 401, {}
    try:
        token = await run_in_threadpool(log_in, pool, attempt, door.lifetime)
    except LoginError as error:
        trouble = said["wrong_login"]
        if error.wait_s:
            status, headers = 429, {"retry-after": str(error.wait_s)}
            trouble = said["login_wait"].format(seconds=error.wait_s)
    except BusyError:
        status, headers, trouble = 429, {"retry-after": "1"}, said["login_busy"]
    except DatabaseAwayError:
        status, trouble = 503, said["database_away"]
    else:
        former = door.token(request)
        if former:
            await run_in_threadpool(pool.run, lambda cursor: sessions.end(cursor, former))
        answer = RedirectResponse(_own_path(next), 303)
        answer.set_cookie(
            door.cookie, token, max_age=door.lifetime.most_s, secure=door.https, httponly=True, samesite="lax"
        )
        return answer
    page = _page(request, "login", None, status, next=_own_path(next), name=name, trouble=trouble)
    page.headers.update(headers)
    return page


@router.post("/logout")
async def logout(request: Request, csrf: Annotated[str, Form(max_length=128)] = "") -> Response:
    """End the session."""
    door: Door = request.app.state.door
    person = await _person(request)
    answer = RedirectResponse("/login", 303)
    if person is not None:
        require_own_page(request, person, csrf)
        pool: Pool = request.app.state.pool
        await run_in_threadpool(pool.run, lambda cursor: sessions.end(cursor, door.token(request)))
    answer.delete_cookie(door.cookie, secure=door.https, httponly=True, samesite="lax")
    return answer


@router.get("/search")
async def search(request: Request) -> Response:
    """Show the search; its state is the address's."""
    return await _with_script(request, "search", _OF_SEARCH)


@router.get("/traffic")
async def traffic(request: Request) -> Response:
    """Show the traffic; its state is the address's."""
    return await _with_script(request, "traffic", _OF_TRAFFIC)


async def _with_script(request: Request, template: str, keys: Sequence[str]) -> Response:
    """Show a page whose script asks the API, and hand the script its texts."""
    person = await _person(request)
    if person is None:
        return _to_login(request)
    config: ConsoleConfig = request.app.state.config
    said = texts(_language(request))
    data = json.dumps({"texts": {key: said[key] for key in keys}, "timezone": config.timezone})
    # Within a script element nothing but its end tag and a comment has a meaning.
    return _page(request, template, person, texts_json=Markup(data.replace("<", "\\u003c")))  # noqa: S704


@router.get("/account")
async def account(request: Request) -> Response:
    """Show who is logged in, and the sessions."""
    person = await _person(request)
    if person is None:
        return _to_login(request)
    door: Door = request.app.state.door
    config: ConsoleConfig = request.app.state.config
    pool: Pool = request.app.state.pool
    found = await run_in_threadpool(pool.run, lambda cursor: sessions.of_user(cursor, person.user_id))
    current = sessions.id_of(door.token(request))
    return _page(
        request,
        "account",
        person,
        sessions=[
            {
                "id": one.id,
                "client_addr": one.client_addr,
                "user_agent": one.user_agent,
                "seen": f"{one.seen_at.astimezone(config.zone):%Y-%m-%d %H:%M %Z}",
                "current": one.id == current,
            }
            for one in found
        ],
    )


@router.post("/account/sessions/{session_id}")
async def end_session(request: Request, session_id: str, csrf: Annotated[str, Form(max_length=128)] = "") -> Response:
    """End another session of one's own."""
    person = await _person(request)
    if person is None:
        return RedirectResponse("/login", 303)
    require_own_page(request, person, csrf)
    pool: Pool = request.app.state.pool
    await run_in_threadpool(pool.run, lambda cursor: sessions.end_of_user(cursor, person.user_id, session_id))
    return RedirectResponse("/account", 303)


@router.post("/language")
async def language(
    request: Request,
    language: Annotated[str, Form(max_length=8)] = "",
    csrf: Annotated[str, Form(max_length=128)] = "",
) -> Response:
    """Choose the language of the pages."""
    person = await _person(request)
    require_own_page(request, person, csrf)
    door: Door = request.app.state.door
    config: ConsoleConfig = request.app.state.config
    answer = RedirectResponse("/account", 303)
    answer.set_cookie(
        _LANGUAGE_COOKIE,
        chosen(language, config.language),
        max_age=_LANGUAGE_S,
        secure=door.https,
        httponly=True,
        samesite="lax",
    )
    return answer


def trouble_page(request: Request, problem: ProblemError) -> HTMLResponse:
    """Return a problem as a page."""
    body = _ENVIRONMENT.from_string(
        '{% extends "page.html" %}{% block title %}{{ status }}{% endblock %}'
        '{% block content %}<p class="trouble" role="alert">{{ detail }}</p>{% endblock %}'
    )
    spoken = _language(request)
    page = body.render(
        t=texts(spoken), language=spoken, person=None, version=__version__, status=problem.status, detail=str(problem)
    )
    return HTMLResponse(page, problem.status, problem.headers)
