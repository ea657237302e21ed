"""The schema that this code needs, and the privileges of its database user.

The columns of the log tables follow from the fields of ``AccessLine`` and ``ErrorLine``; tests compare all of it with
the migrations. :mod:`obsctl.store.mysql.tables` compares it with the tables of a server.
"""

from __future__ import annotations

import typing
from typing import NamedTuple

from msgspec import NODEFAULT
from msgspec.structs import fields

from obsctl.lines.formats.line import Absent, AccessLine, ErrorLine, Line, widths
from obsctl.store.rollup import LATENCY_BOUNDS_MS

#: The privileges that the consumer's database user needs; the role grants exactly these.
PRIVILEGES = {
    "log_source": ("SELECT", "INSERT", "UPDATE"),
    "access_log": ("SELECT", "INSERT", "UPDATE", "DELETE", "ALTER", "CREATE", "DROP"),
    "error_log": ("SELECT", "INSERT", "UPDATE", "DELETE", "ALTER", "CREATE", "DROP"),
    "rollup_minute": ("SELECT", "INSERT", "UPDATE", "DELETE", "ALTER", "CREATE", "DROP"),
    "rollup_hour": ("SELECT", "INSERT", "UPDATE", "DELETE", "ALTER", "CREATE", "DROP"),
    "quarantine": ("SELECT", "INSERT", "UPDATE", "DELETE"),
    "schema_migrations": ("SELECT",),
}
#: The engine of all tables: it needs transactions, because rows and position must be stored together.
ENGINE = "InnoDB"


class Column(NamedTuple):
    """A column as the migrations declare it.

    Attributes:
        type: with its size, in capitals.
        rest: whether it allows NULL, and its default.
        ascii: whether its texts are ASCII; otherwise they are utf8mb4, the table's default.
    """

    type: str
    rest: str = "NOT NULL"
    ascii: bool = False

    @property
    def definition(self) -> str:
        """Return the text after the column's name in a statement."""
        return f"{self.type}{' CHARACTER SET ascii COLLATE ascii_bin' * self.ascii} {self.rest}"

    @property
    def filled_by_server(self) -> bool:
        """Return whether the server fills the column, so that no INSERT of the consumer names it."""
        return "CURRENT_TIMESTAMP" in self.rest or "AUTO_INCREMENT" in self.rest


class Table(NamedTuple):
    """A table: its columns by name, and its unique keys, the primary key first."""

    columns: dict[str, Column]
    keys: tuple[tuple[str, ...], ...]


_EMPTY = "NOT NULL DEFAULT ''"
_NOW = Column("DATETIME(3)", "NOT NULL DEFAULT CURRENT_TIMESTAMP(3)")
_NUMBER = Column("BIGINT UNSIGNED")
_COUNT = Column("BIGINT UNSIGNED", "NOT NULL DEFAULT 0")
_SOURCE = Column("INT UNSIGNED")
_IDENTITY = Column("BINARY(16)")
_FORMAT = Column("VARCHAR(16)", ascii=True)
#: Columns of the log tables that do not follow from their fields' types: the consumer fills them in itself, or the
#: line's pattern keeps them short.
_OF_LINES = {
    "ts": Column("DATETIME(3)"),
    "line_id": _IDENTITY,
    "source_id": _SOURCE,
    "kafka_offset": _NUMBER,
    "log_format": _FORMAT,
    "host": Column("VARCHAR(64)"),
    "status": Column("SMALLINT UNSIGNED"),
    "level": Column("VARCHAR(16)"),
    "cut_fields": Column("VARCHAR(255)", _EMPTY, ascii=True),
}
#: Largest size of text types, bytes.
TEXT_BYTES = {"TINYTEXT": 2**8 - 1, "TEXT": 2**16 - 1, "MEDIUMTEXT": 2**24 - 1, "LONGTEXT": 2**32 - 1}


def _log_table(line: type[Line]) -> Table:
    """Return the table of a kind of lines: one column for each field, and the time of storing."""
    hints, texts = typing.get_type_hints(line), widths(line)
    columns = {}
    for field in fields(line):
        name, hint = field.name, hints[field.name]
        if name in _OF_LINES:
            columns[name] = _OF_LINES[name]
        elif name in texts and texts[name].bytes:
            columns[name] = Column(next(kind for kind, size in TEXT_BYTES.items() if size == texts[name].bytes))
        elif name in texts:
            rest = "NOT NULL" if field.default is NODEFAULT else _EMPTY
            columns[name] = Column(f"VARCHAR({texts[name].characters})", rest)
        else:
            kinds = typing.get_args(hint) or (hint,)
            number = "DECIMAL(13,3)" if float in kinds else "BIGINT UNSIGNED"
            columns[name] = Column(number, "NULL" if Absent in kinds else "NOT NULL")
    return Table(columns | {"stored_at": _NOW}, (("ts", "line_id"),))


def _rollup_table(begin: str) -> Table:
    """Return a table of roll-ups; ``begin`` is its column of time."""
    return Table(
        {
            begin: Column("DATETIME"),
            "source_id": _SOURCE,
            "host": Column("VARCHAR(64)"),
            "route_class": _FORMAT,
            "status_class": Column("TINYINT UNSIGNED"),
            "requests": _NUMBER,
            "bytes": _NUMBER,
            **{f"lat_{bound}": _COUNT for bound in (*LATENCY_BOUNDS_MS, "more")},
            "stored_at": _NOW,
        },
        ((begin, "source_id", "host", "route_class", "status_class"),),
    )


TABLES = {
    "log_source": Table(
        {
            "source_id": Column("INT UNSIGNED", "NOT NULL AUTO_INCREMENT"),
            "cluster_id": Column("VARCHAR(64)", ascii=True),
            "topic": Column("VARCHAR(249)", ascii=True),
            "partition_id": _SOURCE,
            "topic_id": Column("VARCHAR(36)", _EMPTY, ascii=True),
            "next_offset": _COUNT,
            "newest_event": Column("DATETIME(3)", "NULL"),
            "created_at": _NOW,
            "updated_at": _NOW,
            "missing_offsets": _COUNT,
            "missing_at": Column("DATETIME(3)", "NULL"),
        },
        (("source_id",), ("cluster_id", "topic", "partition_id", "topic_id")),
    ),
    "access_log": _log_table(AccessLine),
    "error_log": _log_table(ErrorLine),
    "quarantine": Table(
        {
            "line_id": _IDENTITY,
            "source_id": _SOURCE,
            "kafka_offset": _NUMBER,
            "log_format": Column("VARCHAR(16)", _EMPTY, ascii=True),
            "host": Column("VARCHAR(255)", _EMPTY),
            "reason": Column("VARCHAR(64)", ascii=True),
            "detail": Column("VARCHAR(1024)", _EMPTY),
            "value": Column("LONGBLOB", "NULL"),
            "value_bytes": Column("BIGINT UNSIGNED", "NULL"),
            "revision": Column("CHAR(16)", ascii=True),
            "dead_letter": Column("TINYINT UNSIGNED", "NULL"),
            "stored_at": _NOW,
        },
        (("line_id",),),
    ),
    "rollup_minute": _rollup_table("minute"),
    "rollup_hour": _rollup_table("hour"),
}
