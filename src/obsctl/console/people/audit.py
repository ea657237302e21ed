"""The record of what people changed."""

from __future__ import annotations

import datetime
from typing import Any, NamedTuple

#: The columns' widths, characters.
_OBJECT, _DETAIL = 255, 1024


class Actor(NamedTuple):
    """Who did something.

    Attributes:
        name: of the user; ``root`` for a command on the console's host.
        client_addr: where the request came from; empty for a command.
    """

    name: str
    client_addr: str = ""


class Entry(NamedTuple):
    """One change.

    Attributes:
        at: when (UTC).
        actor: who.
        action: such as ``user.add``.
        object: what was changed.
        detail: how.
    """

    at: datetime.datetime
    actor: Actor
    action: str
    object: str
    detail: str


def write(cursor: Any, actor: Actor, action: str, thing: str, detail: str = "") -> None:
    """Record a change in the transaction that makes it."""
    cursor.execute(
        "INSERT INTO console_audit (happened_at, actor, client_addr, action, object, detail)"
        " VALUES (UTC_TIMESTAMP(3), %s, %s, %s, %s, %s)",
        (actor.name, actor.client_addr, action, thing[:_OBJECT], detail[:_DETAIL]),
    )


def read(cursor: Any, limit: int = 100) -> list[Entry]:
    """Return the newest changes, newest first."""
    cursor.execute(
        "SELECT happened_at, actor, client_addr, action, object, detail FROM console_audit"
        " ORDER BY audit_id DESC LIMIT %s",
        (limit,),
    )
    return [
        Entry(at.replace(tzinfo=datetime.UTC), Actor(name, address), action, thing, detail)
        for at, name, address, action, thing, detail in cursor.fetchall()
    ]
