"""How long the oldest record that is not yet stored has been waiting, counted from when the unit received it."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable

from obsctl.consumer.telemetry import PartitionState

#: So small a part of a backlog's age lies between two moments that are remembered; a day of it takes 3,000 of them.
_COARSENESS = 1 / 512


class Backlog:
    """Remembers when each partition's end was seen to grow: so the age of what is not stored is known.

    What had come before the unit looked counts from its first look.
    """

    def __init__(self) -> None:
        #: By partition: when its end was first seen at an offset that is not stored yet, in order (seconds, offset).
        self._seen: dict[tuple[str, int], deque[tuple[float, int]]] = {}
        #: The first of these moments of all, infinite for none; None without partitions. Read by other threads.
        self._oldest: float | None = None

    def look(self, partitions: Iterable[PartitionState], now: float) -> None:
        """Take note of how far the partitions reach and are stored at a moment (monotonic seconds)."""
        self._seen = {
            (part.topic, part.partition): _continued(self._seen.get((part.topic, part.partition), deque()), part, now)
            for part in partitions
        }
        first = [seen[0][0] for seen in self._seen.values() if seen]
        self._oldest = min(first, default=math.inf) if self._seen else None

    def age_s(self, now: float) -> float | None:
        """Return for how long the oldest record has been waiting (seconds), 0 for none; None without partitions."""
        oldest = self._oldest
        return None if oldest is None else max(0.0, now - oldest)


def _continued(seen: deque[tuple[float, int]], part: PartitionState, now: float) -> deque[tuple[float, int]]:
    if part.end is not None:
        if seen and part.end < seen[-1][1]:
            seen.clear()  # the topic was created again
        if not seen or now - seen[-1][0] >= (now - seen[0][0]) * _COARSENESS:
            if not seen or part.end > seen[-1][1]:
                seen.append((now, part.end))
        else:
            # What came since then counts as a little older than it is.
            seen[-1] = (seen[-1][0], part.end)
    while seen and part.next_offset is not None and seen[0][1] <= part.next_offset:
        seen.popleft()
    return seen
