"""Requests counted by second of event time, so that any window of whole seconds can be summed.

Lines arrive out of order (several hosts, several partitions), so nothing is summed until somebody asks, and a
late line simply lands in its own second.
"""

from __future__ import annotations

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
    """The counts of one rule and key, by second and host."""

    __slots__ = ("_hosts", "_seconds", "total")

    def __init__(self) -> None:
        self._seconds: dict[int, Count] = {}
        self._hosts: dict[int, dict[str, Count]] = {}
        #: Everything kept: no window can hold more, which settles most questions without a sum.
        self.total = EMPTY

    def __bool__(self) -> bool:
        return bool(self._seconds)

    def add(self, second: int, host: str, count: Count) -> Count:
        """Count requests of a host in a second and return what that cell holds now."""
        hosts = self._hosts.setdefault(second, {})
        cell = hosts[host] = hosts.get(host, EMPTY).plus(count)
        self._seconds[second] = self._seconds.get(second, EMPTY).plus(count)
        self.total = self.total.plus(count)
        return cell

    def forget(self, before: int) -> None:
        """Drop all seconds before this one."""
        for second in [s for s in self._seconds if s < before]:
            self.total = self.total.minus(self._seconds.pop(second))
            del self._hosts[second]

    def ending(self, last: int, seconds: int) -> Count:
        """Return the count of the window of that many seconds that ends with the second ``last``, inclusive."""
        if len(self._seconds) < seconds:
            inside = [count for s, count in self._seconds.items() if last - seconds < s <= last]
        else:
            inside = [self._seconds.get(s, EMPTY) for s in range(last - seconds + 1, last + 1)]
        return Count(sum(c.total for c in inside), sum(c.hits for c in inside))

    def sliding(self, first_end: int, last_end: int, seconds: int) -> Iterator[tuple[int, Count]]:
        """Yield (end, count) for each window that ends between the two seconds, both inclusive, in order."""
        if last_end < first_end:
            return
        count = self.ending(first_end, seconds)
        yield first_end, count
        for end in range(first_end + 1, last_end + 1):
            entering, leaving = self._seconds.get(end, EMPTY), self._seconds.get(end - seconds, EMPTY)
            count = count.plus(entering).minus(leaving)
            yield end, count

    def hosts(self, last: int, seconds: int) -> Counter[str]:
        """Return the hits by host of the window that ends with ``last``."""
        found: Counter[str] = Counter()
        for second, hosts in self._hosts.items():
            if last - seconds < second <= last:
                for host, count in hosts.items():
                    found[host] += count.hits
        return +found
