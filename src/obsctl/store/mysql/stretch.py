"""How much time one statement reads of a log table; pure.

The time leads the tables' primary key, so a stretch of time is one range scan. Reading one stretch after the other
shows the first lines at once, however long the whole time is, and a stretch never takes long.
"""

from __future__ import annotations

#: Of the first stretch, seconds.
FIRST_S = 60.0
#: What a stretch may be at least, seconds.
_LEAST_S = 1.0
#: A stretch that took less than the first (seconds) is followed by a longer one, one that took more than the second by
#: a shorter one.
_QUICK_S, _SLOW_S = 0.2, 0.8
#: How much longer a stretch gets at most.
_GROWTH = 8.0


class Width:
    """How long the next stretch is.

    Attributes:
        seconds: of it.
    """

    def __init__(self) -> None:
        self.seconds = FIRST_S

    def took(self, seconds: float) -> None:
        """Note how long reading the last one took (seconds)."""
        if seconds < _QUICK_S:
            self.seconds *= min(_GROWTH, _QUICK_S / max(seconds, 0.001))
        elif seconds > _SLOW_S:
            self.seconds = max(_LEAST_S, self.seconds * _SLOW_S / seconds)
