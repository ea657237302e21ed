"""What a column takes, compared with what the consumer writes; without a server."""

from __future__ import annotations

from typing import Any

import pytest

from obsctl.store.interface import StoreUnavailableError
from obsctl.store.mysql import tables
from obsctl.store.mysql.schema import TABLES


class Server:
    """Describes its tables as a server does; ``changed`` are columns that are otherwise, by table and name.

    Args:
        display_widths: MariaDB writes ``bigint(20) unsigned``, MySQL ``bigint unsigned``.

    Attributes:
        in_change: tables that another process changes, without their keys, until somebody waits for it.
        waited: whether waiting for that process succeeds.
    """

    def __init__(self, *, display_widths: bool = False) -> None:
        self.engines: dict[str, str | None] = dict.fromkeys(TABLES, "InnoDB")
        self.changed: dict[tuple[str, str], str] = {}
        self.in_change: set[str] = set()
        self.waited = True
        self._display_widths = display_widths

    def read(self, query: str) -> tuple[tuple[Any, ...], ...]:
        if "information_schema.tables" in query:
            return tuple((name, engine, "the comment") for name, engine in self.engines.items())
        if "information_schema.columns" in query:
            return tuple(self._column(table, name) for table, needed in TABLES.items() for name in needed.columns)
        if "GET_LOCK" in query:
            self.in_change -= self.in_change if self.waited else set()
            return ((int(self.waited),),)
        if "information_schema.statistics" in query:
            return tuple(
                (table, f"k{place}", column, None)
                for table, needed in TABLES.items()
                if table not in self.in_change
                for place, key in enumerate(needed.keys)
                for column in key
            )
        return ((3,),)

    def _column(self, table: str, name: str) -> tuple[Any, ...]:
        column = TABLES[table].columns[name]
        kind = self.changed.get((table, name), column.type).lower()
        if self._display_widths and "int" in kind:
            kind = kind.replace("int", "int(20)")
        extra = "auto_increment" if "AUTO_INCREMENT" in column.rest else ""
        default = "x" if "DEFAULT" in column.rest else None
        text = "ascii" if column.ascii else "utf8mb4"
        null = "YES" if column.rest == "NULL" else "NO"
        return table, name, kind, null, default, extra, text if "text" in kind or "char" in kind else None


def refusal(server: Server) -> str:
    with pytest.raises(StoreUnavailableError) as caught:
        tables.require(server, "obs", "the command")
    return str(caught.value)


@pytest.mark.parametrize("display_widths", [False, True])
def test_the_tables_of_the_migrations_are_taken(display_widths: bool) -> None:
    tables.require(Server(display_widths=display_widths), "obs", "the command")


@pytest.mark.parametrize(
    ("table", "column", "kind", "taken"),
    [
        ("access_log", "vhost", "VARCHAR(255)", True),
        ("access_log", "vhost", "VARCHAR(256)", True),
        ("access_log", "vhost", "VARCHAR(254)", False),
        ("access_log", "vhost", "CHAR(255)", False),
        ("access_log", "vhost", "TINYTEXT", False),
        ("access_log", "vhost", "TEXT", True),
        ("access_log", "uri", "TINYTEXT", False),
        ("access_log", "uri", "MEDIUMTEXT", True),
        ("access_log", "uri", "VARCHAR(16000)", False),
        ("access_log", "uri", "BLOB", False),
        ("access_log", "log_format", "TINYTEXT", True),
        ("access_log", "status", "SMALLINT", True),
        ("access_log", "status", "TINYINT UNSIGNED", False),
        ("access_log", "status", "VARCHAR(9)", False),
        ("access_log", "bytes", "BIGINT", True),
        ("access_log", "bytes", "INT UNSIGNED", False),
        ("access_log", "source_id", "MEDIUMINT UNSIGNED", False),
        ("access_log", "source_id", "BIGINT", True),
        ("access_log", "request_time", "DECIMAL(12,3)", False),
        ("access_log", "request_time", "DECIMAL(13,2)", False),
        ("access_log", "request_time", "DECIMAL(13,4)", False),
        ("access_log", "request_time", "DECIMAL(14,4)", True),
        ("access_log", "request_time", "FLOAT", False),
        ("access_log", "ts", "DATETIME", False),
        ("access_log", "ts", "DATETIME(6)", True),
        ("access_log", "ts", "TIMESTAMP(3)", False),
        ("access_log", "line_id", "BINARY(20)", False),
        ("access_log", "line_id", "VARBINARY(16)", False),
        ("quarantine", "value", "MEDIUMBLOB", False),
        ("quarantine", "revision", "VARCHAR(16)", True),
    ],
)
def test_a_column_takes_what_is_written_or_is_named(table: str, column: str, kind: str, taken: bool) -> None:
    server = Server()
    server.changed[table, column] = kind
    if taken:
        tables.require(server, "obs", "the command")
    else:
        needed = TABLES[table].columns[column].definition
        assert f"the table {table}: the column {column} is {kind}, but {needed} is needed" in refusal(server)


def test_a_view_in_a_tables_place_is_named() -> None:
    server = Server()
    server.engines["access_log"] = None
    assert refusal(server) == "the table access_log cannot be used: the comment"


def test_a_table_that_another_process_changes_is_looked_at_again_afterwards() -> None:
    server = Server()
    server.in_change = {"error_log"}
    tables.require(server, "obs", "the command")


def test_a_table_that_another_process_changes_for_long_is_named_with_that() -> None:
    server = Server()
    server.in_change, server.waited = {"error_log"}, False
    said = refusal(server)
    assert "the table error_log: the unique key (ts, line_id) is missing" in said
    assert "another process has been changing partitions for 2 s, so this may not be true" in said


def test_the_names_engine_may_be_written_in_any_case() -> None:
    server = Server()
    server.engines = dict.fromkeys(TABLES, "innodb")
    tables.require(server, "obs", "the command")
