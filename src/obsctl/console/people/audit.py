"""The audit record of people's changes."""

from __future__ import annotations

import datetime
from typing import Any, NamedTuple

#: Widths of the columns, characters.
_OBJECT, _DETAIL = 255, 1024


class Actor(NamedTuple):
    """Who made a change.

    Attributes:
        name: of the user; ``root`` for a command on the console's host.
        client_addr: where the request came from; empty for a command.
        token: name of the API token that made the request; empty for a session and a command.
    """

    name: str
    client_addr: str = ""
    token: str = ""


class Entry(NamedTuple):
    """One change.

    Attributes:
        id: grows with each change.
        at: when (UTC).
        actor: who.
        action: such as ``user.add``.
        object: what was changed.
        detail: how it was changed.
    """

    id: int
    at: datetime.datetime
    actor: Actor
    action: str
    object: str
    detail: str


def write(cursor: Any, actor: Actor, action: str, thing: str, detail: str = "") -> None:
    """Record a change in the transaction that makes it."""
    if actor.token:
        detail = f"{detail}, by token {actor.token}".removeprefix(", ")
    cursor.execute(
        "INSERT INTO console_audit (happened_at, actor, client_addr, action, object, detail)"
        " VALUES (UTC_TIMESTAMP(3), %s, %s, %s, %s, %s)",
        (actor.name, actor.client_addr, action, thing[:_OBJECT], detail[:_DETAIL]),
    )


def read(cursor: Any, limit: int = 100, before: int | None = None) -> list[Entry]:
    """Return the newest changes, newest first.

    Args:
        cursor: of the transaction.
        limit: the most changes.
        before: only changes older than the one with this id.
    """
    cursor.execute(
        "SELECT audit_id, happened_at, actor, client_addr, action, object, detail FROM console_audit"
        " WHERE audit_id < COALESCE(%s, ~0) ORDER BY audit_id DESC LIMIT %s",
        (before, limit),
    )
    return [
        Entry(number, at.replace(tzinfo=datetime.UTC), Actor(name, address), action, thing, detail)
        for number, at, name, address, action, thing, detail in cursor.fetchall()
    ]
