"""Day partitions, created ahead and dropped after the retention, and the two partitions for all other rows.

``p_old`` holds lines older than the retention; they are deleted in chunks once they have been *stored* for the length
of the retention. ``p_max`` holds lines later than the prepared days. Names and bounds are the UTC day: ``p20260102``
holds the 2nd.

Partitions that were dropped or renamed by hand are restored: the plan starts from the bounds that the server reports,
and repairs missing days, missing end partitions, and names in the wrong place.
"""

from __future__ import annotations

import datetime
import itertools
import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

OLD = "p_old"
BEYOND = "p_max"
#: Days prepared beyond today. A consumer that is down for a week still finds its partitions.
DAYS_AHEAD = 7
#: Tables that are partitioned, and their partition column.
TABLES = {"access_log": "ts", "error_log": "ts", "rollup_minute": "minute", "rollup_hour": "hour"}

_ONE_DAY = datetime.timedelta(days=1)
_MIDNIGHT = "00:00:00"
_day_name = re.compile(r"p\d{8}").fullmatch


class Partition(NamedTuple):
    """A partition as the server describes it; its rows are older than the day ``before``; None for no bound."""

    name: str
    before: datetime.date | None


class Change(NamedTuple):
    """A statement of the upkeep, and its description for people."""

    summary: str
    sql: str


def plan(table: str, existing: Sequence[Partition], today: datetime.date, retention_days: int) -> list[Change]:
    """Return the statements that bring a table's partitions up to date, in order; empty if there is nothing to do.

    Args:
        table: a name of :data:`TABLES`.
        existing: in the order of their bounds; at least one.
        today: the UTC day.
        retention_days: whole days to keep, including today.
    """
    oldest, last = today - (retention_days - 1) * _ONE_DAY, today + DAYS_AHEAD * _ONE_DAY
    parts = list(existing)
    return [
        *_free_names(table, parts),
        *_restore_ends(table, parts, oldest),
        *_narrow_old(table, parts, oldest, today, last),
        *_retire(table, parts, oldest),
        *_prepare(table, parts, oldest, last),
    ]


def holds(existing: Sequence[Partition], day: datetime.date) -> bool:
    """Return whether a day's rows have a day partition."""
    bounds = [p.before for p in existing]
    return (day, day + _ONE_DAY) in itertools.pairwise(bounds)


def partition_again(table: str, today: datetime.date) -> str:
    """Return the statement for a table that is not partitioned, or not by days; it copies every row."""
    return (
        f"ALTER TABLE {table} PARTITION BY RANGE COLUMNS({TABLES[table]}) "
        f"(PARTITION {OLD} VALUES LESS THAN ('{today}'), PARTITION {BEYOND} VALUES LESS THAN (MAXVALUE))"
    )


# Each step below yields its statements, and changes ``parts`` in the same way as these change the table.


def _free_names(table: str, parts: list[Partition]) -> Iterator[Change]:
    """Rename partitions that have another partition's name: otherwise the server would refuse that name as taken."""
    place = next((place for place, part in enumerate(parts) if part.name == OLD), 0)
    if place and parts[place].before is not None:
        # Its rows are kept by the time of their storing, so it must not be mistaken for an expired day.
        old = Partition(OLD, parts[place].before)
        yield _reorganize(table, parts[: place + 1], [old], f"joined what lies before {OLD} to it")
        parts[: place + 1] = [old]
    for place, part in enumerate(parts):
        if part.name == OLD:
            fits = part.before is not None
        elif part.name == BEYOND or part.before is None:
            fits = part.before is None
        else:
            fits = not _day_name(part.name) or part.name == _name(part.before - _ONE_DAY)
        if not fits:
            taken = {p.name for p in parts}
            names = [f"p_moved{n}" for n in range(1, len(parts) + 2)]
            if part.before is not None:
                names.insert(0, _name(part.before - _ONE_DAY))
            parts[place] = Partition(next(name for name in names if name not in taken), part.before)
            yield _reorganize(table, [part], [parts[place]], f"renamed {part.name} to {parts[place].name}")


def _restore_ends(table: str, parts: list[Partition], oldest: datetime.date) -> Iterator[Change]:
    """Create p_max and p_old if somebody has dropped or renamed them."""
    last = parts[-1]
    if last.before is not None:
        parts.append(Partition(BEYOND, None))
        yield Change(
            f"{table}: restored {BEYOND}, which was missing",
            f"ALTER TABLE {table} ADD PARTITION (PARTITION {BEYOND} VALUES LESS THAN (MAXVALUE))",
        )
    elif last.name != BEYOND:
        parts[-1] = Partition(BEYOND, None)
        yield _reorganize(table, [last], [parts[-1]], f"renamed {last.name} to {BEYOND}")
    first = parts[0]
    if first.name != OLD and first.before is not None and first.before <= oldest:
        parts[0] = Partition(OLD, first.before)
        yield _reorganize(table, [first], [parts[0]], f"renamed {first.name} to {OLD}")
    elif first.name != OLD:
        # Rows older than the first day have gone into its partition, and would be dropped with it.
        parts.insert(0, Partition(OLD, min(oldest, first.before - _ONE_DAY) if first.before else oldest))
        yield _reorganize(table, [first], parts[:2], f"restored {OLD}, which was missing")


def _narrow_old(
    table: str, parts: list[Partition], oldest: datetime.date, today: datetime.date, last: datetime.date
) -> Iterator[Change]:
    """Take today and later days out of a p_old that includes them, after a clock was days ahead."""
    old = parts[0]
    if old.before is None or old.before <= today:
        return
    ends = min(old.before, last + _ONE_DAY)
    new = [Partition(OLD, oldest), *_days(oldest, ends)]
    if ends < old.before:
        new.append(Partition(_name(old.before - _ONE_DAY), old.before))
    yield _reorganize(table, [old], new, f"created {new[1].name} to {new[-1].name}, which {OLD} held")
    parts[:1] = new


def _retire(table: str, parts: list[Partition], oldest: datetime.date) -> Iterator[Change]:
    """Empty the expired days and give their range to p_old.

    When a range partition is dropped, the *next* one takes its range. Late lines of that day would then be dropped
    with the next day, tomorrow, and not be kept for the retention after their arrival. So the latest expired day is
    truncated, which is as quick as dropping it, and merged into p_old; earlier ones are dropped.
    """
    expired = [p for p in parts[1:] if p.before is not None and p.before <= oldest]
    if not expired:
        return
    *older, last = expired
    if older:
        names = ", ".join(p.name for p in older)
        yield Change(f"{table}: dropped {names}", f"ALTER TABLE {table} DROP PARTITION {_quoted(older)}")
    yield Change(f"{table}: emptied {last.name}", f"ALTER TABLE {table} TRUNCATE PARTITION {_quoted([last])}")
    old = Partition(OLD, last.before)
    yield _reorganize(table, [parts[0], last], [old], f"{OLD} now ends before {last.before}")
    parts[: 1 + len(expired)] = [old]


def _prepare(table: str, parts: list[Partition], oldest: datetime.date, last: datetime.date) -> Iterator[Change]:
    """Give every day from ``oldest`` (or the end of p_old, if that is later) to ``last`` its own partition."""
    before, *rest = parts
    for part in rest:
        begins, ends = before.before, part.before
        assert begins is not None  # noqa: S101  only the last one has no bound
        first = max(begins, oldest)
        # A partition that extends beyond the prepared days keeps the rows there.
        reaches_beyond = ends is None or ends > last + _ONE_DAY
        stop = last + _ONE_DAY if ends is None or reaches_beyond else ends
        if first < stop and (reaches_beyond or stop - begins > _ONE_DAY):
            new = _days(first, stop)
            # The days between p_old's end and the retention belong to p_old, not to the first day.
            widen = before.name == OLD and begins < first
            yield _reorganize(
                table,
                [before, part] if widen else [part],
                [Partition(OLD, first)] * widen + new + [part] * reaches_beyond,
                f"created {' to '.join(dict.fromkeys((new[0].name, new[-1].name)))}",
            )
        before = part


def _reorganize(table: str, taken: Sequence[Partition], new: Sequence[Partition], summary: str) -> Change:
    into = ", ".join(f"PARTITION {_quoted([p])} VALUES LESS THAN ({_bound(p)})" for p in new)
    return Change(f"{table}: {summary}", f"ALTER TABLE {table} REORGANIZE PARTITION {_quoted(taken)} INTO ({into})")


def _days(first: datetime.date, stop: datetime.date) -> list[Partition]:
    """Return a partition for each day from ``first`` to the one before ``stop``."""
    days = [first + n * _ONE_DAY for n in range((stop - first).days)]
    return [Partition(_name(day), day + _ONE_DAY) for day in days]


def _name(day: datetime.date) -> str:
    return f"p{day:%Y%m%d}"


def _quoted(parts: Sequence[Partition]) -> str:
    """Return names for a statement, quoted if people chose them; ours need no quotes."""
    return ", ".join(
        p.name if p.name in (OLD, BEYOND) or _day_name(p.name) else f"`{p.name.replace('`', '``')}`" for p in parts
    )


def _bound(part: Partition) -> str:
    return "MAXVALUE" if part.before is None else f"'{part.before}'"


def from_server(rows: Sequence[tuple[str, str]]) -> list[Partition]:
    """Parse partitions from the server's (name, description) pairs, in the order of their position.

    The description is ``'2026-01-03'`` or ``'2026-01-03 00:00:00'``, with the quotes, or ``MAXVALUE``. A bound within
    a day, set by somebody, counts as that day's end, so that no row is dropped before its day is over. Servers ignore
    case in names.
    """
    return [Partition(name.lower(), _before(text.strip("'"))) for name, text in rows]


def _before(bound: str) -> datetime.date | None:
    if bound.upper() == "MAXVALUE":
        return None
    day, _, time = bound.partition(" ")
    return datetime.date.fromisoformat(day) + (_ONE_DAY if time and not time.startswith(_MIDNIGHT) else 0 * _ONE_DAY)
