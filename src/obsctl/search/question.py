"""A search as one statement for each stretch of time; pure."""

from __future__ import annotations

import datetime
from typing import NamedTuple

from obsctl.query import values
from obsctl.query.fields import Table
from obsctl.query.sql import Parameter, Sql, to_sql
from obsctl.query.tree import Node
from obsctl.search.windows import Window


class Place(NamedTuple):
    """Where a line stands in the order of its table; nothing else has the same.

    Attributes:
        ts: its time (UTC).
        line_id: its identity, 16 bytes.
    """

    ts: datetime.datetime
    line_id: bytes


class Question(NamedTuple):
    """What is searched.

    Attributes:
        table: of the lines.
        condition: which lines fit.
    """

    table: Table
    condition: Sql

    @property
    def fields(self) -> tuple[str, ...]:
        """The names of a found line's values, in the order of the statement."""
        return tuple(self.table.fields)

    def statement(self, window: Window, limit: int, before: Place | None = None) -> Sql:
        """Return the statement that finds the newest lines of a stretch.

        Args:
            window: the stretch of time.
            limit: how many lines at most.
            before: only lines older than this one, in the table's order.
        """
        columns = ", ".join(f"`{name}`" for name in ("line_id", *self.fields))
        wanted: list[str] = ["`ts` >= %s"]
        parameters: list[Parameter] = [values.stored(window.begin)]
        if window.end is not None:
            wanted.append("`ts` < %s")
            parameters.append(values.stored(window.end))
        if before is not None:
            wanted.append("`ts` <= %s AND (`ts` < %s OR `line_id` < %s)")
            parameters += [values.stored(before.ts), values.stored(before.ts), before.line_id]
        if self.condition.text != "TRUE":
            wanted.append(self.condition.text)
            parameters += self.condition.parameters
        return Sql(
            f"SELECT {columns} FROM `{self.table.name}` WHERE {' AND '.join(wanted)}"
            f" ORDER BY `ts` DESC, `line_id` DESC LIMIT {limit:d}",
            tuple(parameters),
        )


def question(tree: Node, table: Table, now: datetime.datetime) -> Question:
    """Return what is searched.

    Args:
        tree: of the filter, made for this table.
        table: of the lines.
        now: the moment that relative times are counted from (UTC).
    """
    return Question(table, to_sql(tree, table, now))
