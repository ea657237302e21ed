"""Reads the stored lines of some hours from the database for a replay of one rule, sorted by time.

Only what the rule needs is selected: lines that match :attr:`Rule.concerns`, and their fields in :attr:`Rule.reads`.
Intervals of time are read one after the other, at most :data:`_ROWS` lines at once, so a burst takes no more memory
than a quiet hour.

A line counts as read at the time when it was written: the database does not know when an alerter read it.
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

from obsctl.alerter.evaluation.tolerances import AHEAD_S, LATENESS_S
from obsctl.alerter.replay.run import Read
from obsctl.alerter.rules.rule import LINE_TYPES, TABLES, Rule
from obsctl.lines.formats.line import ABSENT, Line
from obsctl.lines.line_reader import event_of
from obsctl.query import values
from obsctl.query.fields import Kind
from obsctl.query.parse import parse
from obsctl.query.sql import Parameter, Sql, to_sql
from obsctl.store.mysql.stretch import Width
from obsctl.store.mysql.time_limit import TOO_LONG, bound_of

#: The most lines that one statement returns.
_ROWS = 20_000
#: If the log has a line within this time before the first moment, it was already being written by then.
_DAY = datetime.timedelta(days=1)
_EVERY_LINE = Sql("TRUE", ())
_NUMBERS = (Kind.INTEGER, Kind.DECIMAL)


class _Place(NamedTuple):
    """A line's place in the order of its table.

    Attributes:
        ts: its time as stored.
        line_id: its identity.
    """

    ts: str
    line_id: bytes

    @property
    def at(self) -> datetime.datetime:
        """Its time."""
        return datetime.datetime.fromisoformat(f"{self.ts}+00:00")


class StoredLines:
    """The stored lines that a rule looks at; can be iterated over once.

    Args:
        cursor: of a connection whose session commits by itself and may read the table.
        rule: looks at lines.
        begin: nothing older is read (UTC).
        end: nothing from this moment on is read (UTC).
        seconds: time limit for the whole iteration, including what the caller does with the lines.

    Attributes:
        begin: where the clock begins, seconds since the epoch: at the first moment if the log goes back that far,
            otherwise at its first line.
        reached: all lines before this moment were read, seconds since the epoch.
        lines: how many were read so far and count.
        ahead: lines whose clock was a minute or more ahead when they were stored; an alerter does not count them,
            either.
        late: lines that were stored five minutes or more after they were written. They count here; an alerter that
            reads a line so late does not count it.

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
        """Whether all lines were read."""
        return self._at >= self._end

    def __iter__(self) -> Iterator[Read]:
        """Yield the lines; at the end of each interval yield an entry without a line, which advances the clock."""
        # The first line is read whether it matches or not: kinds that learn begin to do so at its time.
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
        """Stop reading here."""
        self._ends = 0.0

    def _look_back(self, begin: datetime.datetime) -> None:
        """Find the first line of the interval, matching or not, and whether the log goes back to its beginning."""
        first = self._rows(self._between(begin, self._end, None), _EVERY_LINE, 1)
        before = self._rows(self._between(begin - _DAY, begin, None), _EVERY_LINE, 1)
        if first is None or before is None:
            return
        self._first = first
        self._at = self._row.place(first[0]).at if first else self._end
        if not before:
            self.begin = self._at.timestamp()

    def _between(self, begin: datetime.datetime, end: datetime.datetime, place: _Place | None) -> Sql:
        """Return the SQL condition that a line is in an interval of time and after a place in it."""
        text, parameters = "`ts` >= %s AND `ts` < %s", [values.stored(begin), values.stored(end)]
        if place is None:
            return Sql(text, tuple(parameters))
        behind: tuple[Parameter, ...] = (place.ts, place.line_id)
        return Sql(f"{text} AND (`ts` > %s OR `line_id` > %s)", (*parameters, *behind))

    def _rows(self, within: Sql, fits: Sql, most: int) -> Sequence[tuple[Any, ...]] | None:
        """Return the oldest rows; None if the time limit is exceeded."""
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
    """Makes the line that a rule counts from a row of the table.

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
        """Return the place of the row's line."""
        return _Place(row[0], row[1])

    def read(self, row: tuple[Any, ...]) -> tuple[Read, int]:
        """Return the row's line, and the seconds between its own time and its storing."""
        line = copy.copy(self._empty)
        line.ts = row[0]
        for number, name, form in self._fields:
            setattr(line, name, form(row[number]))
        event = event_of(line, row[1])
        return Read(event.time, event), row[2]


def empty(line: type[Line]) -> Line:
    """Return a line whose fields are all empty."""
    (table,) = (TABLES[log] for log, kind in LINE_TYPES.items() if kind is line)
    names = [one.name for one in msgspec.structs.fields(line) if one.required]
    said: dict[str, Any] = {name: 0 if table.fields[name].kind in _NUMBERS else "" for name in names}
    return line(**said)


def _plain(value: Any) -> Any:
    return value


def _number(value: Any) -> Any:
    return ABSENT if value is None else float(value) if isinstance(value, Decimal) else value
