"""The balancers' answers, counted in the roll-ups: statements, and their rows as series and tables. Pure.

Whole hours within the time range are read from the roll-ups by hour, and only the minutes before and after them by
minute: so the counts are exact to the minute, and weeks are as quick as a day. Only if points begin within an hour are
all minutes read.

A percentile is computed from the latency histogram. Requests are assumed to be spread evenly within a bucket, so the
error is at most the bucket's width (:data:`obsctl.store.rollup.LATENCY_BOUNDS_MS`).
"""

from __future__ import annotations

import datetime
import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from obsctl.query import values
from obsctl.query.sql import Parameter, Sql
from obsctl.store.rollup import LATENCY_BOUNDS_MS

_HOUR_S = 3600
#: The possible lengths of a point of a series, seconds, and the most points of a series.
STEPS_S = (60, 300, 900, _HOUR_S, 6 * _HOUR_S, 86_400)
_MOST_POINTS = 300
_HOUR, _DAY = datetime.timedelta(hours=1), datetime.timedelta(days=1)
#: Points longer than an hour begin with hours and days of the site's time zone; time zones differ by quarters of an
#: hour.
_PART_S = 900
_CLASSES = (1, 2, 3, 4, 5)
_SHARES = (("p50", 0.5), ("p95", 0.95), ("p99", 0.99))
_LATENCY = (*(f"lat_{bound}" for bound in LATENCY_BOUNDS_MS), "lat_more")
_SUMS = ", ".join(f"SUM({name})" for name in ("requests", "bytes", *_LATENCY))


class Asked(NamedTuple):
    """Which traffic.

    Attributes:
        begin: the first minute (UTC).
        end: the first minute after the range (UTC).
        host: only this balancer; empty for all.
        route: only this class of routes; empty for all.
        zone: time zone in which days and hours begin.
        scope: the condition on the balancers that the person may see.
    """

    begin: datetime.datetime
    end: datetime.datetime
    host: str
    route: str
    zone: ZoneInfo
    scope: Sql = Sql("TRUE", ())

    @property
    def step_s(self) -> int:
        """The length of a point, seconds."""
        span_s = (self.end - self.begin).total_seconds()
        return next((step for step in STEPS_S if span_s / step <= _MOST_POINTS), STEPS_S[-1])


class Counts:
    """Requests of one point, or of one row of a table.

    Attributes:
        requests: by the hundreds digit of the status.
        bytes: of the answers' bodies.
        latency: requests by bucket; only those that have a time.
    """

    __slots__ = ("bytes", "latency", "requests")

    def __init__(self) -> None:
        self.requests = dict.fromkeys(_CLASSES, 0)
        self.bytes = 0
        self.latency = [0] * len(_LATENCY)

    def add(self, status_class: int, sums: Sequence[Any]) -> None:
        """Add a row's sums."""
        self.requests[status_class] = self.requests.get(status_class, 0) + int(sums[0])
        self.bytes += int(sums[1])
        for place, count in enumerate(sums[2:]):
            self.latency[place] += int(count)

    @property
    def total(self) -> int:
        """All requests."""
        return sum(self.requests.values())


class _Stretch(NamedTuple):
    """A time range, and the table of roll-ups from which it is read."""

    table: str
    column: str
    begin: datetime.datetime
    end: datetime.datetime


def series_of(asked: Asked) -> Sql:
    """Return the statement whose rows :func:`series` reads; a point may have several rows."""
    part_s = _part_s(asked)
    stretches = _with_hours(asked) if part_s == _HOUR_S else [_minutes(asked.begin, asked.end)]
    return _statement(f"UNIX_TIMESTAMP({{column}}) DIV {part_s:d} * {part_s:d}, status_class", asked, stretches)


def tables_of(asked: Asked) -> Sql:
    """Return the statement whose rows :func:`tables` reads; a key may have several rows."""
    return _statement("host, route_class, status_class", asked, _with_hours(asked))


def _part_s(asked: Asked) -> int:
    """Return the length of time of a row of a series, seconds."""
    if asked.step_s <= _HOUR_S:
        return asked.step_s
    hours = (_hour(asked.begin) + day * _DAY for day in range((asked.end - asked.begin).days + 2))
    return _HOUR_S if all(hour.astimezone(asked.zone).minute == 0 for hour in hours) else _PART_S


def _with_hours(asked: Asked) -> list[_Stretch]:
    """Return the whole hours, and the minutes before and after them."""
    first = _hour(asked.begin + _HOUR - datetime.timedelta(microseconds=1))
    last = _hour(asked.end)
    if first >= last:
        return [_minutes(asked.begin, asked.end)]
    stretches = [_minutes(asked.begin, first), _Stretch("rollup_hour", "hour", first, last), _minutes(last, asked.end)]
    return [stretch for stretch in stretches if stretch.begin < stretch.end]


def _minutes(begin: datetime.datetime, end: datetime.datetime) -> _Stretch:
    return _Stretch("rollup_minute", "minute", begin, end)


def _hour(at: datetime.datetime) -> datetime.datetime:
    return at.replace(minute=0, second=0, microsecond=0)


def _statement(by: str, asked: Asked, stretches: Sequence[_Stretch]) -> Sql:
    wanted = asked.scope.text
    given: list[Parameter] = [*asked.scope.parameters]
    for column, value in (("host", asked.host), ("route_class", asked.route)):
        if value:
            wanted += f" AND {column} = %s"
            given.append(value)
    groups = ", ".join(str(number + 1) for number in range(by.count(",") + 1))
    texts: list[str] = []
    parameters: list[Parameter] = []
    for table, column, begin, end in stretches:
        texts.append(
            f"SELECT {by.format(column=column)}, {_SUMS} FROM {table}"
            f" WHERE {column} >= %s AND {column} < %s AND {wanted} GROUP BY {groups}"
        )
        parameters += [values.stored(begin), values.stored(end), *given]
    return Sql(" UNION ALL ".join(texts), tuple(parameters))


def series(asked: Asked, rows: Iterable[Sequence[Any]]) -> dict[str, Any]:
    """Return a column for each curve; a point without requests is 0, and its percentiles are None."""
    points: dict[int, Counts] = {at: Counts() for at in _moments(asked)}
    for at, status_class, *sums in rows:
        begin = _point(int(at), asked)
        points.setdefault(begin, Counts()).add(int(status_class), sums)
    moments = sorted(points)
    counts = [points[at] for at in moments]
    others = sorted({status for one in counts for status in one.requests} - set(_CLASSES))
    return {
        "step_s": asked.step_s,
        "at": moments,
        "status": {str(status): [one.requests.get(status, 0) for one in counts] for status in (*_CLASSES, *others)},
        "bytes": [one.bytes for one in counts],
        **{name: [percentile(one.latency, share) for one in counts] for name, share in _SHARES},
    }


def tables(rows: Iterable[Sequence[Any]]) -> dict[str, Any]:
    """Return the totals, and those of each balancer and each class of routes, the most requests first."""
    whole, hosts, routes = Counts(), dict[str, Counts](), dict[str, Counts]()
    for host, route, status_class, *sums in rows:
        for one in (whole, hosts.setdefault(host, Counts()), routes.setdefault(route, Counts())):
            one.add(int(status_class), sums)
    return {"whole": _row("", whole), "hosts": _table(hosts), "routes": _table(routes)}


def percentile(latency: Sequence[int], share: float) -> float | None:
    """Return a percentile, seconds; None without requests, and the last bound if it is beyond that.

    Args:
        latency: requests by bucket.
        share: 0 to 1.
    """
    count = sum(latency)
    if not count:
        return None
    rank = max(1, math.ceil(share * count))
    below = 0.0
    for bound, inside in zip(LATENCY_BOUNDS_MS, latency, strict=False):
        if rank <= inside:
            return round((below + (bound - below) * rank / inside) / 1000, 4)
        rank -= inside
        below = float(bound)
    return below / 1000


def _table(counts: dict[str, Counts]) -> list[dict[str, Any]]:
    return [_row(name, one) for name, one in sorted(counts.items(), key=lambda item: (-item[1].total, item[0]))]


def _row(name: str, one: Counts) -> dict[str, Any]:
    total = one.total
    return {
        "name": name,
        "requests": total,
        "bytes": one.bytes,
        "share_4xx": round(one.requests[4] / total, 6) if total else None,
        "share_5xx": round(one.requests[5] / total, 6) if total else None,
        **{key: percentile(one.latency, share) for key, share in _SHARES},
    }


def _moments(asked: Asked) -> Iterator[int]:
    """Yield where each point begins, seconds since the epoch."""
    part_s = _part_s(asked)
    first, end = int(asked.begin.timestamp()) // part_s * part_s, asked.end.timestamp()
    last = None
    for at in range(first, math.ceil(end), part_s):
        begin = _point(at, asked)
        if begin != last:
            yield begin
        last = begin


def _point(at: int, asked: Asked) -> int:
    """Return the beginning of the point that contains a moment."""
    step_s = asked.step_s
    if step_s <= _HOUR_S:
        return at
    local = datetime.datetime.fromtimestamp(at, asked.zone)
    midnight = local.replace(hour=0, minute=0, second=0, microsecond=0)
    if step_s >= 86_400:
        return int(midnight.timestamp())
    hours = step_s // _HOUR_S
    return int(midnight.replace(hour=local.hour // hours * hours).timestamp())
