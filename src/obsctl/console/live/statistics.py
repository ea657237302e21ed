"""Live statistics of the access lines of the last minutes, counted as they arrive, in bounded memory."""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import msgspec

from obsctl.console.live.feed import Batch, Feed
from obsctl.console.live.frequent import Frequent, Top, top
from obsctl.core.utc import calendar, timestamp
from obsctl.lines.formats.line import AccessLine
from obsctl.query.predicate import entries

#: Length of the window, and of its slices, each of which lies within one minute of the clock, seconds.
WINDOW_S = 300
_SLICE_S = 30
MINUTE_S = 60
#: How many values of each field a slice keeps, how many are shown, and how long a value may be (characters).
KEPT = 500
_ROWS = 10
_LONGEST = 200
#: The present rate is the mean over this many seconds.
_RATE_S = 10
#: Counting stops after this time without a request, seconds.
_LINGER_S = 60.0


def _uri(line: AccessLine) -> str:
    return line.uri.partition("?")[0][:_LONGEST]


def _upstream(line: AccessLine) -> str:
    """Return the last upstream server that was tried, which is the one that answered, if any did."""
    servers = line.upstream_addr
    return entries(servers)[-1] if "," in servers or " : " in servers else servers


#: The counted fields of a line; an empty value is not counted.
FIELDS: dict[str, Callable[[AccessLine], str]] = {
    "uri": _uri,
    "client_addr": lambda line: line.client_addr,
    "user_agent": lambda line: line.user_agent[:_LONGEST],
    "upstream_addr": _upstream,
    "status": lambda line: str(line.status),
}


class Minute(NamedTuple):
    """A minute of the clock, or the part of it that has passed.

    Attributes:
        begin: seconds since the epoch.
        seconds: how many seconds of it have passed.
        requests: lines that arrived in it, including those that were left out.
        left_out: those of them that were skipped and are in no other number.
        classes: lines by their status, ``1xx`` to ``5xx`` and ``other``.
        top: by field, the most frequent values.
    """

    begin: int
    seconds: int
    requests: int
    left_out: int
    bytes: int
    classes: dict[str, int]
    top: dict[str, Top]


class Numbers(NamedTuple):
    """The statistics at one moment.

    Attributes:
        at: when they were made, and ``since`` when the window begins, seconds since the epoch.
        window: the last five minutes, as ``GET /v1/live`` gives them.
        minutes: those that were counted from their beginning, the oldest first; the last one has not ended.
    """

    at: float
    since: float
    window: dict[str, Any]
    minutes: list[Minute]


class _Slice:
    """Some seconds of lines."""

    def __init__(self, begin: float) -> None:
        self.begin = begin
        self.lines = 0
        self.skipped = 0
        self.bytes = 0
        self.client_errors = 0
        self.server_errors = 0
        self.frequent = {name: Frequent(KEPT) for name in FIELDS}

    def add(self, lines: Sequence[Any], skipped: int) -> int:
        """Count lines; return how many of them are server errors."""
        statuses = [line.status for line in lines]
        server_errors: int = sum([status >= 500 for status in statuses])
        self.lines += len(lines)
        self.skipped += skipped
        self.bytes += sum([line.bytes for line in lines])
        self.client_errors += sum([400 <= status < 500 for status in statuses])
        self.server_errors += server_errors
        for name, value_of in FIELDS.items():
            self.frequent[name].add([value for line in lines if (value := value_of(line))])
        return server_errors


class Statistics:
    """Counts the lines of a feed of the access log, from the first request for numbers until a while after the last.

    Lines count when they arrive here, so the rate is that of delivery.

    Args:
        feed: of the access log.
        clock: seconds since the epoch.
    """

    def __init__(self, feed: Feed, clock: Callable[[], float] = time.time) -> None:
        self.feed = feed
        self._clock = clock
        self._lock = threading.Lock()
        self._counts = False
        self._since = 0.0
        self._asked_at = 0.0
        self._slices: deque[_Slice] = deque()
        #: Second, number of requests, number of server errors.
        self._seconds: deque[list[int]] = deque(maxlen=WINDOW_S + 1)
        #: When the window's numbers were made, the numbers, and these as JSON.
        self._made: tuple[float, dict[str, Any], bytes] = (0.0, {}, b"")

    def take(self, batch: Batch) -> None:
        """Count lines."""
        now = self._clock()
        with self._lock:
            if now - self._asked_at > _LINGER_S:
                self._counts = False
                self.feed.leave(self)
                return
            self._forget(now)
            if not self._slices or now >= self._slices[-1].begin + _SLICE_S:
                self._slices.append(_Slice(now - now % _SLICE_S))
            errors = self._slices[-1].add(batch.lines, batch.skipped)
            if not self._seconds or self._seconds[-1][0] != int(now):
                self._seconds.append([int(now), 0, 0])
            self._seconds[-1][1] += len(batch.lines) + batch.skipped
            self._seconds[-1][2] += errors

    def want(self) -> None:
        """Count from now on, until a while after the last request for numbers."""
        now = self._clock()
        with self._lock:
            self._asked_at = now
            if not self._counts:
                self._counts, self._since, self._made = True, now, (0.0, {}, b"")
                self._slices.clear()
                self._seconds.clear()
                self.feed.join(self)

    def answer(self) -> bytes:
        """Return the window's numbers as JSON, and keep counting for a while."""
        self.want()
        with self._lock:
            return self._present(self._clock())[2]

    def numbers(self, after: int = 0) -> Numbers:
        """Return the window's numbers, and the minutes.

        Args:
            after: only minutes that begin after this moment, seconds since the epoch.
        """
        self.want()
        with self._lock:
            now = self._clock()
            made_at, window, _ = self._present(now)
            return Numbers(made_at, self._begin(), window, self._minutes(now, after))

    def _present(self, now: float) -> tuple[float, dict[str, Any], bytes]:
        """Return the window's numbers, which are computed at most once a second for all callers."""
        if now - self._made[0] >= 0.9:
            window = self._window(now)
            self._made = (now, window, msgspec.json.encode(window))
        return self._made

    def _forget(self, now: float) -> None:
        while self._slices and self._slices[0].begin + _SLICE_S <= now - WINDOW_S:
            self._slices.popleft()

    def _begin(self) -> float:
        """Return the beginning of the window, seconds since the epoch."""
        return max(self._since, self._slices[0].begin) if self._slices else self._since

    def _minutes(self, now: float, after: int) -> list[Minute]:
        by_minute: dict[int, list[_Slice]] = {}
        for one in self._slices:
            by_minute.setdefault(int(one.begin // MINUTE_S) * MINUTE_S, []).append(one)
        begin = self._begin()
        return [_minute(at, slices, now) for at, slices in by_minute.items() if at >= begin and at > after]

    def _window(self, now: float) -> dict[str, Any]:
        self._forget(now)
        slices = self._slices
        lines, skipped = sum(one.lines for one in slices), sum(one.skipped for one in slices)
        by_second = {second: (requests, errors) for second, requests, errors in self._seconds}
        # The present second is not over.
        at = range(int(max(self._since, now - WINDOW_S)), int(now))
        requests = [by_second.get(second, (0, 0))[0] for second in at]
        latest = requests[-_RATE_S:]
        frequent = {name: top((one.frequent[name] for one in slices), _ROWS) for name in FIELDS}
        return {
            "since": timestamp(calendar(self._begin())),
            "requests": lines + skipped,
            "left_out": skipped,
            "per_s": sum(latest) / len(latest) if latest else None,
            "bytes": sum(one.bytes for one in slices),
            "share_4xx": sum(one.client_errors for one in slices) / lines if lines else None,
            "share_5xx": sum(one.server_errors for one in slices) / lines if lines else None,
            "seconds": {
                "at": list(at),
                "requests": requests,
                "server_errors": [by_second.get(second, (0, 0))[1] for second in at],
            },
            "top": {
                name: {"rows": [{"value": value, "requests": count} for value, count in one.rows], "missed": one.missed}
                for name, one in frequent.items()
            },
        }


def _minute(begin: int, slices: Sequence[_Slice], now: float) -> Minute:
    # There are at most 1,000 statuses, so none of them is ever dropped from the counts.
    statuses: Counter[str] = Counter(dict.fromkeys((*(f"{first}xx" for first in range(1, 6)), "other"), 0))
    for one in slices:
        for status, count in one.frequent["status"].counts.items():
            first = int(status) // 100
            statuses[f"{first}xx" if 1 <= first <= 5 else "other"] += count
    skipped = sum(one.skipped for one in slices)
    return Minute(
        begin=begin,
        seconds=min(MINUTE_S, int(now) - begin),
        requests=sum(one.lines for one in slices) + skipped,
        left_out=skipped,
        bytes=sum(one.bytes for one in slices),
        classes=dict(statuses),
        top={name: top((one.frequent[name] for one in slices), _ROWS) for name in FIELDS},
    )
