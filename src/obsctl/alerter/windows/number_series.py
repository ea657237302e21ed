"""The latest readings of one key of a ``metric`` rule, latest last."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from obsctl.alerter.windows.observation import SOURCE, Number
from obsctl.alerter.windows.window import Window


class Reading(NamedTuple):
    """A value at a second (seconds since the epoch)."""

    second: int
    value: float


class Series:
    """One metric over time.

    Args:
        source: the page that the number is from.
    """

    __slots__ = ("readings", "source")

    def __init__(self, source: str) -> None:
        self.source = source
        #: In the order of time; never empty after the first reading.
        self.readings: list[Reading] = []

    def rise(self) -> float:
        """Return by how much a counter rose from the first reading to the last; if it fell, it restarted at 0."""
        return sum(
            after.value - before.value if after.value >= before.value else after.value
            for before, after in itertools.pairwise(self.readings)
        )


class Readings(Window):
    """The series of one key.

    Args:
        span_s: how far back they are kept (seconds); 0 for the latest reading alone.
    """

    __slots__ = ("_span_s", "series")

    def __init__(self, span_s: int) -> None:
        super().__init__()
        self._span_s = span_s
        #: By :attr:`Number.series`.
        self.series: dict[str, Series] = {}

    def __bool__(self) -> bool:
        return bool(self.series)

    @property
    def weight(self) -> int:
        """All keys have the same weight."""
        return 0

    @property
    def latest(self) -> int:
        """The second of the latest reading; 0 for none."""
        return max((series.readings[-1].second for series in self.series.values()), default=0)

    def take(self, second: int, numbers: Iterable[Number], unread: frozenset[str]) -> None:
        """Add the readings of a second.

        Args:
            second: seconds since the epoch.
            numbers: those of this key.
            unread: sources that could not be read, whose numbers stay unchanged.
        """
        fresh = {number.series: number for number in numbers}
        for name, series in list(self.series.items()):
            if name not in fresh and series.source not in unread:
                del self.series[name]
        for name, number in fresh.items():
            series = self.series.setdefault(name, Series(number.labels[SOURCE]))
            # Readings in the future are from before the clock was set back.
            kept = [reading for reading in series.readings if reading.second < second]
            # The last reading before the span is kept: a rise within the span begins there.
            first = max((n for n, reading in enumerate(kept) if reading.second <= second - self._span_s), default=0)
            series.readings = (
                [*kept[first:], Reading(second, number.value)] if self._span_s else [Reading(second, number.value)]
            )

    def forget(self, before: int) -> None:
        """Drop nothing: numbers that a readable source no longer has were dropped already."""

    def dump(self) -> list[Any]:
        """Return it as a list for a snapshot."""
        return [self.since, [[name, series.source, series.readings] for name, series in self.series.items()]]

    def load(self, dumped: Sequence[Any]) -> None:
        """Take it from a snapshot."""
        self.since = dumped[0]
        for name, source, readings in dumped[1]:
            series = self.series[name] = Series(source)
            series.readings = [Reading(*reading) for reading in readings]
