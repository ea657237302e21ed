"""The most frequent of very many values, counted in bounded memory, with the error that this costs.

The summary of Misra and Gries ("Finding repeated elements", Science of Computer Programming 2, 1982), in the form that
takes many values before it drops some (Anderson et al., "A High-Performance Algorithm for Identifying Frequent Items in
Data Streams", IMC 2017): where it holds more than twice as many values as it keeps, it takes the count of the first one
that it will not keep from all, and those that come to nothing are dropped. Summaries are added up without a further
error (Agarwal et al., "Mergeable Summaries", PODS 2012).
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple


class Top(NamedTuple):
    """The most frequent values.

    Attributes:
        rows: values with their counts, the most frequent first.
        missed: each count may be too low by so much, and a value that is in no row came at most so much more often
            than the last of them.
    """

    rows: list[tuple[str, int]]
    missed: int


class Frequent:
    """Counts values.

    Args:
        kept: how many values are kept at least. A count is too low by at most ``total / (kept + 1)``.

    Attributes:
        counts: the values that are kept, with how often each came at least.
        total: how many values were added.
        missed: how much a count may be too low; it is never too high.
    """

    def __init__(self, kept: int) -> None:
        self._kept = kept
        self.counts: Counter[str] = Counter()
        self.total = 0
        self.missed = 0

    def add(self, values: list[str]) -> None:
        """Count each of the values."""
        self.total += len(values)
        self.counts.update(values)
        if len(self.counts) > 2 * self._kept:
            # Taken from more than `kept` counts, so that all of it together is at most total / (kept + 1).
            less = heapq.nlargest(self._kept + 1, self.counts.values())[-1]
            self.counts = Counter({value: count - less for value, count in self.counts.items() if count > less})
            self.missed += less


def top(summaries: Iterable[Frequent], number: int) -> Top:
    """Return the most frequent values of some summaries together.

    Args:
        number: of rows at most.
    """
    together: Counter[str] = Counter()
    missed = 0
    for summary in summaries:
        together.update(summary.counts)
        missed += summary.missed
    return Top(together.most_common(number), missed)
