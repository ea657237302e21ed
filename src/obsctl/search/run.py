"""Queries the database for the lines of a search, one time range after the other."""

from __future__ import annotations

import datetime
import time
from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from typing import Any, NamedTuple

import pymysql

from obsctl.core.utc import timestamp
from obsctl.query.sql import Sql
from obsctl.search.question import Place, Question
from obsctl.search.windows import Window, Windows
from obsctl.store.mysql.time_limit import TOO_LONG, bound_of


class Found(NamedTuple):
    """The result for a time range.

    Attributes:
        lines: newest first, each with the question's fields in their order.
        last: the place of the last line; None if there is none.
        reached: everything from this time on has been searched (UTC).
        whole: whether the search is finished: at its oldest time, or at its limit.
    """

    lines: tuple[tuple[Any, ...], ...]
    last: Place | None
    reached: datetime.datetime
    whole: bool


def search(
    cursor: Any,
    question: Question,
    windows: Windows,
    *,
    limit: int,
    seconds: float,
    before: Place | None = None,
) -> Iterator[Found]:
    """Find lines; ``whole`` of the last item says whether the time limit was sufficient.

    Args:
        cursor: of a connection whose session commits by itself and may read the table.
        question: what is searched.
        windows: the time ranges of the search.
        limit: how many lines at most.
        seconds: time limit for the whole search; the server ends a statement that would take longer.
        before: only lines older than this one.

    Raises:
        pymysql.MySQLError: the database refuses a statement, or does not answer.
    """

    def newest(window: Window) -> Sql:
        return question.statement(window, limit, before)

    for rows in _in_turn(cursor, windows, seconds, newest):
        limit -= len(rows)
        last = (
            Place(rows[-1][1 + question.fields.index("ts")].replace(tzinfo=datetime.UTC), rows[-1][0]) if rows else None
        )
        yield Found(tuple(row[1:] for row in rows), last, windows.reached, whole=limit <= 0 or windows.next() is None)
        if limit <= 0:
            return


class Counted(NamedTuple):
    """The number of lines in a time range.

    Attributes:
        lines: by the beginning of each part of the range, seconds since the epoch.
        reached: everything from this time on has been counted (UTC).
        whole: whether everything has been counted.
    """

    lines: dict[int, int]
    reached: datetime.datetime
    whole: bool


def histogram(cursor: Any, question: Question, windows: Windows, *, step_s: int, seconds: float) -> Iterator[Counted]:
    """Count lines by time; a part may come in two pieces, and the last item says whether the time was sufficient.

    Args:
        cursor: as in :func:`search`; its session's time zone is UTC.
        question: which lines.
        windows: the time ranges.
        step_s: length of a part, seconds.
        seconds: time limit for everything.

    Raises:
        pymysql.MySQLError: the database refuses a statement, or does not answer.
    """
    for rows in _in_turn(cursor, windows, seconds, lambda window: question.counts(window, step_s)):
        yield Counted({int(at): int(lines) for at, lines in rows}, windows.reached, windows.next() is None)


def _in_turn(
    cursor: Any, windows: Windows, seconds: float, statement_of: Callable[[Window], Sql]
) -> Iterator[Sequence[tuple[Any, ...]]]:
    """Yield the rows of each range's statement, until the end or the time limit."""
    ends = time.monotonic() + seconds
    bounded = bound_of(cursor)
    while (window := windows.next()) is not None:
        left_s = ends - time.monotonic()
        if left_s <= 0:
            return
        cursor.execute(bounded(left_s))
        statement = statement_of(window)
        began = time.monotonic()
        try:
            cursor.execute(statement.text, statement.parameters)
            rows = cursor.fetchall()
        except pymysql.MySQLError as error:
            if error.args and error.args[0] in TOO_LONG:
                return
            raise
        windows.looked(window, time.monotonic() - began)
        yield rows


def plain(value: Any) -> Any:
    """Return a column's value for reports and JSON."""
    if isinstance(value, datetime.datetime):
        return timestamp(value.replace(tzinfo=datetime.UTC))
    return float(value) if isinstance(value, Decimal) else value
