"""health's question to a real database: the same whether it has rows, has none, or refuses."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from obsctl.checks.ask.database import probe
from obsctl.fleet.model import Database, Fleet
from rig.database import MariaDB

_TABLES = (
    "CREATE TABLE log_source (next_offset BIGINT, updated_at DATETIME)",
    "CREATE TABLE quarantine (stored_at DATETIME)",
)


@pytest.fixture
def fleet(mariadb: MariaDB, tmp_path: Path) -> Iterator[Fleet]:
    (tmp_path / "password").write_text("reader-4711\n")
    with mariadb.root() as cursor:
        cursor.execute("CREATE DATABASE probed")
        cursor.execute("CREATE USER prober IDENTIFIED BY 'reader-4711'")
        cursor.execute("GRANT SELECT ON probed.* TO prober")
    with mariadb.root("probed") as cursor:
        for table in _TABLES:
            cursor.execute(table)
    yield Fleet(
        database=Database(
            host="127.0.0.1",
            port=mariadb.port,
            name="probed",
            reader_user="prober",
            reader_password=f"file:{tmp_path}/password",
        )
    )
    with mariadb.root() as cursor:
        cursor.execute("DROP USER prober")
        cursor.execute("DROP DATABASE probed")


def test_an_empty_store(fleet: Fleet) -> None:
    seen = probe(fleet)
    assert (seen.asked, seen.failure, seen.behind_s, seen.quarantined_last_day) == (True, "", None, 0)
    assert "MariaDB" in seen.version


def test_a_store_with_rows(fleet: Fleet, mariadb: MariaDB) -> None:
    with mariadb.root("probed") as cursor:
        cursor.execute("INSERT INTO log_source VALUES (1, UTC_TIMESTAMP() - INTERVAL 90 SECOND)")
        cursor.execute("INSERT INTO quarantine VALUES (UTC_TIMESTAMP())")
    seen = probe(fleet)
    assert seen.behind_s is not None
    assert 90 <= seen.behind_s < 100
    assert seen.quarantined_last_day == 1


def test_a_wrong_password_is_the_databases_word(fleet: Fleet, tmp_path: Path) -> None:
    (tmp_path / "password").write_text("another\n")
    seen = probe(fleet)
    assert seen.asked
    assert "Access denied" in seen.failure


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ("ALTER USER prober PASSWORD EXPIRE", "password has expired"),
        ("ALTER USER prober WITH MAX_CONNECTIONS_PER_HOUR 1", "limit of its own account"),
    ],
)
def test_a_refusal_comes_with_what_can_be_done(fleet: Fleet, mariadb: MariaDB, change: str, named: str) -> None:
    with mariadb.root() as cursor:
        cursor.execute(change)
    probe(fleet)  # an account's limit counts this one
    seen = probe(fleet)
    assert seen.failure
    assert named in seen.hint
    statements = [sql for found in re.findall(r"mysql -e '([^']+)'", seen.hint) for sql in found.split(";")]
    assert statements
    with mariadb.root() as cursor:
        for statement in statements:
            assert cursor.execute(statement) is not None
