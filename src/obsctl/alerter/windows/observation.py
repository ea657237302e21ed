"""What the pipeline says about itself at one moment: the numbers of its pages, as ``metric`` rules see them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

#: The label that says which page a number is from.
SOURCE = "source"
#: 1 for a source that was read, 0 for one that could not be.
UP = "up"


class Number(NamedTuple):
    """One number of a page.

    Attributes:
        name: of the metric, with the suffix of a histogram's parts.
        labels: by name, :data:`SOURCE` among them.
        value: finite, in the unit that the metric's name ends in.
    """

    name: str
    labels: Mapping[str, str]
    value: float

    @property
    def series(self) -> str:
        """What this number and its later values have in common."""
        return "\0".join([self.name, *(part for label in sorted(self.labels.items()) for part in label)])


@dataclass(frozen=True)
class Observation:
    """All numbers of one moment.

    Attributes:
        at: wall-clock time, seconds since the epoch.
        numbers: of all sources that were read, and :data:`UP` of each one.
        unread: sources that could not be read; what they said before this moment is still what is known of them.
    """

    at: float
    numbers: tuple[Number, ...]
    unread: frozenset[str]


def observation(at: float, read: Mapping[str, Iterable[Number] | None]) -> Observation:
    """Return what the sources said.

    Args:
        at: wall-clock time, seconds since the epoch.
        read: by source: its numbers, or None where it could not be read.
    """
    numbers: list[Number] = []
    for source, found in read.items():
        numbers += () if found is None else found
        numbers.append(Number(UP, {SOURCE: source}, 0.0 if found is None else 1.0))
    return Observation(at, tuple(numbers), frozenset(source for source, found in read.items() if found is None))
