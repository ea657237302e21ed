"""Reads the stored lines of some hours for a replay of one rule, in the order of their times.

Lines that the rule cannot count are left in the database: those that do not fit :attr:`Rule.concerns`, and of the
others all fields that are not in :attr:`Rule.reads`. One stretch of time is read after the other, and of each at most
:data:`_ROWS` lines at once, so a burst takes no more memory than a quiet hour.

A line counts as read when it was written: the database does not know when an alerter read it.
"""

from __future__ import annotations

import copy
import datetime
import itertools
import time
from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from typing import Any, NamedTuple

import msgspec
import pymysql

from obsctl.alerter.replay.run import AHEAD_S, LATENESS_S, Read
from obsctl.alerter.rules.rule import LINE_TYPES, TABLES, Rule
from obsctl.lines.formats.line import ABSENT, Line
from obsctl.lines.line_reader import event_of
from obsctl.query import values
from obsctl.query.fields import Kind
from obsctl.query.parse import parse
from obsctl.query.sql import Parameter, Sql, to_sql
from obsctl.store.mysql.stretch import Width
from obsctl.store.mysql.time_limit import TOO_LONG, bound_of

#: Lines that one statement returns at most.
_ROWS = 20_000
#: Where the log has a line of the day before the first moment, it had been written by then.
_DAY = datetime.timedelta(days=1)
_EVERY_LINE = Sql("TRUE", ())
_NUMBERS = (Kind.INTEGER, Kind.DECIMAL)


class _Place(NamedTuple):
    """Where a line stands in the order of its table.

    Attributes:
        ts: its time as the table holds it.
        line_id: its identity.
    """

    ts: str
    line_id: bytes

    @property
    def at(self) -> datetime.datetime:
        """Its time."""
        return datetime.datetime.fromisoformat(f"{self.ts}+00:00")


class StoredLines:
    """The stored lines that a rule looks at; can be gone through once.

    Args:
        cursor: of a connection whose session commits by itself and may read the table.
        rule: looks at lines.
        begin: nothing older is read (UTC).
        end: nothing from this moment on is read (UTC).
        seconds: the time for all, also for what is done with the lines meanwhile.

    Attributes:
        begin: the clock begins here, seconds since the epoch: with the first moment where the log goes back that far,
            else with its first line.
        reached: all lines before this moment were read, seconds since the epoch.
        lines: that were read so far and count.
        ahead: lines of a clock that was a minute or more ahead when they were stored; an alerter leaves them out, too.
        late: lines that were stored five minutes and more after they were written. They count here; an alerter that
            reads a line so late leaves it out.

    Raises:
        pymysql.MySQLError: the database refuses a statement, or does not answer.
    """

    def __init__(
        self, cursor: Any, rule: Rule, begin: datetime.datetime, end: datetime.datetime, *, seconds: float
    ) -> None:
        assert rule.log is not None  # noqa: S101 - that of the pipeline's own numbers has no lines
        self._cursor, self._end = cursor, end
        self._ends = time.monotonic() + seconds
        self._table = TABLES[rule.log]
        self._row = _Row(rule)
        self._condition = to_sql(parse(rule.concerns, self._table), self._table, end) if rule.concerns else _EVERY_LINE
        self._bound = bound_of(cursor)
        self.lines = self.ahead = self.late = 0
        self._first: Sequence[tuple[Any, ...]] = ()
        self._at = begin
        self.begin = begin.timestamp()
        self._look_back(begin)

    @property
    def reached(self) -> float:
        """All lines before this moment were read, seconds since the epoch."""
        return self._at.timestamp()

    @property
    def whole(self) -> bool:
        """Whether all were read."""
        return self._at >= self._end

    def __iter__(self) -> Iterator[Read]:
        """Yield the lines; where a stretch of time ends, the clock comes there without one."""
        # The first line is read whether it fits or not: kinds that learn begin with it.
        yield from self._read(self._first)
        place = self._row.place(self._first[0]) if self._first else None
        width = Width()
        while not self.whole:
            stop = min(self._end, self._at + datetime.timedelta(seconds=width.seconds))
            began = time.monotonic()
            rows = self._rows(self._between(self._at, stop, place), self._condition, _ROWS)
            if rows is None:
                return
            took_s = time.monotonic() - began
            yield from self._read(rows)
            if len(rows) == _ROWS:
                place = self._row.place(rows[-1])
                self._at = place.at
            else:
                place, self._at = None, stop
                width.took(took_s)
            yield Read(self.reached, None)

    def stop(self) -> None:
        """Read no more than was read."""
        self._ends = 0.0

    def _look_back(self, begin: datetime.datetime) -> None:
        """Find the first line of the time, whatever it is, and whether the log goes back to its beginning."""
        first = self._rows(self._between(begin, self._end, None), _EVERY_LINE, 1)
        before = self._rows(self._between(begin - _DAY, begin, None), _EVERY_LINE, 1)
        if first is None or before is None:
            return
        self._first = first
        self._at = self._row.place(first[0]).at if first else self._end
        if not before:
            self.begin = self._at.timestamp()

    def _between(self, begin: datetime.datetime, end: datetime.datetime, place: _Place | None) -> Sql:
        """Return the condition that a line is of a stretch of time, and behind a place in it."""
        text, parameters = "`ts` >= %s AND `ts` < %s", [values.stored(begin), values.stored(end)]
        if place is None:
            return Sql(text, tuple(parameters))
        behind: tuple[Parameter, ...] = (place.ts, place.line_id)
        return Sql(f"{text} AND (`ts` > %s OR `line_id` > %s)", (*parameters, *behind))

    def _rows(self, within: Sql, fits: Sql, most: int) -> Sequence[tuple[Any, ...]] | None:
        """Return the oldest rows; None where the time does not suffice."""
        left_s = self._ends - time.monotonic()
        if left_s <= 0:
            return None
        try:
            self._cursor.execute(self._bound(left_s))
            self._cursor.execute(
                f"SELECT {self._row.columns} FROM `{self._table.name}` WHERE {within.text} AND {fits.text}"
                f" ORDER BY `ts`, `line_id` LIMIT {most:d}",
                within.parameters + fits.parameters,
            )
            rows: Sequence[tuple[Any, ...]] = self._cursor.fetchall()
        except pymysql.MySQLError as error:
            if error.args and error.args[0] in TOO_LONG:
                return None
            raise
        return rows

    def _read(self, rows: Sequence[tuple[Any, ...]]) -> Iterator[Read]:
        for row in rows:
            read, delay_s = self._row.read(row)
            if delay_s < -AHEAD_S:
                self.ahead += 1
                continue
            self.lines += 1
            self.late += delay_s >= LATENESS_S
            yield read


class _Row:
    """How a row of the table becomes the line that a rule counts.

    Args:
        rule: looks at lines.

    Attributes:
        columns: that are selected.
    """

    _BEFORE = ("CAST(`ts` AS CHAR)", "`line_id`", "TIMESTAMPDIFF(SECOND, `ts`, `stored_at`)")

    def __init__(self, rule: Rule) -> None:
        assert rule.log is not None  # noqa: S101 - as above
        table, line = TABLES[rule.log], LINE_TYPES[rule.log]
        names = sorted(rule.reads - {"ts"})
        self.columns = ", ".join((*self._BEFORE, *(f"`{name}`" for name in names)))
        forms: list[Callable[[Any], Any]] = [_number if table.fields[name].absent else _plain for name in names]
        self._fields = list(zip(itertools.count(len(self._BEFORE)), names, forms, strict=False))
        self._empty = empty(line)

    def place(self, row: tuple[Any, ...]) -> _Place:
        """Return where the row's line stands."""
        return _Place(row[0], row[1])

    def read(self, row: tuple[Any, ...]) -> tuple[Read, int]:
        """Return the row's line, and how long after it was written it was stored (seconds)."""
        line = copy.copy(self._empty)
        line.ts = row[0]
        for number, name, form in self._fields:
            setattr(line, name, form(row[number]))
        event = event_of(line, row[1])
        return Read(event.time, event), row[2]


def empty(line: type[Line]) -> Line:
    """Return a line that says nothing."""
    (table,) = (TABLES[log] for log, kind in LINE_TYPES.items() if kind is line)
    names = [one.name for one in msgspec.structs.fields(line) if one.required]
    said: dict[str, Any] = {name: 0 if table.fields[name].kind in _NUMBERS else "" for name in names}
    return line(**said)


def _plain(value: Any) -> Any:
    return value


def _number(value: Any) -> Any:
    return ABSENT if value is None else float(value) if isinstance(value, Decimal) else value
