"""Sessions: a browser's credentials after the login.

The browser has a random token, the database its hash. So two consoles share the sessions, and nobody who reads the
table can take one over.
"""

from __future__ import annotations

import datetime
import hashlib
import hmac
import secrets
from typing import Any, NamedTuple

from obsctl.console.people.roles import Role

_TOKEN_BYTES = 32
#: Shortest time between two updates of ``seen_at``, seconds.
_SEEN_EVERY_S = 60
_AGENT = 255


class Lifetime(NamedTuple):
    """How long a session lasts, seconds.

    Attributes:
        idle_s: without a request.
        most_s: in any case.
    """

    idle_s: int
    most_s: int


class Person(NamedTuple):
    """The person who makes a request.

    Attributes:
        user_id: number of the user.
        name: of the user.
        role: the present one.
        csrf: the value that a changing request must repeat, unknown to pages of other sites; empty with an API token.
        must_change: whether the password must be changed before anything else.
        token: the name of the request's API token; empty for a session.
    """

    user_id: int
    name: str
    role: Role
    csrf: str
    must_change: bool = False
    token: str = ""


class Open(NamedTuple):
    """A user's session, as shown to the user.

    Attributes:
        id: the token's hash, in hexadecimal.
        client_addr: the address from which the login came.
        user_agent: of the browser.
        created_at, seen_at: time of login and of the last request (UTC).
    """

    id: str
    client_addr: str
    user_agent: str
    created_at: datetime.datetime
    seen_at: datetime.datetime


def begin(cursor: Any, user_id: int, client_addr: str, user_agent: str, lifetime: Lifetime) -> str:
    """Begin a session and return its token; the user's expired sessions are removed."""
    token = secrets.token_urlsafe(_TOKEN_BYTES)
    cursor.execute(
        "DELETE FROM console_session WHERE user_id = %s"
        " AND (seen_at < UTC_TIMESTAMP(3) - INTERVAL %s SECOND OR created_at < UTC_TIMESTAMP(3) - INTERVAL %s SECOND)",
        (user_id, lifetime.idle_s, lifetime.most_s),
    )
    cursor.execute(
        "INSERT INTO console_session (token_hash, user_id, client_addr, user_agent, created_at, seen_at)"
        " VALUES (%s, %s, %s, %s, UTC_TIMESTAMP(3), UTC_TIMESTAMP(3))",
        (_hash(token), user_id, client_addr, user_agent[:_AGENT]),
    )
    return token


def find(cursor: Any, token: str, lifetime: Lifetime, *, used: bool = True) -> Person | None:
    """Return the person of a session's token; None if there is no such session, it ended, or the user is disabled.

    Args:
        cursor: of the transaction.
        token: of the session.
        lifetime: of sessions.
        used: whether this counts as a request, so that the session is not idle.
    """
    cursor.execute(
        "SELECT u.user_id, u.name, u.role, u.must_change, TIMESTAMPDIFF(SECOND, s.seen_at, UTC_TIMESTAMP(3))"
        " FROM console_session s JOIN console_user u ON u.user_id = s.user_id"
        " WHERE s.token_hash = %s AND NOT u.disabled"
        " AND s.seen_at >= UTC_TIMESTAMP(3) - INTERVAL %s SECOND"
        " AND s.created_at >= UTC_TIMESTAMP(3) - INTERVAL %s SECOND",
        (_hash(token), lifetime.idle_s, lifetime.most_s),
    )
    row = cursor.fetchone()
    if row is None:
        return None
    number, name, role, must_change, since_s = row
    if used and since_s >= _SEEN_EVERY_S:
        cursor.execute("UPDATE console_session SET seen_at = UTC_TIMESTAMP(3) WHERE token_hash = %s", (_hash(token),))
    return Person(number, name, Role(role), csrf_of(token), bool(must_change))


def end(cursor: Any, token: str) -> None:
    """End a session."""
    cursor.execute("DELETE FROM console_session WHERE token_hash = %s", (_hash(token),))


def end_of_user(cursor: Any, user_id: int, session_id: str) -> bool:
    """End a user's session by its id; return whether there was one."""
    try:
        token_hash = bytes.fromhex(session_id)
    except ValueError:
        return False
    ended: int = cursor.execute(
        "DELETE FROM console_session WHERE user_id = %s AND token_hash = %s", (user_id, token_hash)
    )
    return ended > 0


def end_all(cursor: Any, user_id: int, *, but: str = "") -> None:
    """End all sessions of a user, except the one with the given token."""
    cursor.execute("DELETE FROM console_session WHERE user_id = %s AND token_hash <> %s", (user_id, _hash(but)))


def of_user(cursor: Any, user_id: int) -> list[Open]:
    """Return a user's sessions, the most recently used first."""
    cursor.execute(
        "SELECT token_hash, client_addr, user_agent, created_at, seen_at FROM console_session"
        " WHERE user_id = %s ORDER BY seen_at DESC",
        (user_id,),
    )
    return [
        Open(token.hex(), address, agent, began.replace(tzinfo=datetime.UTC), seen.replace(tzinfo=datetime.UTC))
        for token, address, agent, began, seen in cursor.fetchall()
    ]


def id_of(token: str) -> str:
    """Return the id under which a session is shown to its user."""
    return _hash(token).hex()


def csrf_of(token: str) -> str:
    """Return the value that changing requests must repeat: it is derived from the token, which it does not reveal."""
    return hmac.new(token.encode(), b"csrf", hashlib.sha256).hexdigest()


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode(errors="replace")).digest()
