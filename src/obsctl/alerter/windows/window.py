"""Lines counted by second of event time, so that any window of whole seconds can be summed.

Lines arrive out of order (several hosts, several partitions), so nothing is summed before it is needed, and a late
line is simply counted in its own second.

A count is one integer: the number of lines in the lower 32 bits, and the number of hits above them. Adding such
integers adds both numbers, and a single integer saves memory: there may be a hundred thousand keys, each with a
dictionary of counts.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

#: The count of one line that is not a hit, and of one that is.
LINE = 1
HIT = LINE + (1 << 32)
_LINES = (1 << 32) - 1


def total(count: int) -> int:
    """Return the lines of a count."""
    return count & _LINES


def hits(count: int) -> int:
    """Return the hits of a count."""
    return count >> 32


class Window:
    """The counts of one rule and key, by second.

    Most clients send a request or two, and there may be a hundred thousand of them: one flat dictionary for each
    window saves memory, and only few windows are ever summed.
    """

    __slots__ = ("cells", "kept", "since")

    def __init__(self) -> None:
        #: The first second in which its rule counted anything, for any key.
        self.since = 0
        #: Counts by second.
        self.cells: dict[int, int] = {}
        #: The sum of all cells: no window can hold more, so most windows need not be summed.
        self.kept = 0

    def __bool__(self) -> bool:
        return bool(self.cells)

    @property
    def weight(self) -> int:
        """The number of hits: keys with the smallest weight are dropped first."""
        return hits(self.kept)

    @property
    def latest(self) -> int:
        """The latest second that holds anything; 0 for none."""
        return max(self.cells, default=0)

    def add(self, second: int, count: Any) -> None:
        """Count lines of a second."""
        self.cells[second] = self.cells.get(second, 0) + count
        self.kept += count

    def forget(self, before: int) -> None:
        """Drop all seconds before this one; one that was added late goes together with the one added before it."""
        cells = self.cells
        while cells and (second := next(iter(cells))) < before:
            self.kept -= cells.pop(second)

    def ending(self, last: int, seconds: int) -> int:
        """Return the count of the window of that many seconds that ends with the second ``last``, inclusive."""
        return sum(count for second, count in self.cells.items() if last - seconds < second <= last)

    def sliding(self, first_end: int, last_end: int, seconds: int) -> Iterator[tuple[int, int]]:
        """Yield (end, count) for each window that ends between the two seconds, both inclusive, in order."""
        if last_end < first_end:
            return
        get = self.cells.get
        count = self.ending(first_end, seconds)
        yield first_end, count
        for end in range(first_end + 1, last_end + 1):
            count += get(end, 0) - get(end - seconds, 0)
            yield end, count

    def dump(self) -> list[Any]:
        """Return it as a list for a snapshot: since, second, count, second, count, …"""
        return [self.since, *(number for cell in self.cells.items() for number in cell)]

    def load(self, dumped: Sequence[Any]) -> None:
        """Take the cells of a snapshot."""
        self.since = dumped[0]
        self.cells = dict(zip(dumped[1::2], dumped[2::2], strict=True))
        self.kept = sum(self.cells.values())


class LastSeen(Window):
    """The first and the latest second of a key, for kinds that need no counts; the rule says how long it is kept.

    Args:
        keep_s: it is dropped after this many seconds without a line; infinite for never.
    """

    __slots__ = ("_keep_s", "first", "last")

    def __init__(self, keep_s: float) -> None:
        super().__init__()
        self._keep_s = keep_s
        self.first = 0
        self.last = 0

    def __bool__(self) -> bool:
        return self.last > 0

    @property
    def weight(self) -> int:
        """Keys that have been silent for longest are dropped first."""
        return 0

    @property
    def latest(self) -> int:
        """The latest second; 0 for none."""
        return self.last

    def add(self, second: int, count: Any) -> None:
        """Add a second that has lines."""
        del count
        self.first = min(self.first or second, second)
        self.last = max(self.last, second)

    def forget(self, before: int) -> None:
        """Drop the key if it has been silent for too long; ``before`` is the first second whose counts are kept."""
        if self.last < before - self._keep_s:
            self.last = 0

    def dump(self) -> list[Any]:
        """Return it as a list for a snapshot."""
        return [self.since, self.first, self.last]

    def load(self, dumped: Sequence[Any]) -> None:
        """Take it from a snapshot."""
        self.since, self.first, self.last = dumped
