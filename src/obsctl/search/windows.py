"""The time ranges that a search reads in turn, from the newest to the oldest; pure."""

from __future__ import annotations

import datetime
from typing import NamedTuple

from obsctl.store.mysql.stretch import Width


class Window(NamedTuple):
    """A time range.

    Attributes:
        begin: its first moment (UTC).
        end: the first moment after it; None for no end.
    """

    begin: datetime.datetime
    end: datetime.datetime | None


class Windows:
    """The time ranges of one search.

    Args:
        since: older lines are not searched (UTC).
        until: lines from this time on are not searched (UTC); None for no limit.
        now: the present time; lines of hosts whose clock is ahead are later.

    Attributes:
        since: older lines are not searched.
        reached: everything from this time on has been searched.
    """

    def __init__(self, since: datetime.datetime, until: datetime.datetime | None, now: datetime.datetime) -> None:
        self.since = since
        self._until = until
        self.reached = now if until is None else min(until, now)
        self._width = Width()

    def whole_minutes(self) -> Windows:
        """Return the same ranges, extended to whole minutes at both ends."""
        until = self._until
        if until is not None and (until.second or until.microsecond):
            until = minute_of(until) + datetime.timedelta(minutes=1)
        return Windows(minute_of(self.since), until, self.reached if until is None else until)

    def next(self) -> Window | None:
        """Return the next range to search; None at the end."""
        if self.reached <= self.since:
            return None
        begin = max(self.since, self.reached - datetime.timedelta(seconds=self._width.seconds))
        return Window(begin, self._until)

    def looked(self, window: Window, took_s: float) -> None:
        """Record that a range has been searched, and how long that took (seconds)."""
        self.reached = self._until = window.begin
        self._width.took(took_s)


def minute_of(moment: datetime.datetime) -> datetime.datetime:
    """Return the beginning of a time's minute."""
    return moment.replace(second=0, microsecond=0)
