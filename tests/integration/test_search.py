"""Searches of a real table: the same lines as the filter itself selects, newest first, page after page."""

from __future__ import annotations

import datetime
import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pymysql
import pytest

from obsctl.checks.ask.database import ask
from obsctl.fleet.model import Database, Fleet
from obsctl.lines.formats.line import AccessLine
from obsctl.query import values
from obsctl.query.fields import ACCESS
from obsctl.query.parse import parse
from obsctl.query.predicate import compile_predicate
from obsctl.query.sql import Sql
from obsctl.search.question import Question, question
from obsctl.search.run import Found, search
from obsctl.search.windows import Windows
from obsctl.store.mysql import rows
from rig.database import MariaDB, make_schema
from rig.waiting import wait_for

DATABASE = "obs_search"
NOW = datetime.datetime(2026, 3, 10, 12, tzinfo=datetime.UTC)
WEEK = datetime.timedelta(days=7)


def _lines() -> list[AccessLine]:
    """Some thousand lines of three days, several of which have the same time; the last ones are of the future."""
    begin = NOW - datetime.timedelta(days=3)
    return [
        AccessLine(
            values.stored(begin + datetime.timedelta(seconds=number // 3 * 260)),
            f"10.0.{number % 7}.{number % 250}", 500 if number % 11 == 0 else 200, number,
            uri=f"/item/{number}", log_format="json", line_id=(number * 7919 % 2**32).to_bytes(16, "big"),
        )
        for number in range(3010)
    ]  # fmt: skip


@pytest.fixture(scope="module")
def cursor(mariadb: MariaDB) -> Iterator[pymysql.cursors.Cursor]:
    with mariadb.root() as cursor:
        make_schema(cursor, DATABASE)
        cursor.execute(rows.SESSION)
        before, after = rows.INSERT_ACCESS
        cursor.execute(before + b",".join(rows.line_rows(_lines())) + after)
        cursor.execute("COMMIT")
        yield cursor
        cursor.execute(f"DROP DATABASE {DATABASE}")


def _expected(text: str) -> list[str]:
    fits = compile_predicate(parse(text, ACCESS), ACCESS, lambda: NOW)
    return [line.uri for line in sorted(_lines(), key=lambda line: (line.ts, line.line_id), reverse=True) if fits(line)]


def _uris(asked: Question, parts: list[Found]) -> list[str]:
    place = asked.fields.index("uri")
    return [line[place] for part in parts for line in part.lines]


@pytest.mark.parametrize("text", ["*", "status:500", r"uri:\/item\/299* OR client_addr:10.0.6.0\/24", "uri:nowhere"])
def test_it_finds_what_fits_newest_first(cursor: pymysql.cursors.Cursor, text: str) -> None:
    asked = question(parse(text, ACCESS), ACCESS, NOW)
    parts = list(search(cursor, asked, Windows(NOW - WEEK, None, NOW), limit=10_000, seconds=30))
    assert _uris(asked, parts) == _expected(text)
    assert [part.whole for part in parts] == [False] * (len(parts) - 1) + [True]


def test_pages_follow_each_other_without_a_gap(cursor: pymysql.cursors.Cursor) -> None:
    asked = question(parse("*", ACCESS), ACCESS, NOW)
    found, before = [], None
    while parts := list(search(cursor, asked, Windows(NOW - WEEK, None, NOW), limit=250, seconds=30, before=before)):
        found += _uris(asked, parts)
        last = [part.last for part in parts if part.last]
        if not last:
            break
        before = last[-1]
    assert found == _expected("*")


def test_lines_of_the_time_alone(cursor: pymysql.cursors.Cursor) -> None:
    asked = question(parse("*", ACCESS), ACCESS, NOW)
    since, until = NOW - datetime.timedelta(days=2), NOW - datetime.timedelta(days=1)
    parts = list(search(cursor, asked, Windows(since, until, NOW), limit=10_000, seconds=30))
    times = [line[asked.fields.index("ts")] for part in parts for line in part.lines]
    wanted = [line.ts for line in _lines() if "2026-03-08 12:00:00.000" <= line.ts < "2026-03-09 12:00:00.000"]
    assert [time.isoformat(" ", "milliseconds") for time in times] == sorted(wanted, reverse=True)


def test_a_search_that_takes_too_long_says_how_far_it_came(cursor: pymysql.cursors.Cursor) -> None:
    asked = Question(ACCESS, Sql("(SLEEP(0.01) = 0)", ()))
    windows = Windows(NOW - WEEK, None, NOW)
    parts = list(search(cursor, asked, windows, limit=10_000, seconds=2))
    assert parts
    assert not parts[-1].whole
    assert NOW - WEEK < windows.reached == parts[-1].reached
    assert 0 < len(_uris(asked, parts)) < len(_lines())


def test_ctrl_c_ends_the_statement_on_the_server(
    mariadb: MariaDB, cursor: pymysql.cursors.Cursor, tmp_path: Path
) -> None:
    # A shell starts what runs in its background with SIGINT ignored.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    (tmp_path / "password").write_text("reader-4711\n")
    cursor.execute("CREATE USER searcher IDENTIFIED BY 'reader-4711'")
    cursor.execute(f"GRANT SELECT ON {DATABASE}.* TO searcher")
    database = Database(
        host="127.0.0.1",
        port=mariadb.port,
        name=DATABASE,
        reader_user="searcher",
        reader_password=f"file:{tmp_path}/password",
    )

    def running() -> bool:
        cursor.execute("SELECT COUNT(*) FROM information_schema.processlist WHERE info LIKE 'SELECT SLEEP(30)%'")
        return bool(cursor.fetchone()[0])  # type: ignore[index]

    def interrupt() -> None:
        with mariadb.root() as other:
            wait_for(
                "the statement", lambda: other.execute("SHOW FULL PROCESSLIST") and "SLEEP(30)" in str(other.fetchall())
            )
        os.kill(os.getpid(), signal.SIGINT)

    try:
        thread = threading.Thread(target=interrupt)
        thread.start()
        with pytest.raises(KeyboardInterrupt):
            ask(Fleet(database=database), lambda own: own.execute("SELECT SLEEP(30)"), deadline_s=40)
        thread.join()
        wait_for("the statement's end", lambda: not running(), seconds=10)
    finally:
        signal.signal(signal.SIGINT, before)
        cursor.execute("DROP USER searcher")
