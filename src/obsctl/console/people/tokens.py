"""API tokens: credentials of programs.

A token has at most the rights of its user, limited further by its own role, and it expires. The database has its hash,
as for a session.
"""

from __future__ import annotations

import datetime
import hashlib
import secrets
from typing import Any, NamedTuple

from obsctl.console.people import audit
from obsctl.console.people.audit import Actor
from obsctl.console.people.roles import Role
from obsctl.console.people.sessions import Person
from obsctl.console.people.users import UnfitUserError, User

#: A prefix by which people and secret scanners recognise a leaked token.
PREFIX = "obs_"
MOST_DAYS = 365
NAME_WIDTH = 100
_BYTES = 32
#: The most tokens that one user may have.
_MOST = 50
#: Shortest time between two updates of ``used_at``, seconds.
_USED_EVERY_S = 60


class Wanted(NamedTuple):
    """A token to create.

    Attributes:
        name: what it is for.
        role: what it may do at most.
        days: after which it expires, 1 to :data:`MOST_DAYS`.
    """

    name: str
    role: Role
    days: int


class Token(NamedTuple):
    """A token, without its secret.

    Attributes:
        id: its number.
        owner: name of the user.
        name: what it is for.
        role: what it may do at most.
        created_at, expires_at: time of creation and of expiry (UTC).
        used_at: time of its last request, to the minute (UTC); None for never.
    """

    id: int
    owner: str
    name: str
    role: Role
    created_at: datetime.datetime
    expires_at: datetime.datetime
    used_at: datetime.datetime | None


def add(cursor: Any, actor: Actor, user: User, wanted: Wanted) -> str:
    """Create a token and return it; it cannot be read again.

    Args:
        cursor: of the transaction.
        actor: who creates it.
        user: whose it is.
        wanted: its properties.

    Raises:
        UnfitUserError: the role is higher than the user's, the time is too long, or the user has too many tokens.
    """
    if wanted.days > MOST_DAYS:
        raise UnfitUserError(f"a token ends after at most {MOST_DAYS} days")
    if not user.role.includes(wanted.role):
        raise UnfitUserError(f"{user.name} is {user.role}, so a token cannot be {wanted.role}")
    cursor.execute("DELETE FROM console_token WHERE user_id = %s AND expires_at < UTC_TIMESTAMP(3)", (user.id,))
    cursor.execute("SELECT COUNT(*) FROM console_token WHERE user_id = %s", (user.id,))
    if cursor.fetchone()[0] >= _MOST:
        raise UnfitUserError(f"a user has at most {_MOST} tokens; revoke one first")
    token = PREFIX + secrets.token_urlsafe(_BYTES)
    cursor.execute(
        "INSERT INTO console_token (token_hash, user_id, name, role, created_at, expires_at)"
        " VALUES (%s, %s, %s, %s, UTC_TIMESTAMP(3), UTC_TIMESTAMP(3) + INTERVAL %s DAY)",
        (_hash(token), user.id, *wanted),
    )
    audit.write(cursor, actor, "token.add", f"{user.name}/{wanted.name}", f"role {wanted.role}, for {wanted.days} days")
    return token


def find(cursor: Any, token: str) -> Person | None:
    """Return the person of a token, with its rights; None if it is invalid, has expired, or its user is disabled."""
    cursor.execute(
        "SELECT u.user_id, u.name, u.role, t.role, t.name, TIMESTAMPDIFF(SECOND, t.used_at, UTC_TIMESTAMP(3))"
        " FROM console_token t JOIN console_user u ON u.user_id = t.user_id"
        " WHERE t.token_hash = %s AND t.expires_at > UTC_TIMESTAMP(3) AND NOT u.disabled",
        (_hash(token),),
    )
    row = cursor.fetchone()
    if row is None:
        return None
    number, name, of_user, of_token, called, since_s = row
    if since_s is None or since_s >= _USED_EVERY_S:
        cursor.execute("UPDATE console_token SET used_at = UTC_TIMESTAMP(3) WHERE token_hash = %s", (_hash(token),))
    own, given = Role(of_user), Role(of_token)
    return Person(number, name, given if own.includes(given) else own, "", token=called)


def everybodys(cursor: Any) -> list[Token]:
    """Return all tokens, sorted by owner and name."""
    return _read(cursor, "TRUE", ())


def of_user(cursor: Any, user_id: int) -> list[Token]:
    """Return a user's tokens, by name."""
    return _read(cursor, "t.user_id = %s", (user_id,))


def revoke(cursor: Any, actor: Actor, token: Token) -> None:
    """End a token."""
    cursor.execute("DELETE FROM console_token WHERE token_id = %s", (token.id,))
    audit.write(cursor, actor, "token.revoke", f"{token.owner}/{token.name}")


def _read(cursor: Any, which: str, parameters: tuple[int, ...]) -> list[Token]:
    cursor.execute(
        "SELECT t.token_id, u.name, t.name, t.role, t.created_at, t.expires_at, t.used_at"  # noqa: S608 - words of ours
        f" FROM console_token t JOIN console_user u ON u.user_id = t.user_id WHERE {which}"
        " ORDER BY u.name, t.name, t.token_id",
        parameters,
    )
    return [
        Token(
            number, owner, name, Role(role),
            *(moment and moment.replace(tzinfo=datetime.UTC) for moment in (created, expires, used)),
        )
        for number, owner, name, role, created, expires, used in cursor.fetchall()
    ]  # fmt: skip


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode(errors="replace")).digest()
