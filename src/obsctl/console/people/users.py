"""The users of the console, kept in the database."""

from __future__ import annotations

import datetime
import re
from typing import Any, NamedTuple

from obsctl.console.people import audit
from obsctl.console.people.audit import Actor
from obsctl.console.people.passwords import hashed
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
        disabled: may not log in.
        password_hash: as argon2 writes it.
        created_at: when it was added (UTC).
    """

    id: int
    name: str
    role: Role
    disabled: bool
    password_hash: str
    created_at: datetime.datetime


_SELECT = "SELECT user_id, name, role, disabled, password_hash, created_at FROM console_user"


def find(cursor: Any, name: str) -> User | None:
    """Return the user of a name; None also for a text that cannot be one."""
    if not _NAME.fullmatch(name):
        return None
    cursor.execute(_SELECT + " WHERE name = %s", (name,))
    row = cursor.fetchone()
    return _user(row) if row else None


def everybody(cursor: Any) -> list[User]:
    """Return all users, by name."""
    cursor.execute(_SELECT + " ORDER BY name")
    return [_user(row) for row in cursor.fetchall()]


def add(cursor: Any, actor: Actor, name: str, role: Role, password: str) -> None:
    """Add a user.

    Raises:
        UnfitUserError: the name cannot be used, or is taken.
        UnfitPasswordError: the password cannot be used.
    """
    if not _NAME.fullmatch(name):
        raise UnfitUserError(f"{name!r} cannot be a user's name: {NAMES}")
    kept = hashed(password, name)
    if find(cursor, name) is not None:
        raise UnfitUserError(f"there is a user {name} already")
    try:
        cursor.execute("INSERT INTO console_user (name, role, password_hash) VALUES (%s, %s, %s)", (name, role, kept))
    except Exception as error:
        # Another console added it in between.
        if error.args and error.args[0] == _DUPLICATE:
            raise UnfitUserError(f"there is a user {name} already") from None
        raise
    audit.write(cursor, actor, "user.add", name, f"role {role}")


def set_password(cursor: Any, actor: Actor, user: User, password: str) -> None:
    """Give a user another password, and end all its sessions.

    Raises:
        UnfitPasswordError: the password cannot be used.
    """
    kept = hashed(password, user.name)
    cursor.execute("UPDATE console_user SET password_hash = %s WHERE user_id = %s", (kept, user.id))
    _end_sessions(cursor, user)
    audit.write(cursor, actor, "user.password", user.name)


def set_role(cursor: Any, actor: Actor, user: User, role: Role) -> None:
    """Give a user another role; it counts from the next request on.

    Raises:
        UnfitUserError: no admin would be left.
    """
    if role is not Role.ADMIN:
        _keep_an_admin(cursor, user)
    cursor.execute("UPDATE console_user SET role = %s WHERE user_id = %s", (role, user.id))
    audit.write(cursor, actor, "user.role", user.name, f"{user.role} -> {role}")


def disable(cursor: Any, actor: Actor, user: User, *, disabled: bool = True) -> None:
    """Keep a user from logging in, and end all its sessions; or allow it again.

    Raises:
        UnfitUserError: no admin would be left.
    """
    if disabled:
        _keep_an_admin(cursor, user)
        _end_sessions(cursor, user)
    cursor.execute("UPDATE console_user SET disabled = %s WHERE user_id = %s", (disabled, user.id))
    audit.write(cursor, actor, "user.disable" if disabled else "user.enable", user.name)


def remove(cursor: Any, actor: Actor, user: User) -> None:
    """Remove a user with its sessions and saved searches.

    Raises:
        UnfitUserError: no admin would be left.
    """
    _keep_an_admin(cursor, user)
    _end_sessions(cursor, user)
    cursor.execute("DELETE FROM console_query WHERE user_id = %s", (user.id,))
    cursor.execute("DELETE FROM console_user WHERE user_id = %s", (user.id,))
    audit.write(cursor, actor, "user.remove", user.name, f"role {user.role}")


def _keep_an_admin(cursor: Any, user: User) -> None:
    if user.role is not Role.ADMIN or user.disabled:
        return
    # Locked, so that two admins cannot remove each other at the same time.
    cursor.execute("SELECT user_id FROM console_user WHERE role = %s AND NOT disabled FOR UPDATE", (Role.ADMIN,))
    if not [number for (number,) in cursor.fetchall() if number != user.id]:
        raise UnfitUserError(f"{user.name} is the only admin; give another user that role first")


def _end_sessions(cursor: Any, user: User) -> None:
    cursor.execute("DELETE FROM console_session WHERE user_id = %s", (user.id,))


def _user(row: Any) -> User:
    number, name, role, disabled, kept, created = row
    return User(number, name, Role(role), bool(disabled), kept, created.replace(tzinfo=datetime.UTC))
