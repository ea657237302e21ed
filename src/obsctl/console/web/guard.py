"""Checks for every page and call: headers, size of the request, the person, and the page that the request comes from.

Sources: Content Security Policy Level 3, OWASP's cheat sheets for session management and cross-site request forgery.
"""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Annotated, Any

from fastapi import Depends, Request
from starlette.concurrency import run_in_threadpool

from obsctl.console.config import PeopleConfig
from obsctl.console.database import Pool
from obsctl.console.people import sessions, tokens
from obsctl.console.people.login import refused_token
from obsctl.console.people.roles import Role
from obsctl.console.people.sessions import Lifetime, Person
from obsctl.console.web.problems import ProblemError, answer

#: Largest body of a request, bytes.
_MOST_BYTES = 64 * 1024
#: HTTP methods that change nothing.
SAFE_METHODS = frozenset(("GET", "HEAD", "OPTIONS"))
#: The header in which a changing request repeats the session's CSRF value.
CSRF_HEADER = "x-csrf-token"
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; "
    "frame-ancestors 'none'; base-uri 'none'"
)

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


class Headers:
    """Adds the headers of each answer, and refuses a body that is too large. An ASGI application around another one.

    Args:
        application: the wrapped one.
        https: whether browsers must use only https from now on.
    """

    def __init__(self, application: Any, *, https: bool) -> None:
        self._application = application
        always = {
            "content-security-policy": _POLICY,
            "x-content-type-options": "nosniff",
            "referrer-policy": "same-origin",
            "cross-origin-opener-policy": "same-origin",
            "cross-origin-resource-policy": "same-origin",
            "permissions-policy": "camera=(), geolocation=(), microphone=()",
        }
        if https:
            always["strict-transport-security"] = "max-age=31536000"
        self._always = [(name.encode(), value.encode()) for name, value in always.items()]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await self._application(scope, receive, send)
            return

        async def send_with_headers(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                given = {name.lower() for name, _ in message["headers"]}
                message["headers"] = [*message["headers"], *self._always]
                if b"cache-control" not in given:
                    message["headers"].append((b"cache-control", b"no-store"))
            await send(message)

        length = dict(scope["headers"]).get(b"content-length", b"0")
        chunked = any(name == b"transfer-encoding" for name, _ in scope["headers"])
        if chunked or not length.isdigit() or int(length) > _MOST_BYTES:
            problem = ProblemError(
                413, "too-large", f"a request may have at most {_MOST_BYTES} bytes and must have a Content-Length"
            )
            await answer(problem)(scope, receive, send_with_headers)
            return
        await self._application(scope, receive, send_with_headers)


class Door:
    """Finds the person of a request by its cookie.

    Args:
        pool: of connections.
        lifetime: of sessions.
        people: the configuration of trusted proxies.
        https: whether the console itself speaks TLS.
    """

    def __init__(self, pool: Pool, lifetime: Lifetime, people: PeopleConfig, *, https: bool) -> None:
        self._pool = pool
        self._header = people.trusted_header
        self._proxies = people.proxies
        self.lifetime = lifetime
        self.https = https
        #: With this prefix browsers accept the cookie only from this host and over https.
        self.cookie = "__Host-obsctl" if https else "obsctl"

    def token(self, request: Request) -> str:
        """Return the session's token in a request; empty for none."""
        return request.cookies.get(self.cookie, "")

    async def person(self, request: Request, *, arrives: bool = True) -> Person | None:
        """Return the user who sent a request; None if the request has no valid login.

        Args:
            request: with its cookies.
            arrives: whether it arrives now, and so counts as use of the session; or its answer still continues.
        """
        token = self.token(request)
        if not token:
            return None
        person = await run_in_threadpool(
            self._pool.run, lambda cursor: sessions.find(cursor, token, self.lifetime, used=arrives)
        )
        vouched = self.vouched(request)
        # The proxy names another person than the session does: that person has to log in.
        if person is None or (vouched and vouched != person.name):
            return None
        request.state.is_known = True
        return person

    def vouched(self, request: Request) -> str:
        """Return the user that a trusted proxy names; empty for none."""
        given = request.headers.getlist(self._header) if self._header else []
        peer = request.client.host if request.client else ""
        return given[0].strip().lower() if len(given) == 1 and self._proxies.trusts(peer) else ""

    def client_addr(self, request: Request) -> str:
        """Return the address that a request comes from; from a trusted proxy, the address that the proxy states."""
        peer = request.client.host if request.client else ""
        return self._proxies.client(peer, ",".join(request.headers.getlist("x-forwarded-for")))


async def caller(request: Request) -> Person:
    """Return who makes a call of the API: by the request's token, or otherwise by its session.

    If a request has a token, only the token counts, whatever cookie it has. It needs no proof that a page of this
    console made it, because no other site's page can know a token.

    Raises:
        ProblemError: there is no login, the token is invalid, or a changing request does not come from a page of this
            console.
    """
    return await _caller(request, arrives=True)


async def still_logged_in(request: Request) -> Person:
    """Return who made a call whose answer still continues; this is no use of the session, which may end as idle.

    Raises:
        ProblemError: as :func:`logged_in`.
    """
    return await logged_in(await _caller(request, arrives=False))


async def _caller(request: Request, *, arrives: bool) -> Person:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        person = await run_in_threadpool(_by_token, request.app.state.pool, token.strip(), client_addr(request))
        request.state.is_known = True
        return person
    door: Door = request.app.state.door
    found = await door.person(request, arrives=arrives)
    if found is None:
        raise ProblemError(401, "not-logged-in", "log in first: /login")
    if request.method not in SAFE_METHODS:
        require_own_page(request, found, request.headers.get(CSRF_HEADER, ""))
    return found


def _by_token(pool: Pool, token: str, address: str) -> Person:
    person = pool.run(lambda cursor: tokens.find(cursor, token))
    if person is not None:
        return person
    if wait_s := refused_token(pool, address):
        raise ProblemError(429, "busy", "too many requests with a wrong token", headers={"retry-after": str(wait_s)})
    detail = "there is no such token, or it has ended"
    raise ProblemError(401, "not-logged-in", detail, headers={"www-authenticate": "Bearer"})


#: Parameter of a call of the API that is allowed even before a required change of the password.
Caller = Annotated[Person, Depends(caller)]


async def logged_in(person: Caller) -> Person:
    """Return who makes a call of the API.

    Raises:
        ProblemError: as :func:`caller`; or the password must be changed first.
    """
    if person.must_change:
        raise ProblemError(403, "change-password", "change the password first: /account")
    return person


#: Parameter of a call of the API that needs a login.
LoggedIn = Annotated[Person, Depends(logged_in)]


async def by_session(person: Caller) -> Person:
    """Return who makes a call that tokens may not make, as they could extend their own life: a new password or token.

    Raises:
        ProblemError: as :func:`caller`; or the request has a token.
    """
    if person.token:
        raise ProblemError(403, "forbidden", "this requires a login; a token is not enough")
    return person


#: Parameter of such a call; it is allowed even before a required change of the password.
BySession = Annotated[Person, Depends(by_session)]


async def operator(person: LoggedIn) -> Person:
    """Return who makes a call of the API that needs the role operator."""
    require_role(person, Role.OPERATOR)
    return person


async def admin(person: LoggedIn) -> Person:
    """Return who makes a call of the API that needs the role admin."""
    require_role(person, Role.ADMIN)
    return person


#: Parameters of calls that change shared data. As a dependency, the role is checked before the request's body is.
Operator = Annotated[Person, Depends(operator)]
Admin = Annotated[Person, Depends(admin)]


def require_role(person: Person, role: Role) -> None:
    """Refuse a person whose role is not sufficient.

    Raises:
        ProblemError: the person's role does not include the other one.
    """
    if not person.role.includes(role):
        raise ProblemError(403, "forbidden", f"this requires the role {role}; {person.name} is a {person.role}")


def require_own_page(request: Request, person: Person | None, given: str) -> None:
    """Refuse a changing request that a page of another site makes in a person's name.

    Args:
        request: with its headers.
        person: whose session it is; None before the login, when only the headers can be checked.
        given: the CSRF value that the page repeated.

    Raises:
        ProblemError: the request does not come from a page of this console.
    """
    refused = ProblemError(403, "cross-site", "this request does not come from a page of this console: reload the page")
    origin = request.headers.get("origin")
    if origin is not None and origin.partition("://")[2] != request.headers.get("host", ""):
        raise refused
    if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        raise refused
    if person is not None and not hmac.compare_digest(given.encode(), person.csrf.encode()):
        raise refused


def is_known(request: Request) -> bool:
    """Return whether a request was found to have a valid login."""
    return bool(getattr(request.state, "is_known", False))


def client_addr(request: Request) -> str:
    """Return the address that a request comes from."""
    door: Door = request.app.state.door
    return door.client_addr(request)
