"""Detects workers that report no trouble but do not store the lines of their partitions."""

from __future__ import annotations

from obsctl.consumer.telemetry import Report

#: The brokers are asked for the ends every two seconds, so a reported end may lie before the position.
_SETTLE_S = 10.0


class StallDetector:
    """Measures how long a worker has stored nothing while lines came to its partitions.

    A few unread offsets at a partition's end prove nothing (markers of producers' transactions are never read), and a
    worker that reports a trouble has a reason to wait.
    """

    def __init__(self) -> None:
        self._positions: dict[tuple[str, int], int | None] = {}
        self._moved = float("-inf")
        self._ends: dict[tuple[str, int], int] = {}
        self._since: float | None = None

    def stalled_s(self, report: Report, now: float) -> float:
        """Return for how many seconds nothing has advanced up to ``now``, this report's monotonic time (seconds)."""
        positions = {(part.topic, part.partition): part.next_offset for part in report.partitions}
        if report.troubles or positions != self._positions:
            self._positions, self._moved, self._ends, self._since = positions, now, {}, None
        elif self._since is None and now - self._moved >= _SETTLE_S:
            ends = {(part.topic, part.partition): part.end for part in report.partitions if part.end is not None}
            if any(end > self._ends.setdefault(place, end) for place, end in ends.items()):
                self._since = now
        return now - self._since if self._since is not None else 0.0
