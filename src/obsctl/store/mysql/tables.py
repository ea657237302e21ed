"""Compares the tables of a server with what the consumer needs: engine, columns and unique keys.

A table without transactions could keep half of a batch, and one without its primary key a line twice. With a missing
or too narrow column, the server would refuse rows one by one. So such tables are not used. Larger ones (a wider
column, an additional one with a default) are accepted.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, NamedTuple, Protocol

from obsctl.store.interface import StoreUnavailableError
from obsctl.store.mysql.schema import ENGINE, TABLES, TEXT_BYTES, Column, Table

_INTEGER_BITS = {"TINYINT": 8, "SMALLINT": 16, "MEDIUMINT": 24, "INT": 32, "BIGINT": 64}
_UTF8_BYTES = 4
#: How long to wait for another process that changes partitions, seconds.
_CHANGE_WAIT_S = 2
_type = re.compile(r"(\w+)(?:\((\d+)(?:,(\d+))?\))?.*", re.DOTALL).fullmatch
_plain_name = re.compile(r"[A-Za-z0-9_]+").fullmatch


class Connection(Protocol):
    """The part of a session that is needed."""

    def read(self, query: str) -> tuple[tuple[Any, ...], ...]:
        """Return the rows of a query."""


class Found(NamedTuple):
    """A column as the server describes it.

    Attributes:
        type: with its size, in capitals.
        null: it takes NULL.
        needs_value: whether rows without a value for it are refused.
        charset: of a text column; otherwise an empty string.
    """

    type: str
    null: bool
    needs_value: bool
    charset: str


class Fault(NamedTuple):
    """What is wrong with a table, and the part of an ALTER TABLE that repairs it."""

    text: str
    clause: str


def upkeep_lock(database: str) -> str:
    """Return the name, as an SQL literal, of the lock that a process holds while it changes the tables' partitions."""
    return f"'{database}.upkeep'"


def require(connection: Connection, database: str, migrate: str) -> None:
    """Check all tables; a second time, while no other process changes their partitions, if the first one finds faults.

    During such a change the server may describe a table without its keys, or as one that it cannot open.

    Args:
        connection: with the database selected.
        database: its name, for the displayed statements.
        migrate: the command that applies the migrations.

    Raises:
        StoreUnavailableError: a table is missing or cannot be used as it is; the message names all faults and the
            statements that repair them. Or another process has been changing them for some seconds.
    """
    try:
        _require(connection, database, migrate)
    except StoreUnavailableError as error:
        lock = upkeep_lock(database)
        ((got,),) = connection.read(f"SELECT GET_LOCK({lock},{_CHANGE_WAIT_S})")
        if got != 1:
            raise StoreUnavailableError(
                f"{error}; but another process has been changing partitions for {_CHANGE_WAIT_S} s, so this may not be "
                "true",
                f"wait; if it stays, see what that process does: SHOW FULL PROCESSLIST; {error.hint}",
            ) from None
        try:
            _require(connection, database, migrate)
        finally:
            connection.read(f"SELECT RELEASE_LOCK({lock})")


def _require(connection: Connection, database: str, migrate: str) -> None:
    names = ",".join(f"'{name}'" for name in TABLES)
    here = f"WHERE table_schema=DATABASE() AND table_name IN ({names})"
    engines = {
        str(name): (engine, comment)
        for name, engine, comment in connection.read(
            f"SELECT table_name,engine,table_comment FROM information_schema.tables {here}"
        )
    }
    missing = [name for name in TABLES if name not in engines]
    if missing:
        raise StoreUnavailableError(
            f"the database {database} has no table {', '.join(missing)} that this user may use",
            f"apply the migrations: {migrate}",
        )
    for name, (engine, comment) in engines.items():
        if engine is None:  # a view, or a table that the server cannot open
            raise StoreUnavailableError(f"the table {name} cannot be used: {comment}", f"SHOW CREATE TABLE {name}")
    columns = _columns(connection, here)
    keys = _keys(connection, here)
    faults = {
        name: list(_faults(table, str(engines[name][0]), columns.get(name, {}), keys.get(name, [])))
        for name, table in TABLES.items()
    }
    if any(faults.values()):
        text = "; ".join(f"the table {name}: {fault.text}" for name, found in faults.items() for fault in found)
        alter = "; ".join(
            f"ALTER TABLE {name} {', '.join(fault.clause for fault in found)}"
            for name, found in faults.items()
            if found
        )
        ((newest,),) = connection.read("SELECT MAX(version) FROM schema_migrations")
        raise StoreUnavailableError(
            f"the tables are not as the consumer needs them (newest migration: {newest or 'none'}): {text}",
            f"apply the migrations: {migrate}; what they do not repair was changed by hand; this repairs it, copying "
            f'all rows of such a table: mysql {database} -e "{alter}"',
        )


def _columns(connection: Connection, here: str) -> dict[str, dict[str, Found]]:
    found: dict[str, dict[str, Found]] = {}
    for table, name, kind, null, default, extra, charset in connection.read(
        "SELECT table_name,column_name,column_type,is_nullable,column_default,extra,character_set_name"
        f" FROM information_schema.columns {here}"
    ):
        takes_null = null == "YES"
        filled = takes_null or default is not None or re.search("auto_increment|generated", str(extra).lower())
        text = kind.decode() if isinstance(kind, bytes) else str(kind)  # MySQL's is a LONGTEXT or a BLOB
        found.setdefault(str(table), {})[str(name)] = Found(text.upper(), takes_null, not filled, str(charset or ""))
    return found


def _keys(connection: Connection, here: str) -> dict[str, list[tuple[str, ...]]]:
    """Return the columns of each unique key, by table, without keys over prefixes of columns."""
    parts: dict[tuple[str, str], list[str]] = {}
    for table, key, column, length in connection.read(
        f"SELECT table_name,index_name,column_name,sub_part FROM information_schema.statistics {here}"
        " AND non_unique=0 ORDER BY table_name,index_name,seq_in_index"
    ):
        parts.setdefault((str(table), str(key)), []).append(str(column) if length is None else f"{column}({length})")
    found: dict[str, list[tuple[str, ...]]] = {}
    for (table, _), names in parts.items():
        found.setdefault(table, []).append(tuple(names))
    return found


def _faults(needed: Table, engine: str, columns: dict[str, Found], keys: list[tuple[str, ...]]) -> Iterator[Fault]:
    if engine.lower() != ENGINE.lower():
        yield Fault(f"its engine is {engine}, but only {ENGINE} stores a batch atomically", f"ENGINE={ENGINE}")
    for name, column in needed.columns.items():
        found = columns.get(name)
        if found is None:
            yield Fault(f"the column {name} is missing", f"ADD COLUMN {name} {column.definition}")
        elif not _takes(found, column):
            charset = f" in {found.charset}" if found.charset not in ("", "ascii", "utf8mb4") else ""
            null = " NOT NULL" if not found.null and _takes(found._replace(null=True), column) else ""
            yield Fault(
                f"the column {name} is {found.type}{charset}{null}, but {column.definition} is needed",
                f"MODIFY {name} {column.definition}",
            )
        elif column.filled_by_server and found.needs_value:
            yield Fault(f"the column {name} has lost its default", f"MODIFY {name} {column.definition}")
    for name, found in columns.items():
        if name not in needed.columns and found.needs_value:
            shown = name if _plain_name(name) else f"\\`{name}\\`"
            yield Fault(
                f"the column {name}, which is not the consumer's, needs a value in each row",
                f"MODIFY {shown} {found.type} NULL",
            )
    for place, key in enumerate(needed.keys):
        if key not in keys:
            kind = "UNIQUE KEY" if place else "PRIMARY KEY"
            yield Fault(f"the unique key ({', '.join(key)}) is missing", f"ADD {kind} ({', '.join(key)})")


def _takes(found: Found, needed: Column) -> bool:
    """Return whether a column can store everything that the required one can."""
    if needed.rest == "NULL" and not found.null:
        return False
    mine, theirs = _Type.of(needed.type), _Type.of(found.type)
    if mine.name in _INTEGER_BITS:
        # No written value needs the bit that the sign takes.
        return _INTEGER_BITS.get(theirs.name, 0) >= _INTEGER_BITS[mine.name]
    if mine.name in {"CHAR", "VARCHAR", *TEXT_BYTES}:
        return (needed.ascii or found.charset == "utf8mb4") and _takes_text(
            theirs, mine, 1 if needed.ascii else _UTF8_BYTES
        )
    if mine.name == "DECIMAL":
        return theirs.name == "DECIMAL" and theirs.scale >= mine.scale and theirs.whole >= mine.whole
    if mine.name == "DATETIME":
        return theirs.name == "DATETIME" and theirs.size >= mine.size
    return (theirs.name, theirs.size) == (mine.name, mine.size)


def _takes_text(theirs: _Type, mine: _Type, character_bytes: int) -> bool:
    if mine.name in TEXT_BYTES:
        return TEXT_BYTES.get(theirs.name, 0) >= TEXT_BYTES[mine.name]
    if theirs.name in TEXT_BYTES:
        return TEXT_BYTES[theirs.name] >= mine.size * character_bytes
    # A CHAR column drops trailing blanks.
    return theirs.name in {"VARCHAR", mine.name} and theirs.size >= mine.size


class _Type(NamedTuple):
    """A type's name and sizes; 0 for no size."""

    name: str
    size: int
    scale: int

    @classmethod
    def of(cls, text: str) -> _Type:
        match = _type(text)
        return cls(match[1], int(match[2] or 0), int(match[3] or 0)) if match else cls(text, 0, 0)

    @property
    def whole(self) -> int:
        """Number of digits before the decimal point."""
        return self.size - self.scale
