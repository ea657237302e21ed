"""Login, logout, the own account and its sessions: pages and calls of the API."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Form, Request
from fastapi.responses import RedirectResponse, Response
from starlette.concurrency import run_in_threadpool

from obsctl.console.config import ConsoleConfig
from obsctl.console.database import DatabaseAwayError, Pool
from obsctl.console.people import sessions
from obsctl.console.people.login import Attempt, LoginError, log_in
from obsctl.console.people.passwords import BusyError
from obsctl.console.web.guard import Door, LoggedIn, client_addr, require_own_page
from obsctl.console.web.page import LANGUAGE_COOKIE, START, language_of, person_of, show, to_login
from obsctl.console.web.problems import ProblemError
from obsctl.console.web.texts import chosen, texts

pages = APIRouter(include_in_schema=False)
api = APIRouter(prefix="/v1")

_LANGUAGE_S = 365 * 86400


def _own_path(text: str) -> str:
    """Return where to go after the login: a path of this console, never another site."""
    return text if text.startswith("/") and not text.startswith(("//", "/\\")) and text.isprintable() else START


@pages.get("/login")
async def loginshow(request: Request, next: str = START) -> Response:  # noqa: A002 - the address's word
    """Show the login."""
    if await person_of(request) is not None:
        return RedirectResponse(_own_path(next), 303)
    return show(request, "login", None, next=_own_path(next), name="", trouble="")


@pages.post("/login")
async def login(
    request: Request,
    name: Annotated[str, Form(max_length=64)] = "",
    password: Annotated[str, Form(max_length=1024)] = "",
    next: Annotated[str, Form(max_length=16384)] = START,  # noqa: A002 - the form's word
) -> Response:
    """Log in; a session that the browser had ends, so that nobody can have planted it."""
    require_own_page(request, None, "")
    door: Door = request.app.state.door
    pool: Pool = request.app.state.pool
    said = texts(language_of(request))
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
    page = show(request, "login", None, status, next=_own_path(next), name=name, trouble=trouble)
    page.headers.update(headers)
    return page


@pages.post("/logout")
async def logout(request: Request, csrf: Annotated[str, Form(max_length=128)] = "") -> Response:
    """End the session."""
    door: Door = request.app.state.door
    person = await person_of(request)
    answer = RedirectResponse("/login", 303)
    if person is not None:
        require_own_page(request, person, csrf)
        pool: Pool = request.app.state.pool
        await run_in_threadpool(pool.run, lambda cursor: sessions.end(cursor, door.token(request)))
    answer.delete_cookie(door.cookie, secure=door.https, httponly=True, samesite="lax")
    return answer


@pages.get("/account")
async def account(request: Request) -> Response:
    """Show who is logged in, and the sessions."""
    person = await person_of(request)
    if person is None:
        return to_login(request)
    door: Door = request.app.state.door
    config: ConsoleConfig = request.app.state.config
    pool: Pool = request.app.state.pool
    found = await run_in_threadpool(pool.run, lambda cursor: sessions.of_user(cursor, person.user_id))
    current = sessions.id_of(door.token(request))
    return show(
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


@pages.post("/account/sessions/{session_id}")
async def end_session(request: Request, session_id: str, csrf: Annotated[str, Form(max_length=128)] = "") -> Response:
    """End another session of one's own."""
    person = await person_of(request)
    if person is None:
        return RedirectResponse("/login", 303)
    require_own_page(request, person, csrf)
    pool: Pool = request.app.state.pool
    await run_in_threadpool(pool.run, lambda cursor: sessions.end_of_user(cursor, person.user_id, session_id))
    return RedirectResponse("/account", 303)


@pages.post("/language")
async def language(
    request: Request,
    language: Annotated[str, Form(max_length=8)] = "",
    csrf: Annotated[str, Form(max_length=128)] = "",
) -> Response:
    """Choose the language of the pages."""
    person = await person_of(request)
    require_own_page(request, person, csrf)
    door: Door = request.app.state.door
    config: ConsoleConfig = request.app.state.config
    answer = RedirectResponse("/account", 303)
    answer.set_cookie(
        LANGUAGE_COOKIE,
        chosen(language, config.language),
        max_age=_LANGUAGE_S,
        secure=door.https,
        httponly=True,
        samesite="lax",
    )
    return answer


@api.get("/me")
async def me(person: LoggedIn) -> dict[str, str]:
    """Return who is logged in."""
    return {"name": person.name, "role": person.role}


@api.get("/sessions")
def own_sessions(request: Request, person: LoggedIn) -> list[dict[str, Any]]:
    """Return the sessions of who asks, the last used first."""
    pool: Pool = request.app.state.pool
    found = pool.run(lambda cursor: sessions.of_user(cursor, person.user_id))
    return [
        {
            "id": one.id,
            "client_addr": one.client_addr,
            "user_agent": one.user_agent,
            "created_at": one.created_at.isoformat(),
            "seen_at": one.seen_at.isoformat(),
        }
        for one in found
    ]


@api.delete("/sessions/{session_id}", status_code=204)
def end_own_session(request: Request, person: LoggedIn, session_id: str) -> Response:
    """End one of the sessions of who asks."""
    pool: Pool = request.app.state.pool
    if not pool.run(lambda cursor: sessions.end_of_user(cursor, person.user_id, session_id)):
        raise ProblemError(404, "not-found", "there is no such session of yours")
    return Response(status_code=204)
