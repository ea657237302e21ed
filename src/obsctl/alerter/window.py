"""Requests counted by second of event time, so that any window of whole seconds can be summed.

Lines arrive out of order (several hosts, several partitions), so nothing is summed before it is needed, and a
late line simply lands in its own second.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple


class Count(NamedTuple):
    """What a window holds: all requests the rule looks at, and those it is about."""

    total: int = 0
    hits: int = 0

    def plus(self, other: Count) -> Count:
        """Return the sum of both."""
        return Count(self.total + other.total, self.hits + other.hits)

    def minus(self, other: Count) -> Count:
        """Return the difference."""
        return Count(self.total - other.total, self.hits - other.hits)


EMPTY = Count()


class Window:
    """The counts of one rule and key, by second and host.

    Most clients send a request or two, and there may be a hundred thousand of them: one flat dictionary a window is
    what keeps the alerter small, and the few windows that are ever summed can afford the sum.
    """

    __slots__ = ("_cells", "total")

    def __init__(self) -> None:
        self._cells: dict[tuple[int, str], Count] = {}
        #: Everything kept: no window can hold more, which settles most questions without a sum.
        self.total = EMPTY

    def __bool__(self) -> bool:
        return bool(self._cells)

    @property
    def latest(self) -> int:
        """The latest second that holds anything; 0 for none."""
        return max((second for second, _ in self._cells), default=0)

    def add(self, second: int, host: str, count: Count) -> Count:
        """Count requests of a host in a second and return what that cell holds now."""
        # Each line brings its own copy of the host's name; all cells share one.
        place = (second, sys.intern(host))
        cell = self._cells[place] = self._cells.get(place, EMPTY).plus(count)
        self.total = self.total.plus(count)
        return cell

    def forget(self, before: int) -> None:
        """Drop all seconds before this one."""
        for place in [place for place in self._cells if place[0] < before]:
            self.total = self.total.minus(self._cells.pop(place))

    def ending(self, last: int, seconds: int) -> Count:
        """Return the count of the window of that many seconds that ends with the second ``last``, inclusive."""
        inside = [count for (second, _), count in self._cells.items() if last - seconds < second <= last]
        return Count(sum(c.total for c in inside), sum(c.hits for c in inside))

    def sliding(self, first_end: int, last_end: int, seconds: int) -> Iterator[tuple[int, Count]]:
        """Yield (end, count) for each window that ends between the two seconds, both inclusive, in order."""
        if last_end < first_end:
            return
        by_second: dict[int, Count] = {}
        for (second, _), cell in self._cells.items():
            by_second[second] = by_second.get(second, EMPTY).plus(cell)
        count = self.ending(first_end, seconds)
        yield first_end, count
        for end in range(first_end + 1, last_end + 1):
            entering, leaving = by_second.get(end, EMPTY), by_second.get(end - seconds, EMPTY)
            count = count.plus(entering).minus(leaving)
            yield end, count

    def hosts(self, last: int, seconds: int) -> Counter[str]:
        """Return the hits by host of the window that ends with ``last``."""
        found: Counter[str] = Counter()
        for (second, host), count in self._cells.items():
            if last - seconds < second <= last:
                found[host] += count.hits
        return +found
