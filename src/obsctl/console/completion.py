"""Completes values of a filter's field: from those known beforehand, or from the most frequent recent ones."""

from __future__ import annotations

import datetime
import http
from collections import Counter
from typing import Any

import pymysql

from obsctl.query import values
from obsctl.query.fields import LEVELS, Field, Kind, Table
from obsctl.query.predicate import entries
from obsctl.query.sql import to_sql
from obsctl.query.text import to_text
from obsctl.query.tree import Mark, Node, Term, Wildcard
from obsctl.store.mysql.time_limit import TOO_LONG, bound_of

#: Time limit for a completion.
SECONDS = 1.0
#: The most values in an answer.
MOST = 20
#: How many of the newest lines are examined, how old these may be, and how long a value may be (characters).
_LINES = 50_000
_AGE = datetime.timedelta(hours=1)
_LONGEST = 200
_METHODS = tuple(http.HTTPMethod)
#: The statuses of HTTP, and nginx's own: connection closed without an answer, errors of TLS, client closed the
#: connection.
_STATUSES = sorted({*(status.value for status in http.HTTPStatus if status >= 200), 444, 494, 495, 496, 497, 499})


def known(field: Field, prefix: str) -> list[str] | None:
    """Return the values that begin with a text, in a filter's notation; None if they must be looked up in the lines."""
    if field.kind is Kind.LEVEL:
        found = list(LEVELS)
    elif field.name == "method":
        found = list(_METHODS)
    elif field.name in ("status", "upstream_status"):
        found = [str(status) for status in _STATUSES]
    elif field.kind in (Kind.TEXT, Kind.ADDRESS):
        return None
    else:
        found = []
    return [text for text in found if text.casefold().startswith(prefix.casefold())]


def frequent(
    cursor: Any, table: Table, field: Field, prefix: str, now: datetime.datetime, *, seen: Node
) -> list[tuple[str, int]]:
    """Return the most frequent values in the newest lines that begin with a text, in a filter's notation.

    Args:
        cursor: of a connection that runs nothing else.
        table: of the lines.
        field: whose values are texts or addresses.
        prefix: how the values begin.
        now: the present moment (UTC).
        seen: condition on the lines that the person may see.

    Returns:
        Each value with its number of lines; empty if the time limit was exceeded.

    Raises:
        pymysql.MySQLError: the database refuses the statement, or does not answer.
    """
    column = f"`{field.name}`"
    begins = to_sql(Wildcard(field.name, (prefix, Mark.ANY) if prefix else (Mark.ANY,)), table)
    allowed = to_sql(seen, table)
    cursor.execute(bound_of(cursor)(SECONDS))
    try:
        cursor.execute(
            f"SELECT {column}, COUNT(*) AS number FROM (SELECT LEFT({column}, {_LONGEST + 1}) AS {column}"
            f" FROM `{table.name}` WHERE ts >= %s AND ({allowed.text}) ORDER BY ts DESC LIMIT {_LINES}) AS newest"
            f" WHERE CHAR_LENGTH({column}) BETWEEN 1 AND {_LONGEST} AND {begins.text}"
            f" GROUP BY {column} ORDER BY number DESC, {column} LIMIT {MOST * (10 if field.many else 1)}",
            (values.stored(now - _AGE), *allowed.parameters, *begins.parameters),
        )
        rows = cursor.fetchall()
    except pymysql.MySQLError as error:
        if error.args and error.args[0] in TOO_LONG:
            return []
        raise
    counts: Counter[str] = Counter()
    for value, number in rows:
        for entry in entries(value) if field.many else (value,):
            if entry.startswith(prefix):
                counts[entry] += number
    return [(_written(field, value), number) for value, number in counts.most_common(MOST)]


def _written(field: Field, value: str) -> str:
    return to_text(Term(field.name, value)).removeprefix(f"{field.name}:")
