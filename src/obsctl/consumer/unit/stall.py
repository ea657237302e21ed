"""Whether a worker that says it is well really moves."""

from __future__ import annotations

from obsctl.consumer.telemetry import Report

#: The brokers are asked for the ends every two seconds, so an end may be told that the position has long passed.
_SETTLE_SECONDS = 10.0


class Stillness:
    """For how long a worker has stored nothing of its partitions while lines came to them.

    A partition that merely has something left at its end proves nothing (the markers of a producer's transactions are
    never read), and a worker that names what is in its way waits for good reason.
    """

    def __init__(self) -> None:
        self._positions: dict[tuple[str, int], int | None] = {}
        self._moved = float("-inf")
        self._ends: dict[tuple[str, int], int] = {}
        self._since: float | None = None

    def look(self, report: Report, now: float) -> float:
        """Return the seconds of standing still up to ``now``, the monotonic time of this report (seconds)."""
        positions = {(part.topic, part.partition): part.next_offset for part in report.partitions}
        if report.troubles or positions != self._positions:
            self._positions, self._moved, self._ends, self._since = positions, now, {}, None
        elif self._since is None and now - self._moved >= _SETTLE_SECONDS:
            ends = {(part.topic, part.partition): part.end for part in report.partitions if part.end is not None}
            if any(end > self._ends.setdefault(place, end) for place, end in ends.items()):
                self._since = now
        return now - self._since if self._since is not None else 0.0
