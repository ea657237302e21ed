"""Rows of the state file for the changelog: which ones a transaction changed, and how the file is rebuilt from others.

Temporary triggers of the connection record the key of each row that a transaction touches, so statements need not
report their changes.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from typing import Any, NamedTuple

import msgspec

#: A value of SQLite.
Value = int | float | str | bytes | None


class Row(NamedTuple):
    """One row, or the key of a deleted one.

    Attributes:
        table: its table.
        key: the values of the table's primary key.
        values: of all columns in order; None if the row was deleted.
    """

    table: str
    key: tuple[Value, ...]
    values: tuple[Value, ...] | None


def watch(connection: sqlite3.Connection) -> None:
    """Record from now on which rows this connection touches."""
    connection.execute("CREATE TEMP TABLE touched (name TEXT, key TEXT, PRIMARY KEY (name, key)) WITHOUT ROWID")
    for table, columns in _keys(connection).items():
        for event, side in (("INSERT", "NEW"), ("UPDATE", "OLD"), ("UPDATE", "NEW"), ("DELETE", "OLD")):
            key = ", ".join(f"{side}.{column}" for column in columns)
            connection.execute(
                f"CREATE TEMP TRIGGER touched_{table}_{event}_{side} AFTER {event} ON main.{table} BEGIN "  # noqa: S608
                f"INSERT OR IGNORE INTO touched VALUES ('{table}', json_array({key})); END"
            )


def take_touched(connection: sqlite3.Connection) -> list[Row]:
    """Return the rows that the open transaction touched, in their present state, and clear the record of them."""
    touched = connection.execute("SELECT name, key FROM touched ORDER BY name, key").fetchall()
    if not touched:
        return []
    keys = _keys(connection)
    rows = []
    for table, text in touched:
        key = tuple(msgspec.json.decode(text))
        condition = " AND ".join(f"{column} = ?" for column in keys[table])
        found = connection.execute(f"SELECT * FROM main.{table} WHERE {condition}", key).fetchone()  # noqa: S608
        rows.append(Row(table, key, found))
    connection.execute("DELETE FROM touched")
    return rows


def all_rows(connection: sqlite3.Connection) -> list[Row]:
    """Return every row of the file."""
    rows = []
    for table, key in _keys(connection).items():
        found = connection.execute(f"SELECT * FROM main.{table}")  # noqa: S608
        places = [[column[0] for column in found.description].index(name) for name in key]
        rows += [Row(table, tuple(row[place] for place in places), row) for row in found]
    return rows


def replace_all(connection: sqlite3.Connection, rows: Iterable[Row]) -> None:
    """Let the file hold these rows and no others, within the caller's transaction."""
    tables = _keys(connection)
    for table in tables:
        connection.execute(f"DELETE FROM main.{table}")  # noqa: S608
    for row in rows:
        if row.values is not None and row.table in tables:
            marks = ", ".join("?" * len(row.values))
            connection.execute(f"INSERT INTO main.{row.table} VALUES ({marks})", row.values)  # noqa: S608


def _keys(connection: sqlite3.Connection) -> dict[str, list[str]]:
    """Return the columns of each table's primary key, in the key's order."""
    tables = connection.execute(
        "SELECT name FROM main.sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name"
    ).fetchall()
    keys: dict[str, list[str]] = {}
    for (table,) in tables:
        columns: list[tuple[Any, ...]] = connection.execute(f"PRAGMA main.table_info({table})").fetchall()
        keys[table] = [column[1] for column in sorted(columns, key=lambda column: column[5]) if column[5]]
    return keys
