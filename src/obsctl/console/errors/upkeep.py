"""Maintains the groups of errors: counts a minute of a log again when its number of errors has changed.

Lines may arrive late, so neither their time nor their identity shows which are new. But the number of errors of each
minute does, and it is cheap: the roll-ups have the exact number of failed requests, and the error log is short enough
to be counted. If that number differs from the one counted before, the minute's lines are read and its rows are
replaced, in one transaction. So a line is never counted twice, late lines are included, and lines that retention has
dropped disappear.

Each run compares the last hour and some of the older hours, which are taken in turn from the newest to the oldest, and
then again from the newest.
"""

from __future__ import annotations

import datetime
import logging
import threading
import time
from collections import Counter
from collections.abc import Iterable
from typing import Any, NamedTuple

import pymysql

from obsctl.console.database import DatabaseAwayError, Pool
from obsctl.console.errors.fingerprint import (
    LEAST_STATUS,
    LEVELS_OF_ERRORS,
    LONGEST,
    MASK,
    Fingerprint,
    fingerprint,
    path_of,
)
from obsctl.query.fields import ACCESS, ERROR
from obsctl.store.mysql.time_limit import TOO_LONG, bound_of

LOG = logging.getLogger("obsctl.console.errors")

EVERY_S = 60.0
#: A run does not begin more work on a log after this time, and compares at most this many of its older hours.
_LOG_S = 5.0
_HOURS = 24
_STATEMENT_S = 10.0
#: How many lines are read at once.
_PAGE = 5000
#: The most groups of one minute, and of all time; errors beyond that are counted in one group without text.
MOST_A_MINUTE, MOST = 200, 10_000
_HOUR = datetime.timedelta(hours=1)
_MINUTE = datetime.timedelta(minutes=1)
#: Later than any line.
_NEVER = "9999-12-31"

_LEVELS = ", ".join(f"'{level}'" for level in LEVELS_OF_ERRORS)


class Log(NamedTuple):
    """One of the two logs.

    Attributes:
        table: name of its table.
        numbers: statement for the number of errors of each minute in a time range.
        newest: statement for the newest minute before a moment that may have errors.
        lines: statement for a page of a minute's errors, as (ts, line_id, host, kind, text).
    """

    table: str
    numbers: str
    newest: str
    lines: str


def _lines(kind: str, text: str, table: str, condition: str) -> str:
    return (
        f"SELECT ts, line_id, host, {kind}, LEFT({text}, {LONGEST + 1}) FROM {table}"
        f" WHERE ts >= %s AND ts < %s AND (ts > %s OR line_id > %s) AND {condition}"
        f" ORDER BY ts, line_id LIMIT {_PAGE}"
    )


LOGS = (
    Log(
        ACCESS.name,
        "SELECT minute, SUM(requests) FROM rollup_minute WHERE minute >= %s AND minute < %s"
        f" AND status_class >= {LEAST_STATUS // 100} GROUP BY minute",
        "SELECT minute FROM rollup_minute WHERE minute < %s ORDER BY minute DESC LIMIT 1",
        _lines("TRIM(CONCAT(status, ' ', method))", "uri", ACCESS.name, f"status >= {LEAST_STATUS}"),
    ),
    Log(
        ERROR.name,
        "SELECT CAST(DATE_FORMAT(ts, '%%Y-%%m-%%d %%H:%%i:00') AS DATETIME) AS minute, COUNT(*) FROM error_log"
        f" WHERE ts >= %s AND ts < %s AND level IN ({_LEVELS}) GROUP BY minute",
        "SELECT ts FROM error_log WHERE ts < %s ORDER BY ts DESC LIMIT 1",
        _lines("level", "message", ERROR.name, f"level IN ({_LEVELS})"),
    ),
)


class Seen:
    """The errors of a group in one minute.

    Attributes:
        first, last: times of the first and the last line (UTC).
        line_id: identity of the last one.
    """

    __slots__ = ("first", "last", "line_id")

    def __init__(self, first: datetime.datetime) -> None:
        self.first = first
        self.last = first
        self.line_id = b""


class Keeper:
    """Runs the upkeep every minute in its own thread.

    Args:
        pool: of connections.
    """

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._ended = threading.Event()

    def start(self) -> None:
        """Start the thread, with a first run at once."""
        threading.Thread(target=self._work, name="errors", daemon=True).start()

    def stop(self) -> None:
        """Begin no further run."""
        self._ended.set()

    def _work(self) -> None:
        while not self._ended.is_set():
            try:
                run(self._pool, datetime.datetime.now(datetime.UTC))
            except DatabaseAwayError as error:
                LOG.warning("errors are not counted", extra={"error": str(error), "hint": error.hint})
            except Exception:
                LOG.exception("errors are not counted")
            self._ended.wait(EVERY_S)


def run(pool: Pool, now: datetime.datetime) -> int | None:
    """Do what is due and return how many minutes were counted; None if another console is doing it.

    Args:
        pool: of connections.
        now: the present moment (UTC).

    Raises:
        DatabaseAwayError: the database does not answer, or refuses.
    """
    with pool.own(_STATEMENT_S + 5) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT GET_LOCK(CONCAT(DATABASE(), '.console_errors'), 0)")
        if cursor.fetchone()[0] != 1:
            return None
        cursor.execute(bound_of(cursor)(_STATEMENT_S))
        recent = _hour_of(now.astimezone(datetime.UTC).replace(tzinfo=None)) - _HOUR
        counted = 0
        for log in LOGS:
            work = _Run(connection, cursor, log, time.monotonic() + _LOG_S)
            if work.compare(recent, _NEVER):
                work.go_round(recent)
            counted += work.counted
        return counted


class _Run:
    """One run over a log: its connection, its deadline, and how many minutes it has counted."""

    def __init__(self, connection: Any, cursor: Any, log: Log, ends: float) -> None:
        self._connection = connection
        self._cursor = cursor
        self._log = log
        self._ends = ends
        self.counted = 0

    def compare(self, begin: datetime.datetime, end: datetime.datetime | str) -> bool:
        """Count again the changed minutes of a time range; return whether the deadline allowed all of them."""
        try:
            there = self._numbers(self._log.numbers, begin, end)
        except pymysql.MySQLError as error:
            self._pass_over(error, begin)
            return True
        ours = self._numbers(
            "SELECT minute, SUM(line_count) FROM console_error_minute WHERE minute >= %s AND minute < %s"
            f" AND log_table = '{self._log.table}' GROUP BY minute",
            begin,
            end,
        )
        for minute in sorted((at for at in there | ours if there.get(at) != ours.get(at)), reverse=True):
            if time.monotonic() >= self._ends:
                return False
            try:
                self._count(minute)
            except pymysql.MySQLError as error:
                self._connection.rollback()
                self._pass_over(error, minute)
            self.counted += 1
        return True

    def go_round(self, recent: datetime.datetime) -> None:
        """Compare the next of the older hours."""
        cursor = self._cursor
        cursor.execute("SELECT reached FROM console_error_round WHERE log_table = %s", (self._log.table,))
        reached = min([recent, *(row[0] for row in cursor.fetchall())])
        for _ in range(_HOURS):
            newest = self._newest(reached)
            if newest is None:
                # All older hours have been compared: delete the groups that have no lines any more.
                cursor.execute(
                    "DELETE FROM console_error WHERE log_table = %s AND NOT EXISTS"
                    " (SELECT 1 FROM console_error_minute m WHERE m.error_id = console_error.error_id)",
                    (self._log.table,),
                )
                cursor.execute(
                    "INSERT INTO console_error_round (log_table, reached, rounds) VALUES (%s, %s, 1)"
                    " ON DUPLICATE KEY UPDATE reached = VALUES(reached), rounds = rounds + 1",
                    (self._log.table, _NEVER),
                )
                return
            begin = _hour_of(newest)
            if not self.compare(begin, min(begin + _HOUR, reached)):
                return
            reached = begin
            cursor.execute(
                "INSERT INTO console_error_round (log_table, reached) VALUES (%s, %s)"
                " ON DUPLICATE KEY UPDATE reached = VALUES(reached)",
                (self._log.table, reached),
            )

    def _numbers(self, statement: str, begin: datetime.datetime, end: datetime.datetime | str) -> dict[Any, int]:
        self._cursor.execute(statement, (begin, end))
        return {minute: int(number) for minute, number in self._cursor.fetchall()}

    def _newest(self, before: datetime.datetime) -> datetime.datetime | None:
        """Return the newest time before a given one for which there are lines or counted errors."""
        found: list[datetime.datetime] = []
        for statement in (
            self._log.newest,
            f"SELECT minute FROM console_error_minute WHERE log_table = '{self._log.table}' AND minute < %s"
            " ORDER BY minute DESC LIMIT 1",
        ):
            self._cursor.execute(statement, (before,))
            found += [row[0] for row in self._cursor.fetchall()]
        return max(found, default=None)

    def _count(self, minute: datetime.datetime) -> None:
        """Replace a minute's rows."""
        counts: Counter[tuple[Fingerprint, str]] = Counter()
        seen: dict[Fingerprint, Seen] = {}
        self._connection.begin()
        page: Any = None
        place = (minute, b"")
        while page is None or len(page) == _PAGE:
            self._cursor.execute(self._log.lines, (place[0], minute + _MINUTE, *place))
            page = self._cursor.fetchall()
            for ts, line_id, host, kind, text in page:
                group = fingerprint(self._log.table, kind, path_of(text) if self._log.table == ACCESS.name else text)
                counts[group, host] += 1
                times = seen.setdefault(group, Seen(ts))
                times.last, times.line_id = ts, line_id
                place = (ts, line_id)
        self._limit(counts, seen)
        self._replace(minute, counts, seen)
        self._connection.commit()

    def _limit(self, counts: Counter[tuple[Fingerprint, str]], seen: dict[Fingerprint, Seen]) -> None:
        """Limit a minute to its most frequent groups, and add no new group if there are too many already."""
        cursor = self._cursor
        sums: Counter[Fingerprint] = Counter()
        for (group, _), number in counts.items():
            sums[group] += number
        kept = [group for group, _ in sums.most_common(MOST_A_MINUTE)]
        if not kept:
            return
        cursor.execute("SELECT COUNT(*) FROM console_error")
        room = MOST - cursor.fetchone()[0]
        cursor.execute(
            f"SELECT error_id FROM console_error WHERE error_id IN ({_places(kept)})", [one.error_id for one in kept]
        )
        known = {row[0] for row in cursor.fetchall()}
        new = [group for group in kept if group.error_id not in known]
        others = sums.keys() - (set(kept) - set(new[max(0, room) :]))
        rest = fingerprint(self._log.table, "", MASK)
        for group, host in [key for key in counts if key[0] in others]:
            counts[rest, host] += counts.pop((group, host))
        for group in others:
            gone = seen.pop(group)
            times = seen.setdefault(rest, gone)
            times.first = min(times.first, gone.first)
            if gone.last >= times.last:
                times.last, times.line_id = gone.last, gone.line_id

    def _replace(
        self,
        minute: datetime.datetime,
        counts: Counter[tuple[Fingerprint, str]],
        seen: dict[Fingerprint, Seen],
    ) -> None:
        cursor = self._cursor
        cursor.execute(
            "DELETE FROM console_error_minute WHERE log_table = %s AND minute = %s", (self._log.table, minute)
        )
        if not counts:
            return
        cursor.executemany(
            "INSERT INTO console_error_minute (log_table, minute, error_id, host, line_count)"
            " VALUES (%s, %s, %s, %s, %s)",
            [(self._log.table, minute, group.error_id, host, number) for (group, host), number in counts.items()],
        )
        cursor.executemany(
            "INSERT INTO console_error (error_id, log_table, kind, masked, first_at, last_at, last_line)"
            " VALUES (%s, %s, %s, %s, %s, %s, %s) ON DUPLICATE KEY UPDATE"
            # The servers evaluate these assignments from left to right.
            " last_line = IF(VALUES(last_at) >= last_at, VALUES(last_line), last_line),"
            " first_at = LEAST(first_at, VALUES(first_at)), last_at = GREATEST(last_at, VALUES(last_at))",
            [
                (group.error_id, self._log.table, group.kind, group.masked, times.first, times.last, times.line_id)
                for group, times in seen.items()
            ],
        )

    def _pass_over(self, error: pymysql.MySQLError, at: datetime.datetime) -> None:
        """Ignore the error of a statement that the server ended because it took too long; raise any other error."""
        if not error.args or error.args[0] not in TOO_LONG:
            raise error
        LOG.warning(
            "the errors of a time range are not counted: reading them takes too long",
            extra={"log": self._log.table, "at": at},
        )


def _places(values: Iterable[object]) -> str:
    return ", ".join("%s" for _ in values)


def _hour_of(moment: datetime.datetime) -> datetime.datetime:
    return moment.replace(minute=0, second=0, microsecond=0)
