"""Tails: each watcher gets the lines that match a filter, no faster than a browser can show them.

One thread filters the lines for all watchers, in turns. A turn is short, and a filter that took long pauses for a
multiple of that time, so a slow filter costs the others and the reader little; lines that it cannot examine in time
are dropped and counted.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterable
from typing import NamedTuple

import msgspec

from obsctl.console.live.feed import Batch, Feed
from obsctl.lines.formats.line import Line
from obsctl.query.fields import Table
from obsctl.query.predicate import Predicate

#: The most lines that a tail shows in a second, and the largest burst.
RATE = 200
#: The most lines that wait for a tail's filter; beyond that the oldest are dropped.
_MOST_WAITING = 5000
#: Length of a filter's turn, seconds, and the share of one core that a filter may use.
_TURN_S = 0.005
_SHARE = 0.1
#: How long the thread waits if all filters with waiting lines are paused, seconds.
_REST_S = 0.02


class Shown:
    """A line for browsers; encoded as JSON once for all of them.

    Args:
        line: the line.
        table: what it is.
    """

    __slots__ = ("_json", "_table", "line")

    def __init__(self, line: Line, table: Table) -> None:
        self.line = line
        self._table = table
        self._json = b""

    @property
    def json(self) -> bytes:
        """The line as an object."""
        self._json = self._json or msgspec.json.encode(self._table.values_of(self.line))
        return self._json


class Taken(NamedTuple):
    """Lines of a tail for its browser.

    Attributes:
        lines: those that match, in order.
        left_out: how many matching lines were dropped because there were too many.
        unseen: how many lines were not examined because the filter or the reader is too slow.
    """

    lines: list[Shown]
    left_out: int
    unseen: int


class Tail:
    """One watcher.

    Args:
        fits: the filter.
    """

    def __init__(self, fits: Predicate) -> None:
        self._fits = fits
        self._lock = threading.Lock()
        self._waiting: deque[list[Shown]] = deque()
        self._number_waiting = 0
        self._rests_until = 0.0
        self._found: deque[Shown] = deque()
        self._left_out = 0
        self._unseen = 0
        self._allowed = float(RATE)
        self._taken_at = time.monotonic()

    def give(self, lines: list[Shown], skipped: int) -> None:
        """Queue lines for the filter; if too many wait, the oldest are dropped."""
        with self._lock:
            self._waiting.append(lines)
            self._number_waiting += len(lines)
            self._unseen += skipped
            while self._number_waiting > _MOST_WAITING and len(self._waiting) > 1:
                dropped = len(self._waiting.popleft())
                self._number_waiting -= dropped
                self._unseen += dropped

    def look(self) -> bool:
        """Filter the waiting lines for one turn; return whether some are left."""
        if time.monotonic() < self._rests_until:
            return True
        ends, used = time.monotonic() + _TURN_S, time.thread_time()
        while time.monotonic() < ends and (lines := self._next()):
            found = []
            for number, shown in enumerate(lines, start=1):
                if self._fits(shown.line):
                    found.append(shown)
                if time.monotonic() >= ends:
                    self._put_back(lines[number:])
                    break
            self._add(found)
        self._rests_until = time.monotonic() + (time.thread_time() - used) * (1 / _SHARE - 1)
        return bool(self._waiting)

    def take(self) -> Taken:
        """Return the lines that are due."""
        with self._lock:
            now = time.monotonic()
            self._allowed = min(RATE, self._allowed + (now - self._taken_at) * RATE)
            self._taken_at = now
            number = min(len(self._found), int(self._allowed))
            self._allowed -= number
            taken = Taken([self._found.popleft() for _ in range(number)], self._left_out, self._unseen)
            self._left_out = self._unseen = 0
            return taken

    def _next(self) -> list[Shown]:
        with self._lock:
            lines = self._waiting.popleft() if self._waiting else []
            self._number_waiting -= len(lines)
            return lines

    def _put_back(self, lines: list[Shown]) -> None:
        if lines:
            with self._lock:
                self._waiting.appendleft(lines)
                self._number_waiting += len(lines)

    def _add(self, found: Iterable[Shown]) -> None:
        with self._lock:
            self._found.extend(found)
            while len(self._found) > RATE:
                self._found.popleft()
                self._left_out += 1


class Tails:
    """All watchers of one log; a sink of its feed while there are any.

    Args:
        feed: the log's lines.
        table: what they are.
    """

    def __init__(self, feed: Feed, table: Table) -> None:
        self.feed = feed
        self._table = table
        self._tails: tuple[Tail, ...] = ()
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None

    def open(self, fits: Predicate) -> Tail:
        """Begin to watch."""
        tail = Tail(fits)
        with self._lock:
            if not self._tails:
                self.feed.join(self)
            self._tails = (*self._tails, tail)
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name=f"filters {self._table.name}", daemon=True)
                self._thread.start()
        return tail

    def close(self, tail: Tail) -> None:
        """End watching."""
        with self._lock:
            self._tails = tuple(one for one in self._tails if one is not tail)
            if not self._tails:
                self.feed.leave(self)
        self._wake.set()

    def take(self, batch: Batch) -> None:
        """Queue lines for all filters."""
        if not batch.lines and not batch.skipped:
            return
        lines = [Shown(line, self._table) for line in batch.lines]
        for tail in self._tails:
            tail.give(lines, batch.skipped)
        self._wake.set()

    def _work(self) -> None:
        left = False
        while True:
            self._wake.wait(_REST_S if left else None)
            self._wake.clear()
            with self._lock:
                if not self._tails:
                    self._thread = None
                    return
            turns = [tail.look() for tail in self._tails]
            left = any(turns)
