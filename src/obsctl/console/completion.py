"""The values that a filter's field may have: those that are known beforehand, and the most frequent ones of late."""

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

#: A completion may take so long.
SECONDS = 1.0
#: Values at most.
MOST = 20
#: Only so many of the newest lines are looked at, and none that is older; and only values of so many characters.
_LINES = 50_000
_AGE = datetime.timedelta(hours=1)
_LONGEST = 200
_METHODS = tuple(http.HTTPMethod)
#: Those of HTTP, and nginx's own: it closed without an answer, a bad TLS request, the client closed.
_STATUSES = sorted({*(status.value for status in http.HTTPStatus if status >= 200), 444, 494, 495, 496, 497, 499})


def known(field: Field, prefix: str) -> list[str] | None:
    """Return the values that begin with a text, as a filter writes them; None where the lines have to be asked."""
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
    """Return the most frequent values of the newest lines that begin with a text, as a filter writes them.

    Args:
        cursor: of a connection that runs nothing else.
        table: of the lines.
        field: of a text or an address.
        prefix: how the values begin.
        now: the present moment (UTC).
        seen: which lines may be looked at.

    Returns:
        Each with its number of lines; nothing where the time does not suffice.

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
