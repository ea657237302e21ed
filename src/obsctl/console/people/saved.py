"""Searches that people save under a name, for themselves or for everybody."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

#: The most searches that one person may save.
_MOST = 500


class TooManyError(Exception):
    """A person has too many saved searches."""


class Saved(NamedTuple):
    """A saved search.

    Attributes:
        name: unique among those of its owner.
        owner: name of the user.
        shared: whether everybody sees it.
        state: the parameters of the search, by name.
    """

    name: str
    owner: str
    shared: bool
    state: dict[str, str]


def visible(cursor: Any, user_id: int) -> list[Saved]:
    """Return a person's own searches and those that others share, by name."""
    cursor.execute(
        "SELECT q.name, u.name, q.shared, q.state FROM console_query q JOIN console_user u ON u.user_id = q.user_id"
        " WHERE q.user_id = %s OR q.shared ORDER BY q.name, u.name",
        (user_id,),
    )
    return [Saved(name, owner, bool(shared), json.loads(state)) for name, owner, shared, state in cursor.fetchall()]


def keep(cursor: Any, user_id: int, name: str, state: dict[str, str], *, shared: bool) -> None:
    """Save a search; if its owner has one with this name, it is replaced.

    Raises:
        TooManyError: the owner has the maximum number already.
    """
    cursor.execute("SELECT COUNT(*) FROM console_query WHERE user_id = %s AND name <> %s", (user_id, name))
    if cursor.fetchone()[0] >= _MOST:
        raise TooManyError(f"a user keeps at most {_MOST} searches")
    cursor.execute(
        "INSERT INTO console_query (user_id, name, shared, state) VALUES (%s, %s, %s, %s)"
        " ON DUPLICATE KEY UPDATE shared = VALUES(shared), state = VALUES(state)",
        (user_id, name, shared, json.dumps(state, ensure_ascii=False)),
    )


def forget(cursor: Any, user_id: int, name: str) -> bool:
    """Remove a person's own search; return whether there was one."""
    removed: int = cursor.execute("DELETE FROM console_query WHERE user_id = %s AND name = %s", (user_id, name))
    return removed > 0
