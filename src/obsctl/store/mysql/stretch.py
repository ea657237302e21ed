"""How long a time range one statement reads from a log table; pure.

The time is the first column of the tables' primary key, so a time range is one range scan. Reading one range after the
other gives the first lines at once, however long the whole time is, and no statement takes long.
"""

from __future__ import annotations

#: Length of the first range, seconds.
FIRST_S = 60.0
#: The shortest range, seconds.
_LEAST_S = 1.0
#: If reading took less than the first time, the next range is longer; if it took more than the second, shorter
#: (seconds).
_QUICK_S, _SLOW_S = 0.2, 0.8
#: The largest factor by which a range gets longer.
_GROWTH = 8.0


class Width:
    """The length of the next range.

    Attributes:
        seconds: its length.
    """

    def __init__(self) -> None:
        self.seconds = FIRST_S

    def took(self, seconds: float) -> None:
        """Record how long reading the last range took (seconds)."""
        if seconds < _QUICK_S:
            self.seconds *= min(_GROWTH, _QUICK_S / max(seconds, 0.001))
        elif seconds > _SLOW_S:
            self.seconds = max(_LEAST_S, self.seconds * _SLOW_S / seconds)
