"""The statements of a search, one for each time range; pure."""

from __future__ import annotations

import datetime
from typing import NamedTuple

from obsctl.query import values
from obsctl.query.fields import ACCESS, Table
from obsctl.query.sql import Parameter, Sql, to_sql
from obsctl.query.tree import Node
from obsctl.search.windows import Window, minute_of


class Place(NamedTuple):
    """A line's unique place in the order of its table.

    Attributes:
        ts: its time (UTC).
        line_id: its identity, 16 bytes.
    """

    ts: datetime.datetime
    line_id: bytes


class Question(NamedTuple):
    """A search.

    Attributes:
        table: of the lines.
        condition: of the lines to find.
    """

    table: Table
    condition: Sql

    @property
    def fields(self) -> tuple[str, ...]:
        """The names of a found line's columns, in the statement's order."""
        return tuple(self.table.fields)

    def statement(self, window: Window, limit: int, before: Place | None = None) -> Sql:
        """Return the statement that finds the newest lines of a time range.

        Args:
            window: the stretch of time.
            limit: the most lines.
            before: only lines older than this one, in the table's order.
        """
        columns = ", ".join(f"`{name}`" for name in ("line_id", *self.fields))
        condition = self._within(window, before)
        return Sql(
            f"SELECT {columns} FROM `{self.table.name}` WHERE {condition.text}"
            f" ORDER BY `ts` DESC, `line_id` DESC LIMIT {limit:d}",
            condition.parameters,
        )

    def is_rolled_up(self, step_s: int) -> bool:
        """Whether the roll-ups have the number of lines by such steps (seconds): those of all lines by minutes."""
        return self.table is ACCESS and self.condition.text == "TRUE" and step_s % 60 == 0

    def counts(self, window: Window, step_s: int) -> Sql:
        """Return the statement for the number of lines of a stretch by time, as (seconds since the epoch, lines).

        Args:
            window: the stretch of time.
            step_s: how long each part of it is, seconds.
        """
        table, time, number = self.table.name, "ts", "COUNT(*)"
        if self.is_rolled_up(step_s):
            table, time, number = "rollup_minute", "minute", "SUM(requests)"
            # A minute must be within one time range.
            window = Window(minute_of(window.begin), window.end and minute_of(window.end))
        condition = self._within(window, time=time)
        return Sql(
            f"SELECT TIMESTAMPDIFF(SECOND, '1970-01-01', `{time}`) DIV {step_s:d} * {step_s:d} AS begin, {number}"
            f" FROM `{table}`"
            f" WHERE {condition.text} GROUP BY begin",
            condition.parameters,
        )

    def _within(self, window: Window, before: Place | None = None, time: str = "ts") -> Sql:
        """Return the condition that a line is in a time range, before a place, and matches the filter."""
        wanted: list[str] = [f"`{time}` >= %s"]
        parameters: list[Parameter] = [values.stored(window.begin)]
        if window.end is not None:
            wanted.append(f"`{time}` < %s")
            parameters.append(values.stored(window.end))
        if before is not None:
            wanted.append("`ts` <= %s AND (`ts` < %s OR `line_id` < %s)")
            parameters += [values.stored(before.ts), values.stored(before.ts), before.line_id]
        if self.condition.text != "TRUE":
            wanted.append(self.condition.text)
            parameters += self.condition.parameters
        return Sql(" AND ".join(wanted), tuple(parameters))


def question(tree: Node, table: Table, now: datetime.datetime) -> Question:
    """Return the question for a filter.

    Args:
        tree: of the filter, made for this table.
        table: of the lines.
        now: the time from which relative times are counted (UTC).
    """
    return Question(table, to_sql(tree, table, now))
