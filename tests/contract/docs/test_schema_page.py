"""docs/reference/schema.md says what the migrations make and the consumer declares."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
import yaml

from obsctl.console import privileges as console
from obsctl.store import rollup
from obsctl.store.mysql import day_partitions, rows, schema


def test_the_page_names_every_table_and_column(project: Path) -> None:
    page = (project / "docs" / "reference" / "schema.md").read_text()
    migrations = "".join(p.read_text() for p in sorted((project / "roles/mysql/files/migrations").glob("*.sql")))
    tables = re.findall(r"CREATE TABLE IF NOT EXISTS (\w+)", migrations)
    of_console = {table for table in console.PRIVILEGES if table.startswith("console_")}
    assert sorted([*tables, "schema_migrations"]) == sorted({*schema.PRIVILEGES, *of_console})
    columns = set(re.findall(r"(?m)^  ([a-z_]+) [A-Z]", migrations))
    columns |= set(re.findall(r"(?m)^  ADD COLUMN (\w+) ", migrations))
    columns -= {"lat_10", "lat_25", "lat_50", "lat_100", "lat_250", "lat_500", "lat_1000", "lat_2500", "created_at"}
    assert [name for name in sorted({*tables, *columns}) if f"`{name}`" not in page] == []


@pytest.mark.parametrize(
    ("heading", "privileges_of"),
    [
        ("privileges", schema.PRIVILEGES),
        ("privileges of the console", console.PRIVILEGES),
        ("privileges of the replay", console.REPLAY_PRIVILEGES),
    ],
)
def test_the_page_names_every_privilege(
    project: Path, heading: str, privileges_of: Mapping[str, Sequence[str]]
) -> None:
    page = (project / "docs" / "reference" / "schema.md").read_text()
    (listed,) = re.findall(rf"(?m)^\| table \| {heading} \|\n\|---\|---\|\n((?:\|.*\n)+)", page)
    found = {
        table: set(privileges.split(", "))
        for tables, privileges in re.findall(r"(?m)^\| (`[^|]+`) \| ([A-Z, ]+) \|$", listed)
        for table in re.findall(r"`(\w+)`", tables)
    }
    assert found == {table: set(privileges) for table, privileges in privileges_of.items()}


def test_the_role_grants_what_the_console_needs(project: Path) -> None:
    role = yaml.safe_load((project / "roles/mysql/defaults/main.yml").read_text())
    assert role["mysql_console_privileges"] == {table: list(given) for table, given in console.PRIVILEGES.items()}
    assert role["mysql_replay_privileges"] == {table: list(given) for table, given in console.REPLAY_PRIVILEGES.items()}


def test_the_reader_sees_the_lines_and_nothing_of_the_console(project: Path) -> None:
    role = yaml.safe_load((project / "roles/mysql/defaults/main.yml").read_text())
    assert role["mysql_reader_privileges"] == {table: ["SELECT"] for table in schema.PRIVILEGES}


def test_the_buckets_of_the_code_are_the_columns(project: Path) -> None:
    text = "".join(p.read_text() for p in sorted((project / "roles/mysql/files/migrations").glob("*.sql")))
    buckets = [*(f"lat_{bound}" for bound in rollup.LATENCY_BOUNDS_MS), "lat_more"]
    assert re.findall(r"(?m)^  (lat_\w+) BIGINT", text) == buckets * 2
    assert re.findall(r"(?m)^PARTITION BY RANGE COLUMNS \((\w+)\)", text) == list(day_partitions.TABLES.values())


def test_migrations_are_portable(project: Path) -> None:
    """What either above or below servers refuses, or means otherwise: see facts in the page's first paragraph."""
    for path in (project / "roles/mysql/files/migrations").glob("*.sql"):
        statements = re.sub(r"(?m)--.*$", "", path.read_text()).upper()
        for word in (
            "FULLTEXT",
            "COLUMN IF NOT EXISTS",
            "INDEX IF NOT EXISTS",
            "UTF8MB4_0900",
            "RETURNING",
            "JSON",
            "ENGINE=ARIA",
            "DELIMITER",
        ):
            assert word not in statements, f"{path.name}: {word}"
        assert statements.count("CREATE TABLE") == statements.count("COLLATE UTF8MB4_BIN")
        for table in re.findall(r"CREATE TABLE.+?;", statements, re.DOTALL):
            if "PARTITION BY" in table:  # error 1503: every unique key must hold the partition's column
                column = re.search(r"RANGE COLUMNS \((\w+)\)", table)[1]
                for key in re.findall(r"(?:PRIMARY|UNIQUE) KEY[^(]*\(([^)]+)\)", table):
                    assert column in re.split(r",\s*", key)


def test_statements_name_columns_that_exist(project: Path) -> None:
    migrations = "".join(p.read_text() for p in sorted((project / "roles/mysql/files/migrations").glob("*.sql")))
    # Those of the log tables: tests/unit/store/test_columns.py.
    for head, _ in (rows.INSERT_QUARANTINE, rows.INSERT_MINUTES, rows.INSERT_HOURS):
        table, columns = re.match(r"INSERT INTO (\w+) \((.+)\) VALUES", head.decode()).groups()
        body = re.search(rf"CREATE TABLE IF NOT EXISTS {table} \((.+?)\n\)", migrations, re.DOTALL)[1]
        assert set(columns.split(",")) <= set(re.findall(r"(?m)^  (\w+) [A-Z]", body))
