"""Day partitions: made ahead, let go by dropping them, and the two that catch what lies outside.

``p_old`` holds lines older than the retention; they are deleted in chunks once they have been *stored* for as long.
``p_max`` holds lines from beyond the days prepared. Names and bounds are the UTC day: ``p20260102`` holds the 2nd.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Sequence
from typing import NamedTuple

OLD = "p_old"
BEYOND = "p_max"
#: Days prepared beyond today. A consumer that is down for a week still finds its partitions.
DAYS_AHEAD = 7
#: Tables that are partitioned, and their partition column.
TABLES = {"access_log": "ts", "error_log": "ts", "rollup_minute": "minute"}

_NAME = re.compile(r"p(\d{8})").fullmatch
_ONE_DAY = datetime.timedelta(days=1)


class Partition(NamedTuple):
    """A partition as the server describes it: ``before`` is the day its rows are older than; None for p_max."""

    name: str
    before: datetime.date | None


class Change(NamedTuple):
    """A statement of the upkeep, and what it means to people."""

    summary: str
    sql: str


def plan(table: str, existing: Sequence[Partition], today: datetime.date, retention_days: int) -> list[Change]:
    """Return the statements that bring a table's partitions to this day, in order; none if nothing is to do.

    Args:
        table: a name of :data:`TABLES`.
        existing: in the order of their bounds, from p_old to p_max.
        today: the UTC day.
        retention_days: whole days kept, today included.
    """
    oldest = today - (retention_days - 1) * _ONE_DAY
    days = [p for p in existing if _NAME(p.name) and p.before is not None]
    expired = [p for p in days if p.before is not None and p.before <= oldest]
    return [*_retire(table, expired), *_prepare(table, existing, expired, oldest, today + DAYS_AHEAD * _ONE_DAY)]


def holds(existing: Sequence[Partition], day: datetime.date) -> bool:
    """Return whether a partition of its own takes a day's rows."""
    return any(p.name == f"p{day:%Y%m%d}" for p in existing)


def _retire(table: str, expired: Sequence[Partition]) -> list[Change]:
    """Empty the expired days and give their range to p_old.

    A dropped range partition leaves its range to the *next* one. Lines of that day that still arrive would then go
    with that next day, tomorrow, and not be kept for the retention from their arrival. So the youngest expired day is
    emptied, as quick as a drop, and joined to p_old; those before it are dropped.
    """
    if not expired:
        return []
    *older, last = expired
    changes = []
    if older:
        names = ", ".join(p.name for p in older)
        changes.append(Change(f"{table}: dropped {names}", f"ALTER TABLE {table} DROP PARTITION {names}"))
    changes.append(Change(f"{table}: emptied {last.name}", f"ALTER TABLE {table} TRUNCATE PARTITION {last.name}"))
    changes.append(
        Change(
            f"{table}: {OLD} now ends before {last.before}",
            f"ALTER TABLE {table} REORGANIZE PARTITION {OLD}, {last.name} INTO "
            f"(PARTITION {OLD} VALUES LESS THAN ('{last.before}'))",
        )
    )
    return changes


def _prepare(
    table: str,
    existing: Sequence[Partition],
    expired: Sequence[Partition],
    oldest: datetime.date,
    last: datetime.date,
) -> list[Change]:
    """Make every day up to ``last`` out of p_max; where no day is left, also move p_old up to the retention."""
    days_left = [p for p in existing if p not in expired and p.before is not None and p.name != OLD]
    ends = [p.before for p in existing if p.before is not None]
    first = max(oldest, ends[-1])
    if first > last:
        return []
    source = BEYOND if days_left else f"{OLD}, {BEYOND}"
    parts = [] if days_left else [f"PARTITION {OLD} VALUES LESS THAN ('{first}')"]
    day = first
    while day <= last:
        parts.append(f"PARTITION p{day:%Y%m%d} VALUES LESS THAN ('{day + _ONE_DAY}')")
        day += _ONE_DAY
    parts.append(f"PARTITION {BEYOND} VALUES LESS THAN (MAXVALUE)")
    return [
        Change(
            f"{table}: made p{first:%Y%m%d} to p{last:%Y%m%d}",
            f"ALTER TABLE {table} REORGANIZE PARTITION {source} INTO ({', '.join(parts)})",
        )
    ]


def from_server(rows: Sequence[tuple[str, str]]) -> list[Partition]:
    """Read partitions from the server's (name, description) pairs in the order of their position.

    The description is ``'2026-01-03'`` or ``'2026-01-03 00:00:00'``, with the quotes, or ``MAXVALUE``.
    """
    return [
        Partition(name, None if text.upper() == "MAXVALUE" else datetime.date.fromisoformat(text.strip("'")[:10]))
        for name, text in rows
    ]
