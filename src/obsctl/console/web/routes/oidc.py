"""Login by OpenID Connect: the redirects to the provider and back. Only if ``console.yml`` names a provider."""

from __future__ import annotations

import logging
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import RedirectResponse, Response
from starlette.concurrency import run_in_threadpool

from obsctl.console.config import ConsoleConfig, OidcConfig
from obsctl.console.database import DatabaseAwayError, Pool
from obsctl.console.oidc.begun import LASTS_S, Begun
from obsctl.console.oidc.errors import ProviderAwayError, UnnamedError, UntrustedError
from obsctl.console.oidc.provider import Provider
from obsctl.console.people import identities, sessions
from obsctl.console.people.identities import Known, NotAdmittedError
from obsctl.console.people.login import LoginError, provider_wait_s, refused_by_provider
from obsctl.console.web.entry import entered, login_page, own_path
from obsctl.console.web.guard import Door, client_addr
from obsctl.console.web.page import START, language_of
from obsctl.console.web.problems import ProblemError
from obsctl.console.web.texts import texts
from obsctl.console.web.turns import Turns

LOG = logging.getLogger("obsctl.console")

pages = APIRouter(include_in_schema=False)

#: How many browsers may wait for the provider at the same time: if it hangs, it must not block the threads of all
#: pages.
AT_ONCE = 8
#: How many characters of the provider's message a person is shown.
_SAID = 200
_Text = Annotated[str, Query(max_length=8192)]


@pages.get("/login/oidc")
async def begin(request: Request, next: str = START) -> Response:  # noqa: A002 - the address's word
    """Redirect to the provider."""
    path = own_path(next)
    provider: Provider = request.app.state.provider
    try:
        step = await run_in_threadpool(_in_turn, request, provider.begin, path)
    except ProviderAwayError as error:
        return _away(request, path, error)
    except ProblemError as error:
        return _busy(request, path, error)
    answer = RedirectResponse(step.url, 303)
    door: Door = request.app.state.door
    answer.set_cookie(_cookie(request), step.sealed, max_age=LASTS_S, secure=door.https, httponly=True, samesite="lax")
    return answer


@pages.get("/login/oidc/callback")
async def end(
    request: Request,
    *,
    state: _Text = "",
    code: _Text = "",
    error: _Text = "",
    error_description: _Text = "",
    iss: _Text = "",
) -> Response:
    """Log in the person whom the provider names. Requests of browsers that did not begin a login here are ignored."""
    provider: Provider = request.app.state.provider
    login = provider.returned(request.cookies.get(_cookie(request), ""), state)
    if login is None:
        said = texts(language_of(request))
        return login_page(request, START, 400, trouble=said["oidc_again"])
    path = login.path or START
    if error:
        answer = _refused(request, path, f"{error}: {error_description}".removesuffix(": "))
    else:
        answer = await _ended(request, login, code, iss, path)
    door: Door = request.app.state.door
    answer.delete_cookie(_cookie(request), secure=door.https, httponly=True, samesite="lax")
    return answer


async def _ended(request: Request, login: Begun, code: str, issuer: str, path: str) -> Response:
    said = texts(language_of(request))
    oidc = _config(request)
    try:
        token = await run_in_threadpool(_session, request, login, code, issuer)
    except ProviderAwayError as error:
        return _away(request, path, error)
    except ProblemError as error:
        return _busy(request, path, error)
    except LoginError as error:
        if not error.wait_s:
            return login_page(request, path, 400, trouble=said["oidc_again"])
        waits = {"retry-after": str(error.wait_s)}
        return login_page(request, path, 429, trouble=said["login_wait"].format(seconds=error.wait_s), headers=waits)
    except (UntrustedError, NotAdmittedError) as error:
        LOG.warning(
            "a login by OpenID Connect was refused", extra={"error": str(error), "client_addr": client_addr(request)}
        )
        return login_page(request, path, 403, trouble=_words(said, oidc, error))
    except DatabaseAwayError:
        return login_page(request, path, 503, trouble=said["database_away"])
    return await entered(request, token, path)


def _session(request: Request, login: Begun, code: str, issuer: str) -> str:
    """Return the token of a new session.

    Raises:
        LoginError: there were too many failures, or the login was already ended.
        UntrustedError: the provider does not confirm it.
        NotAdmittedError: the person may not use the console.
        ProviderAwayError: the provider does not answer.
        ProblemError: too many browsers wait for the provider.
        DatabaseAwayError: the database does not answer.
    """
    pool: Pool = request.app.state.pool
    door: Door = request.app.state.door
    provider: Provider = request.app.state.provider
    config = _config(request)
    address, agent = client_addr(request), request.headers.get("user-agent", "")

    def once(cursor: Any) -> tuple[int, bool]:
        return provider_wait_s(cursor, address), identities.end_once(cursor, login.state)

    def admitted(cursor: Any, known: Known) -> str:
        user = identities.admit(cursor, known, address, create=config.create_users)
        return sessions.begin(cursor, user.id, address, agent, door.lifetime)

    wait_s, first = pool.run(once)
    if wait_s or not first:
        raise LoginError("too many failed logins" if wait_s else "this login has ended before", wait_s)
    try:
        known = _in_turn(request, provider.end, login, code, issuer)
        return pool.run(lambda cursor: admitted(cursor, known))
    except (UntrustedError, NotAdmittedError):
        pool.run(lambda cursor: refused_by_provider(cursor, address))
        raise


def _in_turn(request: Request, ask: Any, *given: Any) -> Any:
    """Ask the provider, unless too many browsers wait for it already."""
    turns: Turns = request.app.state.provider_turns
    turns.take()
    try:
        return ask(*given)
    finally:
        turns.give_back()


def _config(request: Request) -> OidcConfig:
    config: ConsoleConfig = request.app.state.config
    assert config.people.oidc is not None  # noqa: S101 - these pages are not there without it
    return config.people.oidc


def _cookie(request: Request) -> str:
    """Return the name of the cookie that holds a login in progress."""
    door: Door = request.app.state.door
    return f"{door.cookie}-login"


def _words(said: dict[str, str], oidc: OidcConfig, error: UntrustedError | NotAdmittedError) -> str:
    """Return why a person may not use the console, as a text for that person."""
    if isinstance(error, NotAdmittedError):
        text = {"group": said["oidc_group"], "user": said["no_user"], "taken": said["oidc_taken"]}[error.reason]
        return text.format(name=error.name, provider=oidc.name)
    text = said["oidc_unnamed"] if isinstance(error, UnnamedError) else said["oidc_untrusted"]
    return text.format(provider=oidc.name)


def _refused(request: Request, path: str, detail: str) -> Response:
    """Return the login page with the provider's message."""
    plain = "".join(character if character.isprintable() else " " for character in detail[:_SAID])
    said = texts(language_of(request))
    trouble = said["oidc_error"].format(provider=_config(request).name, detail=plain)
    return login_page(request, path, 403, trouble=trouble)


def _away(request: Request, path: str, error: ProviderAwayError) -> Response:
    LOG.warning("the provider of OpenID Connect does not answer", extra={"error": str(error)})
    said = texts(language_of(request))
    trouble = said["oidc_away"].format(provider=_config(request).name)
    return login_page(request, path, 503, trouble=trouble)


def _busy(request: Request, path: str, error: ProblemError) -> Response:
    said = texts(language_of(request))
    return login_page(request, path, error.status, trouble=said["login_busy"], headers=error.headers)
