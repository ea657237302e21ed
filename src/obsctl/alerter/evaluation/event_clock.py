"""How far event time has advanced: a quiet stream ends its alerts, a stalled one does not.

Each partition has a watermark: no earlier line is expected from it. While there is something to read, the watermark is
the latest time read. When everything that Kafka held at some moment has been read, it is that moment minus the time
that a line takes from the log file to Kafka: so in a quiet stream wall-clock time moves it. When Kafka does not
answer, no watermark moves: an alert that cannot be checked has not ended. The clock is the least advanced watermark.

A watermark ahead of the wall clock was set before that clock was set back. It is lowered to what the wall clock
allows, or every condition would count as ended until that time comes.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class EventClock:
    """The watermarks of one topic's partitions.

    Attributes:
        shipping_s: how long a line may take from the log file to Kafka, seconds.
    """

    shipping_s: float
    _marks: dict[int, float | None] = field(default_factory=dict)

    def track(self, partition: int) -> None:
        """Include this partition from now on: the clock waits for it."""
        self._marks.setdefault(partition, None)

    def restart(self) -> None:
        """Forget all partitions: the topic was created again."""
        self._marks.clear()

    def read(self, partition: int, event_time: float) -> None:
        """A line with this time (seconds since the epoch) was read from the partition."""
        self._advance(partition, event_time - self.shipping_s)

    def caught_up(self, partition: int, moment: float) -> None:
        """Everything that the partition held at this moment (seconds since the epoch) has been read."""
        self._advance(partition, moment - self.shipping_s)

    def now(self, wall: float) -> float | None:
        """Return the event time reached, or None while a partition has no watermark yet.

        Args:
            wall: wall-clock time, seconds since the epoch.
        """
        latest = wall - self.shipping_s
        self._marks = {p: None if mark is None else min(mark, latest) for p, mark in self._marks.items()}
        marks = [mark for mark in self._marks.values() if mark is not None]
        return min(marks) if marks and len(marks) == len(self._marks) else None

    def _advance(self, partition: int, mark: float) -> None:
        current = self._marks.get(partition)
        self._marks[partition] = mark if current is None else max(current, mark)
