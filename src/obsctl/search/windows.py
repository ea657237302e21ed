"""The stretches of time that a search looks at in turn, from the newest to the oldest; pure."""

from __future__ import annotations

import datetime
from typing import NamedTuple

from obsctl.store.mysql.stretch import Width


class Window(NamedTuple):
    """A stretch of time.

    Attributes:
        begin: the first moment in it (UTC).
        end: the first moment behind it; None where it has no end.
    """

    begin: datetime.datetime
    end: datetime.datetime | None


class Windows:
    """The stretches of one search.

    Args:
        since: nothing older is looked at (UTC).
        until: nothing from this moment on is looked at (UTC); None where nothing limits it.
        now: the present moment; lines of hosts whose clock is ahead lie behind it.

    Attributes:
        since: nothing older is looked at.
        reached: all from this moment on has been looked at.
    """

    def __init__(self, since: datetime.datetime, until: datetime.datetime | None, now: datetime.datetime) -> None:
        self.since = since
        self._until = until
        self.reached = now if until is None else min(until, now)
        self._width = Width()

    def whole_minutes(self) -> Windows:
        """Return those of the same time, from the beginning of its first minute to the end of its last one."""
        until = self._until
        if until is not None and (until.second or until.microsecond):
            until = minute_of(until) + datetime.timedelta(minutes=1)
        return Windows(minute_of(self.since), until, self.reached if until is None else until)

    def next(self) -> Window | None:
        """Return the stretch to look at now; None at the end."""
        if self.reached <= self.since:
            return None
        begin = max(self.since, self.reached - datetime.timedelta(seconds=self._width.seconds))
        return Window(begin, self._until)

    def looked(self, window: Window, took_s: float) -> None:
        """Note that a stretch has been looked at, and how long that took (seconds)."""
        self.reached = self._until = window.begin
        self._width.took(took_s)


def minute_of(moment: datetime.datetime) -> datetime.datetime:
    """Return the beginning of a moment's minute."""
    return moment.replace(second=0, microsecond=0)
