"""health's question to a real database: the same whether it has rows, has none, or refuses."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from obsctl.checks.ask.database import ask, probe
from obsctl.checks.logs.collect import with_rows
from obsctl.checks.logs.follow import rows_of
from obsctl.checks.logs.snapshot import HostLogs, LineSeen, Sample
from obsctl.fleet.model import Database, Fleet
from rig.database import MariaDB

_TABLES = (
    "CREATE TABLE log_source (next_offset BIGINT, updated_at DATETIME)",
    "CREATE TABLE quarantine (stored_at DATETIME(3), host VARCHAR(64) DEFAULT '')",
    "CREATE TABLE access_log (ts DATETIME(3), host VARCHAR(64), user_agent TEXT, uri TEXT DEFAULT '')",
)


_LINE = "INSERT INTO access_log VALUES ('2027-01-15 08:00:00.125', 'node1', 'curl', '/obscraft-verify/1')"


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
    assert seen.traffic_s is None


def test_a_store_with_rows(fleet: Fleet, mariadb: MariaDB) -> None:
    with mariadb.root("probed") as cursor:
        cursor.execute("INSERT INTO log_source VALUES (1, UTC_TIMESTAMP() - INTERVAL 90 SECOND)")
        cursor.execute("INSERT INTO quarantine (stored_at) VALUES (UTC_TIMESTAMP())")
        cursor.execute(
            "INSERT INTO access_log (ts, host, user_agent) VALUES "
            "(UTC_TIMESTAMP() - INTERVAL 40 SECOND, 'node1', 'curl/8'), "
            "(UTC_TIMESTAMP() - INTERVAL 50 SECOND, 'node2', 'curl/8'), (UTC_TIMESTAMP(), 'node3', 'obsctl')"
        )
    seen = probe(fleet)
    # The newest one is obsctl's own request.
    assert seen.traffic_host == "node1"
    assert seen.traffic_s is not None
    assert 40 <= seen.traffic_s < 50
    assert seen.behind_s is not None
    assert 90 <= seen.behind_s < 100
    assert seen.quarantined_last_day == 1
    assert seen.losses is None, "tables of before that column"


def test_a_wrong_password_is_the_databases_word(fleet: Fleet, tmp_path: Path) -> None:
    (tmp_path / "password").write_text("another\n")
    seen = probe(fleet)
    assert seen.asked
    assert "Access denied" in seen.failure


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ("ALTER USER prober PASSWORD EXPIRE", "password has expired"),
        ("ALTER USER prober WITH MAX_CONNECTIONS_PER_HOUR 1", "limit of its account"),
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


def test_whether_a_line_has_its_row(fleet: Fleet, mariadb: MariaDB) -> None:
    """Asked by moment and host, to the millisecond; the clock of the line is the one that counts."""
    at = 1_800_000_000.125
    with mariadb.root("probed") as cursor:
        cursor.execute(
            "INSERT INTO access_log VALUES ('2027-01-15 08:00:00.125', 'node1', 'curl', '/obscraft-verify/1')"
        )
        cursor.execute("INSERT INTO quarantine VALUES ('2027-01-15 08:00:01', 'node3')")

    def host(name: str, moment: float) -> HostLogs:
        return HostLogs(name=name, first=Sample(newest_line=moment))

    hosts = [host("node1", at), host("node1", at + 0.001), host("node2", at), host("node3", at)]
    assert [one.newest_stored for one in with_rows(fleet, hosts).hosts] == [True, False, False, True]


def test_a_line_that_may_be_among_those_lost_is_not_known(fleet: Fleet, mariadb: MariaDB) -> None:
    """Records that expired unread have no row and never will: the loss is the finding, not the missing row."""
    at = 1_800_000_000.125
    with mariadb.root("probed") as cursor:
        cursor.execute(
            "ALTER TABLE log_source ADD topic VARCHAR(64) DEFAULT 'nginxlog', ADD partition_id INT DEFAULT 0, "
            "ADD missing_offsets BIGINT DEFAULT 0, ADD missing_at DATETIME(3)"
        )
        cursor.execute("INSERT INTO log_source (missing_offsets, missing_at) VALUES (3, '2027-01-15 08:00:05')")
    hosts = [
        HostLogs(name=name, first=Sample(newest_line=moment)) for name, moment in (("node1", at), ("node2", at + 10))
    ]
    assert [one.newest_stored for one in with_rows(fleet, hosts).hosts] == [None, False]


def test_which_requests_have_rows(fleet: Fleet, mariadb: MariaDB) -> None:
    with mariadb.root("probed") as cursor:
        cursor.execute(
            "INSERT INTO access_log VALUES ('2027-01-15 08:00:00.125', 'node1', 'curl', '/obscraft-verify/1')"
        )
    known = LineSeen(id="1", sent=1_800_000_000.0, written=1_800_000_000.125)
    for lines in ([known, LineSeen(id="2", sent=1.0, written=2.0)], [LineSeen(id="1", sent=known.sent)]):
        assert ask(fleet, partial(rows_of, lines=lines)) == {"/obscraft-verify/1"}
