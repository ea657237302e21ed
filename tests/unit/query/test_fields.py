"""The fields of a filter are those of the lines."""

from __future__ import annotations

import msgspec
import pytest

from obsctl.lines.formats.line import ABSENT, AccessLine, ErrorLine, Line
from obsctl.query.fields import ACCESS, ERROR, LEVELS, TABLES, Kind, Table
from obsctl.query.parse import parse
from obsctl.query.predicate import compile_predicate
from obsctl.query.sql import to_sql
from obsctl.query.tree import Exists

PLACES = {"source_id", "kafka_offset", "line_id"}
EMPTY: dict[str, Line] = {
    "access_log": AccessLine("2026-01-02 03:04:05.678", "10.0.0.1", 200, 0),
    "error_log": ErrorLine("2026-01-02 03:04:05.678", "error", 1, 1, "m"),
}
FIELDS = [(table, name) for table in TABLES for name in table.fields]


@pytest.mark.parametrize(("table", "line"), [(ACCESS, AccessLine), (ERROR, ErrorLine)])
def test_every_field_of_a_line_but_its_place_can_be_asked_for(table: Table, line: type[Line]) -> None:
    assert set(line.__struct_fields__) - set(table.fields) == PLACES
    assert set(table.fields) <= set(line.__struct_fields__)


@pytest.mark.parametrize(("table", "name"), FIELDS)
def test_a_field_is_absent_where_its_line_may_lack_the_number(table: Table, name: str) -> None:
    field = table.fields[name]
    default = getattr(EMPTY[table.name], name)
    assert field.absent is (default is ABSENT)
    assert isinstance(default, str) or field.kind in {Kind.INTEGER, Kind.DECIMAL}


@pytest.mark.parametrize(("table", "name"), FIELDS)
def test_whether_a_field_exists_is_answered_by_both_translations(table: Table, name: str) -> None:
    line = msgspec.structs.replace(EMPTY[table.name])
    exists = parse(f"{name}:*", table)
    assert exists == Exists(name)
    value = getattr(line, name)
    assert compile_predicate(exists, table)(line) is (value != "" and value is not ABSENT)
    assert f"`{name}`" in to_sql(exists, table).text


def test_the_kinds_are_what_people_expect() -> None:
    kinds = {name: (field.kind, field.many) for name, field in (ERROR.fields | ACCESS.fields).items()}
    assert {name for name, (kind, _) in kinds.items() if kind is Kind.ADDRESS} == {"client_addr", "proxy_addr"}
    assert {name for name, (_, many) in kinds.items() if many} == {
        "cut_fields", "upstream_addr", "upstream_connect_time", "upstream_response_time", "upstream_status",
        "x_forwarded_for",
    }  # fmt: skip
    assert kinds["status"] == kinds["bytes"] == kinds["pid"] == (Kind.INTEGER, False)
    assert kinds["request_time"] == (Kind.DECIMAL, False)
    assert kinds["ts"] == (Kind.TIME, False)
    assert kinds["level"] == (Kind.LEVEL, False)
    assert kinds["uri"] == kinds["message"] == (Kind.TEXT, False)


def test_the_levels_are_nginxs_in_its_order() -> None:
    assert LEVELS == ("debug", "info", "notice", "warn", "error", "crit", "alert", "emerg")
