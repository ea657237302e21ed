"""The users of the console, stored in the database."""

from __future__ import annotations

import datetime
import re
from typing import Any, NamedTuple

from obsctl.console.people import audit, sessions
from obsctl.console.people.audit import Actor
from obsctl.console.people.passwords import fits, hashed
from obsctl.console.people.roles import Role

_NAME = re.compile(r"[a-z0-9][a-z0-9._@-]{0,63}")
NAMES = "a name has up to 64 of a-z, 0-9, ., _, @ and -, and begins with a letter or a digit"
_DUPLICATE = 1062


class UnfitUserError(ValueError):
    """A change that is refused; the message says why."""


class User(NamedTuple):
    """A user.

    Attributes:
        id: its number.
        disabled: whether it may not log in.
        password_hash: in argon2's encoding; None for a user without a password.
        must_change: whether another person has set the password, and the user must change it before anything else.
        created_at: when it was added (UTC).
    """

    id: int
    name: str
    role: Role
    disabled: bool
    password_hash: str | None
    must_change: bool
    created_at: datetime.datetime


_SELECT = "SELECT user_id, name, role, disabled, password_hash, must_change, created_at FROM console_user"


def find(cursor: Any, name: str) -> User | None:
    """Return the user with a name; None also for a text that cannot be a name."""
    if not _NAME.fullmatch(name):
        return None
    cursor.execute(_SELECT + " WHERE name = %s", (name,))
    row = cursor.fetchone()
    return _user(row) if row else None


def everybody(cursor: Any) -> list[User]:
    """Return all users, by name."""
    cursor.execute(_SELECT + " ORDER BY name")
    return [_user(row) for row in cursor.fetchall()]


def add(cursor: Any, actor: Actor, name: str, role: Role, password: str | None, *, must_change: bool = False) -> None:
    """Add a user.

    Args:
        cursor: of the transaction.
        actor: who adds it.
        name: of the user.
        role: of the user.
        password: None for a user without one: it uses only tokens, or logs in through a provider or a proxy.
        must_change: whether the user must change the password before anything else.

    Raises:
        UnfitUserError: the name is invalid or taken.
        UnfitPasswordError: the password cannot be used.
    """
    if not _NAME.fullmatch(name):
        raise UnfitUserError(f"{name!r} cannot be a user's name: {NAMES}")
    kept = None if password is None else hashed(password, name)
    if find(cursor, name) is not None:
        raise UnfitUserError(f"there is a user {name} already")
    try:
        cursor.execute(
            "INSERT INTO console_user (name, role, password_hash, must_change) VALUES (%s, %s, %s, %s)",
            (name, role, kept, must_change),
        )
    except Exception as error:
        # Another console has added it meanwhile.
        if error.args and error.args[0] == _DUPLICATE:
            raise UnfitUserError(f"there is a user {name} already") from None
        raise
    audit.write(cursor, actor, "user.add", name, f"role {role}" + (", without a password" if kept is None else ""))


def set_password(cursor: Any, actor: Actor, user: User, password: str, *, must_change: bool = False) -> None:
    """Set a user's password, and end all its sessions.

    Args:
        cursor: of the transaction.
        actor: who sets it.
        user: whose it is.
        password: the new one.
        must_change: whether the user must change it before anything else.

    Raises:
        UnfitPasswordError: the password cannot be used.
    """
    _keep_password(cursor, user, password, must_change=must_change)
    sessions.end_all(cursor, user.id)
    audit.write(cursor, actor, "user.password", user.name)


def change_own_password(cursor: Any, actor: Actor, user: User, password: str, token: str) -> None:
    """Set the password that a user chose, and end all its sessions except the one with the token.

    Raises:
        UnfitPasswordError: the password cannot be used.
        UnfitUserError: it is the present password.
    """
    if fits(user.password_hash, password):
        raise UnfitUserError("this is the present password")
    _keep_password(cursor, user, password, must_change=False)
    sessions.end_all(cursor, user.id, but=token)
    audit.write(cursor, actor, "user.password", user.name, "its own")


def set_role(cursor: Any, actor: Actor, user: User, role: Role) -> None:
    """Change a user's role, from the next request on.

    Raises:
        UnfitUserError: no admin would be left.
    """
    if role is not Role.ADMIN:
        _keep_an_admin(cursor, user)
    cursor.execute("UPDATE console_user SET role = %s WHERE user_id = %s", (role, user.id))
    audit.write(cursor, actor, "user.role", user.name, f"{user.role} -> {role}")


def disable(cursor: Any, actor: Actor, user: User, *, disabled: bool = True) -> None:
    """Disable a user and end all its sessions, or enable it again.

    Raises:
        UnfitUserError: no admin would be left.
    """
    if disabled:
        _keep_an_admin(cursor, user)
        sessions.end_all(cursor, user.id)
    cursor.execute("UPDATE console_user SET disabled = %s WHERE user_id = %s", (disabled, user.id))
    audit.write(cursor, actor, "user.disable" if disabled else "user.enable", user.name)


def remove(cursor: Any, actor: Actor, user: User) -> None:
    """Remove a user with its sessions, tokens, memberships, saved searches and links to providers.

    Raises:
        UnfitUserError: no admin would be left.
    """
    _keep_an_admin(cursor, user)
    for table in (
        "console_session", "console_token", "console_member", "console_query", "console_identity", "console_user",
    ):  # fmt: skip
        cursor.execute(f"DELETE FROM {table} WHERE user_id = %s", (user.id,))  # noqa: S608 - the tables' own names
    audit.write(cursor, actor, "user.remove", user.name, f"role {user.role}")


def end_sessions(cursor: Any, actor: Actor, user: User) -> None:
    """End all sessions of a user."""
    sessions.end_all(cursor, user.id)
    audit.write(cursor, actor, "user.logout", user.name)


def _keep_password(cursor: Any, user: User, password: str, *, must_change: bool) -> None:
    kept = hashed(password, user.name)
    cursor.execute(
        "UPDATE console_user SET password_hash = %s, must_change = %s WHERE user_id = %s", (kept, must_change, user.id)
    )


def _keep_an_admin(cursor: Any, user: User) -> None:
    if user.role is not Role.ADMIN or user.disabled:
        return
    # Locked, so that two admins cannot remove each other at the same time.
    cursor.execute("SELECT user_id FROM console_user WHERE role = %s AND NOT disabled FOR UPDATE", (Role.ADMIN,))
    if not [number for (number,) in cursor.fetchall() if number != user.id]:
        raise UnfitUserError(f"{user.name} is the only admin; give another user that role first")


def _user(row: Any) -> User:
    number, name, role, disabled, kept, must_change, created = row
    return User(number, name, Role(role), bool(disabled), kept, bool(must_change), created.replace(tzinfo=datetime.UTC))
