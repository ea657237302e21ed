"""The groups of errors for people: those in a time range, and an example line of each."""

from __future__ import annotations

import datetime
from typing import Any, Literal, NamedTuple

from obsctl.console.errors.fingerprint import filter_of
from obsctl.query import values
from obsctl.query.fields import ACCESS, ERROR, Table
from obsctl.search.run import plain

#: How long a group is new after its first error; until all lines have been counted once, no group is.
_NEW_FOR = datetime.timedelta(days=1)
Order = Literal["frequent", "recent", "new"]
_ORDERS: dict[Order, str] = {"frequent": "number DESC", "recent": "e.last_at DESC", "new": "e.first_at DESC"}


class Asked(NamedTuple):
    """Which groups.

    Attributes:
        tables: whose errors.
        begin: the first minute (UTC).
        end: the first moment after the last minute (UTC).
        host: only this host's errors; empty for all.
        order: the most frequent first, or those with the newest last or first error.
        limit: the most groups.
    """

    tables: tuple[Table, ...]
    begin: datetime.datetime
    end: datetime.datetime
    host: str
    order: Order
    limit: int


def find(cursor: Any, asked: Asked, now: datetime.datetime) -> list[dict[str, Any]]:
    """Return the groups with errors in a time range, each with its hosts."""
    wanted = f"m.log_table IN ({_places(asked.tables)}) AND m.minute >= %s AND m.minute < %s"
    parameters = [*(table.name for table in asked.tables), values.stored(asked.begin), values.stored(asked.end)]
    if asked.host:
        wanted += " AND m.host = %s"
        parameters.append(asked.host)
    cursor.execute(
        "SELECT e.error_id, e.log_table, e.kind, e.masked, e.first_at, e.last_at, SUM(m.line_count) AS number"
        f" FROM console_error_minute m JOIN console_error e ON e.error_id = m.error_id WHERE {wanted}"
        " GROUP BY e.error_id, e.log_table, e.kind, e.masked, e.first_at, e.last_at"
        f" ORDER BY {_ORDERS[asked.order]}, e.error_id LIMIT {asked.limit:d}",
        parameters,
    )
    rows = cursor.fetchall()
    if not rows:
        return []
    cursor.execute(
        f"SELECT m.error_id, m.host, SUM(m.line_count) AS number FROM console_error_minute m WHERE {wanted}"
        f" AND m.error_id IN ({_places(rows)}) GROUP BY m.error_id, m.host ORDER BY number DESC, m.host",
        [*parameters, *(row[0] for row in rows)],
    )
    hosts: dict[bytes, list[dict[str, Any]]] = {}
    for error_id, host, number in cursor.fetchall():
        hosts.setdefault(error_id, []).append({"host": host, "lines": int(number)})
    cursor.execute("SELECT log_table FROM console_error_round WHERE rounds > 0")
    known = {row[0] for row in cursor.fetchall()}
    return [
        {
            "id": error_id.hex(),
            "log": "access" if table == ACCESS.name else "error",
            "kind": kind,
            "text": masked,
            "lines": int(number),
            "hosts": hosts[error_id],
            "first_at": plain(first),
            "last_at": plain(last),
            "new": table in known and first.replace(tzinfo=datetime.UTC) > now - _NEW_FOR,
            "filter": filter_of(_table(table), kind, masked),
        }
        for error_id, table, kind, masked, first, last, number in rows
    ]


def example(cursor: Any, error_id: bytes) -> dict[str, Any] | None:
    """Return the fields of the newest line of a group; None if the group or its line no longer exists."""
    cursor.execute("SELECT log_table, last_at, last_line FROM console_error WHERE error_id = %s", (error_id,))
    row = cursor.fetchone()
    if row is None:
        return None
    table = _table(row[0])
    columns = ", ".join(f"`{name}`" for name in table.fields)
    cursor.execute(f"SELECT {columns} FROM `{table.name}` WHERE ts = %s AND line_id = %s", row[1:])
    line = cursor.fetchone()
    return None if line is None else dict(zip(table.fields, map(plain, line), strict=True))


def _table(name: str) -> Table:
    return ACCESS if name == ACCESS.name else ERROR


def _places(items: Any) -> str:
    return ", ".join("%s" for _ in items)
