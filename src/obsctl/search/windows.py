"""The stretches of time that a search looks at in turn, from the newest to the oldest; pure.

The time leads the tables' primary key, so a stretch is one range scan. Looking at one after the other shows the first
lines at once, however long the whole time is, and a stretch never takes long.
"""

from __future__ import annotations

import datetime
from typing import NamedTuple

#: Of the first stretch, seconds.
FIRST_S = 60.0
#: What a stretch may be at least, seconds.
_LEAST_S = 1.0
#: A stretch that took less than the first (seconds) is followed by a longer one, one that took more than the second by
#: a shorter one.
_QUICK_S, _SLOW_S = 0.2, 0.8
#: How much longer a stretch gets at most.
_GROWTH = 8.0


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
        self._width_s = FIRST_S

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
        begin = max(self.since, self.reached - datetime.timedelta(seconds=self._width_s))
        return Window(begin, self._until)

    def looked(self, window: Window, took_s: float) -> None:
        """Note that a stretch has been looked at, and how long that took (seconds)."""
        self.reached = self._until = window.begin
        if took_s < _QUICK_S:
            self._width_s *= min(_GROWTH, _QUICK_S / max(took_s, 0.001))
        elif took_s > _SLOW_S:
            self._width_s = max(_LEAST_S, self._width_s * _SLOW_S / took_s)


def minute_of(moment: datetime.datetime) -> datetime.datetime:
    """Return the beginning of a moment's minute."""
    return moment.replace(second=0, microsecond=0)
