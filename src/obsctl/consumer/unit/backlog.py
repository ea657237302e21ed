"""How long the oldest unstored record has been waiting, counted from when the unit first saw it."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable

from obsctl.consumer.telemetry import PartitionState

#: Precision of the age: the distance of two remembered times as a share of the backlog's age; a day takes 3,000
#: entries.
_COARSENESS = 1 / 512


class Backlog:
    """Remembers when each partition's end grew, to know the age of unstored records.

    Records from before the unit's first look count from that look.
    """

    def __init__(self) -> None:
        #: By partition: when its end was first seen at an offset that is not stored yet, in order (seconds, offset).
        self._seen: dict[tuple[str, int], deque[tuple[float, int]]] = {}
        #: The earliest of these times over all partitions; infinite for none, None without partitions. Read by other
        #: threads.
        self._oldest: float | None = None

    def look(self, partitions: Iterable[PartitionState], now: float) -> None:
        """Record the partitions' ends and positions at a time (monotonic seconds)."""
        self._seen = {
            (part.topic, part.partition): _continued(self._seen.get((part.topic, part.partition), deque()), part, now)
            for part in partitions
        }
        first = [seen[0][0] for seen in self._seen.values() if seen]
        self._oldest = min(first, default=math.inf) if self._seen else None

    def age_s(self, now: float) -> float | None:
        """Return how long the oldest record has been waiting (seconds); 0 for none, None without partitions."""
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
            # Records since then count as a little older than they are.
            seen[-1] = (seen[-1][0], part.end)
    while seen and part.next_offset is not None and seen[0][1] <= part.next_offset:
        seen.popleft()
    return seen
