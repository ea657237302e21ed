"""Shared by all ways to log in: the page, where a login leads to, and the session that it begins."""

from __future__ import annotations

from collections.abc import Mapping

from fastapi import Request
from fastapi.responses import RedirectResponse, Response
from starlette.concurrency import run_in_threadpool

from obsctl.console.config import ConsoleConfig
from obsctl.console.database import Pool
from obsctl.console.people import sessions
from obsctl.console.web.guard import Door
from obsctl.console.web.page import START, show


def own_path(text: str) -> str:
    """Return where to go after the login: a path of this console, never another site."""
    return text if text.startswith("/") and not text.startswith(("//", "/\\")) and text.isprintable() else START


def login_page(
    request: Request,
    path: str,
    status: int = 200,
    *,
    name: str = "",
    trouble: str = "",
    headers: Mapping[str, str] | None = None,
) -> Response:
    """Return the login page.

    Args:
        request: of the page.
        path: where the login leads to.
        status: of HTTP.
        name: that was entered.
        trouble: why the last attempt failed.
        headers: of the answer.
    """
    config: ConsoleConfig = request.app.state.config
    page = show(
        request, "login", None, status, next=own_path(path), name=name, trouble=trouble, provider=config.people.oidc
    )
    page.headers.update(headers or {})
    return page


async def entered(request: Request, token: str, path: str) -> Response:
    """Return the answer to a login, and end the browser's previous session, which somebody else may have planted."""
    door: Door = request.app.state.door
    pool: Pool = request.app.state.pool
    former = door.token(request)
    if former:
        await run_in_threadpool(pool.run, lambda cursor: sessions.end(cursor, former))
    answer = RedirectResponse(own_path(path), 303)
    answer.set_cookie(
        door.cookie, token, max_age=door.lifetime.most_s, secure=door.https, httponly=True, samesite="lax"
    )
    return answer
