"""A column of the log tables: the type of the field, the migrations and the statements agree on it.

A new column is a migration, a field of AccessLine or ErrorLine with its line in the docstring, and the parsers that
fill it; the pages are written from the fields (tests/contract/lines/test_one_description.py). Each test names the
column that was forgotten in one of these places.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import msgspec
import pytest

from obsctl.lines.formats import nginx_json
from obsctl.lines.formats.line import AccessLine, ErrorLine, Keep, Line, Width, fit, widths
from obsctl.store.mysql import rows, schema

TABLES: dict[str, type[Line]] = {"access_log": AccessLine, "error_log": ErrorLine}
#: Filled in by the server.
OF_THE_SERVER = {"stored_at"}
#: Which fields of the JSON line fill which columns under another name.
RENAMED = {"client_addr": "remote_addr", "vhost": "host"}
#: Columns that no field of the JSON line fills by itself.
DERIVED = {"ts", "proxy_addr", "cut_fields", "log_format", "host", "source_id", "kafka_offset", "line_id"}

COLUMNS = [(table, name) for table, line in TABLES.items() for name in line.__struct_fields__]


@pytest.fixture(scope="module")
def migrations(project: Path) -> str:
    return "\n".join(p.read_text() for p in sorted((project / "roles/mysql/files/migrations").glob("*.sql")))


def definitions(migrations: str, table: str) -> dict[str, str]:
    """Return the definition of each column, as all migrations together leave the table."""
    body = re.search(rf"CREATE TABLE IF NOT EXISTS {table} \((.+?)\n\)", migrations, re.DOTALL)
    assert body is not None
    found = dict(re.findall(r"(?m)^  ([a-z_0-9]+) ([A-Z].+?),?$", body[1]))
    # A change stands in a text of its own, in which each quote is written twice.
    for change in re.findall(rf"'ALTER TABLE {table}\n((?:[^']|'')+)'\)", migrations):
        added = r"ADD COLUMN (\w+) (.+?)(?: AFTER \w+)?(?:,\n|\Z)"
        found |= dict(re.findall(added, change.replace("''", "'"), re.DOTALL))
    return found


def types(migrations: str, table: str) -> dict[str, str]:
    """Return the declared type of each column, as all migrations together leave the table."""
    body = re.search(rf"CREATE TABLE IF NOT EXISTS {table} \((.+?)\n\)", migrations, re.DOTALL)
    assert body is not None
    found = dict(re.findall(r"(?m)^  ([a-z_]+) ([A-Z]+(?:\([0-9,]+\))?)", body[1]))
    for change in re.findall(rf"ALTER TABLE {table}\n(.+?)\n  FROM", migrations, re.DOTALL):
        found |= dict(re.findall(r"ADD COLUMN (\w+) ([A-Z]+(?:\([0-9,]+\))?)", change))
    return found


@pytest.mark.parametrize("table", TABLES)
def test_every_column_is_a_field_and_every_field_a_column(migrations: str, table: str) -> None:
    columns, fields = set(types(migrations, table)) - OF_THE_SERVER, set(TABLES[table].__struct_fields__)
    assert columns - fields == set(), "columns without a field in formats/line.py"
    assert fields - columns == set(), "fields without a column in roles/mysql/files/migrations"


@pytest.mark.parametrize("table", schema.TABLES)
def test_a_start_asks_for_what_the_migrations_make(migrations: str, table: str) -> None:
    """Else a consumer starts on a schema without the column, and each of its batches is refused."""
    found, asked = definitions(migrations, table), schema.TABLES[table].columns
    for name in found | asked:
        assert name in asked, (
            f"no field in src/obsctl/lines/formats/line.py (or {schema.__name__}) fills {table}.{name}"
        )
        assert name in found, f"roles/mysql/files/migrations make no {table}.{name}"
        assert found[name] == asked[name].definition, f"{table}.{name}: migrations, and the type of its field"


@pytest.mark.parametrize("table", schema.TABLES)
def test_a_start_asks_for_the_keys_that_the_migrations_make(migrations: str, table: str) -> None:
    body = re.search(rf"CREATE TABLE IF NOT EXISTS {table} \((.+?)\n\)", migrations, re.DOTALL)
    assert body is not None
    keys = dict(re.findall(r"(?m)^  (PRIMARY KEY|UNIQUE KEY \w+) \((.+)\)", body[1]))
    for change in re.findall(rf"'ALTER TABLE {table}\n((?:[^']|'')+)'\)", migrations):
        keys |= dict(re.findall(r"ADD (UNIQUE KEY \w+) \((.+)\)", change))
    assert [tuple(columns.split(", ")) for columns in keys.values()] == list(schema.TABLES[table].keys)


@pytest.mark.parametrize(("table", "name"), COLUMNS)
def test_the_fields_type_says_what_its_column_takes(migrations: str, table: str, name: str) -> None:
    declared, width = types(migrations, table)[name], widths(TABLES[table]).get(name)
    if match := re.fullmatch(r"VARCHAR\((\d+)\)", declared):
        # Those without a width are never longer: made by us, or by the pattern that read them.
        assert width is None or (width.characters, width.bytes) == (int(match[1]), 0), f"{name} is {declared}"
        assert width is not None or name in {"log_format", "host", "cut_fields", "level"}, f"{name} has no width"
    elif declared in {"TEXT", "MEDIUMTEXT"}:
        limit = {"TEXT": 2**16, "MEDIUMTEXT": 2**24}[declared] - 1
        assert width is not None, f"{name} has no width"
        assert width.bytes == limit, f"{name} is {declared}"
        assert width.characters * 4 <= limit
    else:
        assert width is None, f"{name} is {declared}"


def sample(line: type[Line]) -> Line:
    """Return a line whose every field holds another value: its own name, or its place."""
    made: dict[str, Any] = {
        name: name if isinstance(getattr(line("", "", 0, 0, ""), name), str) else place  # type: ignore[arg-type]
        for place, name in enumerate(line.__struct_fields__, 100)
    }
    return line(**made | {"ts": "2026-01-02 03:04:05.678", "line_id": b"0123456789abcdef"})


@pytest.mark.parametrize("table", TABLES)
def test_each_value_stands_where_the_statements_name_its_column(table: str) -> None:
    line = sample(TABLES[table])
    (array,) = json.loads("[" + rows.arrays([line]).decode().strip() + "]")
    statements = {"access_log": [rows.INSERT_ACCESS[0], rows.LOAD_ACCESS], "error_log": [rows.INSERT_ERROR[0]]}[table]
    for statement in statements:
        listed = re.findall(r"\(([a-z_,@]+)\)", statement.decode())
        names = max(listed, key=len).replace("@", "").split(",")
        assert names[-1] == "line_id", "the identity comes last: line_rows() cuts it off the end"
        for name, value in zip(names[:-1], array[:-1], strict=True):
            assert value == getattr(line, name), f"{name} does not stand in its place"


@pytest.mark.parametrize("name", [name for name in AccessLine.__struct_fields__ if name not in DERIVED])
@pytest.mark.parametrize("way", ["usual", "unusual"])
def test_a_field_of_the_json_line_fills_its_own_column(name: str, way: str) -> None:
    """The usual way hands 23 values over by position; the other one reads numbers written as texts."""
    number = not isinstance(getattr(AccessLine("", "", 0, 0), name), str)
    value: object = 7 if number else "192.0.2.7"
    line = {"remote_addr": "203.0.113.9", "status": 200, "msec": 1767319445.5} | {RENAMED.get(name, name): value}
    usual = nginx_json.parse(json.dumps(line))
    if way == "unusual":
        line = {key: str(value) for key, value in line.items()}
    found = msgspec.structs.asdict(nginx_json.parse(json.dumps(line)))
    assert found[name] == value
    plain = msgspec.structs.asdict(nginx_json.parse('{"remote_addr":"203.0.113.9","status":200,"msec":1767319445.5}'))
    assert {key for key in found if found[key] != plain[key]} == {name}
    assert found == msgspec.structs.asdict(usual)


@pytest.mark.parametrize(("table", "name"), [(t, n) for t, line in TABLES.items() for n in widths(line)])
@pytest.mark.parametrize("character", ["x", "é", "中", "😀"])
def test_a_text_is_cut_to_its_column_and_named(table: str, name: str, character: str) -> None:
    line, width = sample(TABLES[table]), widths(TABLES[table])[name]
    fitting = character * (width.bytes // len(character.encode()) if width.bytes else width.characters)
    line.cut_fields = ""
    setattr(line, name, fitting)
    fit_texts(line)
    assert getattr(line, name) == fitting
    assert line.cut_fields == ""
    setattr(line, name, fitting + character)
    fit_texts(line)
    assert getattr(line, name) == fitting
    assert line.cut_fields == name


def fit_texts(line: Line) -> None:
    if isinstance(line, AccessLine):
        line.status = 200
    fit(line)


@pytest.mark.parametrize("table", TABLES)
def test_the_names_of_all_fields_together_fit_their_column(migrations: str, table: str) -> None:
    assert types(migrations, table)["cut_fields"] == "VARCHAR(255)"
    assert len(",".join(widths(TABLES[table]))) <= 255


@pytest.mark.parametrize("limit", range(1, 30))
@pytest.mark.parametrize("in_bytes", [False, True])
def test_of_a_list_whole_entries_are_kept(limit: int, in_bytes: bool) -> None:
    entries = ["10.0.0.1", "10.0.0.22", "-", "10.0.0.3"]
    text = ", ".join(entries)
    first, last = (Width(limit, limit if in_bytes else 0, keep).cut(text) for keep in Keep)
    assert len(first) <= limit
    assert len(last) <= limit
    if limit >= len(entries[0]) + 2:
        assert first.split(", ") == entries[: first.count(",") + 1]
    if limit >= len(entries[-1]) + 2:
        assert last.split(", ") == entries[-last.count(",") - 1 :]
