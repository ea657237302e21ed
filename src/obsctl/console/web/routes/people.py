"""Login, logout, and a person's own account with password, sessions and tokens: pages and calls of the API."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Form, Request
from fastapi.responses import RedirectResponse, Response
from pydantic import BaseModel, ConfigDict, Field
from starlette.concurrency import run_in_threadpool

from obsctl.console.config import ConsoleConfig
from obsctl.console.database import DatabaseAwayError, Pool
from obsctl.console.people import projects, sessions, tokens, users
from obsctl.console.people.audit import Actor
from obsctl.console.people.login import Attempt, LoginError, confirmed, enter, log_in
from obsctl.console.people.passwords import BusyError
from obsctl.console.people.roles import Role
from obsctl.console.people.users import UnfitUserError
from obsctl.console.web.changes import change
from obsctl.console.web.entry import entered, login_page, own_path
from obsctl.console.web.guard import BySession, Caller, Door, LoggedIn, client_addr, require_own_page
from obsctl.console.web.page import LANGUAGE_COOKIE, START, language_of, person_of, show_with_script
from obsctl.console.web.problems import ProblemError
from obsctl.console.web.texts import chosen, texts

pages = APIRouter(include_in_schema=False)
api = APIRouter(prefix="/v1")

#: Texts that the account page's script puts together.
TEXTS = (
    "lost", "differ", "changed", "revoke", "revoke_really", "never", "role_viewer", "role_operator", "role_admin",
)  # fmt: skip
_LANGUAGE_S = 365 * 86400


@pages.get("/login")
async def loginshow(request: Request, next: str = START) -> Response:  # noqa: A002 - the address's word
    """Show the login; a person whom a trusted proxy names is logged in at once."""
    if await person_of(request) is not None:
        return RedirectResponse(own_path(next), 303)
    door: Door = request.app.state.door
    said = texts(language_of(request))
    name = door.vouched(request)
    if not name:
        return login_page(request, next)
    agent = request.headers.get("user-agent", "")
    token = await run_in_threadpool(enter, request.app.state.pool, name, client_addr(request), agent, door.lifetime)
    if token is None:
        return login_page(request, next, 403, trouble=said["no_user"].format(name=name))
    return await entered(request, token, next)


@pages.post("/login")
async def login(
    request: Request,
    name: Annotated[str, Form()] = "",
    password: Annotated[str, Form(max_length=1024)] = "",
    next: Annotated[str, Form(max_length=16384)] = START,  # noqa: A002 - the form's word
) -> Response:
    """Log in."""
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
        return await entered(request, token, next)
    return login_page(request, next, status, name=name, trouble=trouble, headers=headers)


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
    """Show who is logged in, with projects, sessions and tokens."""
    door: Door = request.app.state.door
    config: ConsoleConfig = request.app.state.config
    person = await person_of(request)
    found: list[sessions.Open] = []
    belongs: list[str] = []
    roles: list[str] = []
    if person is not None:
        pool: Pool = request.app.state.pool
        number = person.user_id
        found, member = await run_in_threadpool(
            pool.run, lambda cursor: (sessions.of_user(cursor, number), projects.of_user(cursor, number))
        )
        belongs = [one.name for one in member]
        roles = [role.value for role in Role if person.role.includes(role)]
    current = sessions.id_of(door.token(request))
    return await show_with_script(
        request,
        "account",
        TEXTS,
        projects=belongs,
        roles=roles,
        most_days=tokens.MOST_DAYS,
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
async def me(person: Caller) -> dict[str, str]:
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


class Password(BaseModel):
    """A change of one's own password."""

    model_config = ConfigDict(extra="forbid")

    old: Annotated[str, Field(max_length=1024)]
    new: Annotated[str, Field(max_length=1024)]


@api.post("/password", status_code=204)
def change_own_password(request: Request, person: BySession, password: Password) -> Response:
    """Change the password of who asks; its other sessions end. A wrong old one counts as a failed login."""
    pool: Pool = request.app.state.pool
    door: Door = request.app.state.door
    attempt = Attempt(person.name, password.old, client_addr(request), "")
    try:
        user = confirmed(pool, attempt)
    except LoginError as error:
        if error.wait_s:
            raise ProblemError(429, "busy", str(error), headers={"retry-after": str(error.wait_s)}) from None
        raise ProblemError(403, "wrong-password", "the old password is wrong") from None
    except BusyError as error:
        raise ProblemError(429, "busy", str(error), headers={"retry-after": "1"}) from None
    token = door.token(request)
    change(request, person, lambda cursor, actor: users.change_own_password(cursor, actor, user, password.new, token))
    return Response(status_code=204)


class NewToken(BaseModel):
    """A token to be made."""

    model_config = ConfigDict(extra="forbid")

    name: Annotated[str, Field(min_length=1, max_length=tokens.NAME_WIDTH, description="what it is for")]
    role: Annotated[Role, Field(description="what it may do at most")] = Role.VIEWER
    days: Annotated[int, Field(ge=1, le=tokens.MOST_DAYS, description="after which it ends")] = 90


@api.get("/tokens")
def own_tokens(request: Request, person: LoggedIn) -> list[dict[str, Any]]:
    """Return the tokens of who asks, by name."""
    pool: Pool = request.app.state.pool
    return [
        {
            "id": one.id,
            "name": one.name,
            "role": one.role,
            "created_at": one.created_at.isoformat(),
            "expires_at": one.expires_at.isoformat(),
            "used_at": one.used_at and one.used_at.isoformat(),
        }
        for one in pool.run(lambda cursor: tokens.of_user(cursor, person.user_id))
    ]


@api.post("/tokens", status_code=201)
def make_token(request: Request, person: LoggedIn, _: BySession, wanted: NewToken) -> dict[str, str]:
    """Make a token of who asks; only this answer has it."""

    def make(cursor: Any, actor: Actor) -> str:
        user = users.find(cursor, person.name)
        if user is None:
            raise UnfitUserError("this user was just removed")
        return tokens.add(cursor, actor, user, tokens.Wanted(wanted.name, wanted.role, wanted.days))

    return {"token": change(request, person, make)}


@api.delete("/tokens/{token_id}", status_code=204)
def revoke_own_token(request: Request, person: LoggedIn, token_id: int) -> Response:
    """End one of the tokens of who asks."""

    def revoke(cursor: Any, actor: Actor) -> None:
        found = next((one for one in tokens.of_user(cursor, person.user_id) if one.id == token_id), None)
        if found is None:
            raise ProblemError(404, "not-found", "you have no such token")
        tokens.revoke(cursor, actor, found)

    change(request, person, revoke)
    return Response(status_code=204)
