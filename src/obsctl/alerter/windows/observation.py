"""The metrics of the pipeline's pages at one moment, as ``metric`` rules see them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

#: The label with the page that a number is from.
SOURCE = "source"
#: The number that is 1 for a source that was read, and 0 for one that could not be read.
UP = "up"


class Number(NamedTuple):
    """One number of a page.

    Attributes:
        name: of the metric, with a histogram's suffixes (``_bucket``, ``_sum``, ``_count``).
        labels: by name, :data:`SOURCE` among them.
        value: finite, in the unit at the end of the metric's name.
    """

    name: str
    labels: Mapping[str, str]
    value: float

    @property
    def series(self) -> str:
        """The identity of the time series that this number belongs to."""
        return "\0".join([self.name, *(part for label in sorted(self.labels.items()) for part in label)])


@dataclass(frozen=True)
class Observation:
    """All numbers of one moment.

    Attributes:
        at: wall-clock time, seconds since the epoch.
        numbers: of all sources that were read, and :data:`UP` for each source.
        unread: sources that could not be read; their earlier numbers still count.
    """

    at: float
    numbers: tuple[Number, ...]
    unread: frozenset[str]


def observation(at: float, read: Mapping[str, Iterable[Number] | None]) -> Observation:
    """Return what the sources said.

    Args:
        at: wall-clock time, seconds since the epoch.
        read: by source: its numbers, or None if it could not be read.
    """
    numbers: list[Number] = []
    for source, found in read.items():
        numbers += () if found is None else found
        numbers.append(Number(UP, {SOURCE: source}, 0.0 if found is None else 1.0))
    return Observation(at, tuple(numbers), frozenset(source for source, found in read.items() if found is None))
