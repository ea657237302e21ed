"""People who log in through an OpenID Connect provider: which user each of them is, and what a login changes.

The first login finds the user by name. From then on the user belongs to the provider's identifier of this person
(``sub``), which nobody else ever gets: another person who takes over the name does not take over the user.
"""

from __future__ import annotations

import hashlib
import logging
from typing import Any, Literal, NamedTuple
from urllib.parse import urlsplit

from obsctl.console.people import audit, users
from obsctl.console.people.audit import Actor
from obsctl.console.people.roles import Role
from obsctl.console.people.users import UnfitUserError, User

LOG = logging.getLogger("obsctl.console")

#: How long an ended login is remembered, seconds; longer than a login may take (console/oidc/begun.py).
_REMEMBERED_S = 3600
_ACTOR = 64


class Known(NamedTuple):
    """A person whom the provider has authenticated.

    Attributes:
        issuer: the provider.
        subject: the provider's identifier of the person.
        name: of the person's user.
        role: None if roles are managed in the console.
        member: whether the person is in the group that may use the console.
    """

    issuer: str
    subject: str
    name: str
    role: Role | None
    member: bool


class NotAdmittedError(Exception):
    """The provider has authenticated a person who may not use the console; the message says why.

    Attributes:
        name: of the user.
        reason: ``group``: the person is not in the group that may use the console; ``user``: there is no such user, or
            it is disabled; ``taken``: the user belongs to another person.
    """

    def __init__(self, name: str, reason: Literal["group", "user", "taken"], message: str) -> None:
        super().__init__(message)
        self.name = name
        self.reason = reason


def admit(cursor: Any, known: Known, client_addr: str, *, create: bool) -> User:
    """Return a person's user, with the role that the provider's groups give.

    Args:
        cursor: of the transaction.
        known: the person.
        client_addr: where the login comes from.
        create: whether to create a user for a person without one.

    Raises:
        NotAdmittedError: the person may not use the console.
    """
    if not known.member:
        raise NotAdmittedError(
            known.name, "group", f"{known.name} is not in the group that people.oidc.required_group names"
        )
    actor = Actor(f"{urlsplit(known.issuer).hostname} (OpenID Connect)"[:_ACTOR], client_addr)
    user = _linked(cursor, known) or _by_name(cursor, actor, known, create=create)
    if user.disabled:
        raise NotAdmittedError(user.name, "user", f"the user {user.name} is disabled")
    if known.role is None or known.role is user.role:
        return user
    try:
        users.set_role(cursor, actor, user, known.role)
    except UnfitUserError as error:
        LOG.warning("a user keeps the role that the provider no longer gives it", extra={"error": str(error)})
        return user
    return user._replace(role=known.role)


def unlink(cursor: Any, actor: Actor, user: User) -> bool:
    """Remove a user's link to the provider, so that the next login finds it by name; return whether there was one."""
    unlinked: int = cursor.execute("DELETE FROM console_identity WHERE user_id = %s", (user.id,))
    if unlinked:
        audit.write(cursor, actor, "user.unlink", user.name)
    return unlinked > 0


def end_once(cursor: Any, state: str) -> bool:
    """Record that a login in progress ends; return whether it does so for the first time."""
    cursor.execute(
        "DELETE FROM console_oidc_used WHERE used_at < UTC_TIMESTAMP(3) - INTERVAL %s SECOND LIMIT 100",
        (_REMEMBERED_S,),
    )
    first: int = cursor.execute(
        "INSERT IGNORE INTO console_oidc_used (state_hash, used_at) VALUES (%s, UTC_TIMESTAMP(3))",
        (hashlib.sha256(state.encode()).digest(),),
    )
    return first > 0


def _linked(cursor: Any, known: Known) -> User | None:
    cursor.execute(
        "SELECT u.name FROM console_identity i JOIN console_user u ON u.user_id = i.user_id"
        " WHERE i.issuer = %s AND i.subject = %s",
        (known.issuer, known.subject),
    )
    row = cursor.fetchone()
    return users.find(cursor, row[0]) if row else None


def _by_name(cursor: Any, actor: Actor, known: Known, *, create: bool) -> User:
    """Return the user of a person who logs in for the first time."""
    user = users.find(cursor, known.name)
    if user is None and create:
        try:
            users.add(cursor, actor, known.name, known.role or Role.VIEWER, None)
        except UnfitUserError as error:
            raise NotAdmittedError(known.name, "user", str(error)) from None
        user = users.find(cursor, known.name)
    if user is None:
        raise NotAdmittedError(known.name, "user", f"there is no user {known.name}")
    if user.disabled:
        return user
    linked: int = cursor.execute(
        "INSERT IGNORE INTO console_identity (issuer, subject, user_id, linked_at)"
        " VALUES (%s, %s, %s, UTC_TIMESTAMP(3))",
        (known.issuer, known.subject, user.id),
    )
    if not linked:
        raise NotAdmittedError(user.name, "taken", f"the user {user.name} belongs to another person at {known.issuer}")
    audit.write(cursor, actor, "user.link", user.name, f"{known.subject} at {known.issuer}")
    return user
