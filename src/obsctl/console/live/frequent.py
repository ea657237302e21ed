"""The most frequent of very many values, counted in bounded memory, with a known error.

The summary of Misra and Gries ("Finding repeated elements", Science of Computer Programming 2, 1982), in the variant
that collects many values before it drops some (Anderson et al., "A High-Performance Algorithm for Identifying Frequent
Items in Data Streams", IMC 2017): when it holds more than twice as many values as it keeps, it subtracts the count of
the first one beyond those to keep from all counts, and drops values whose count is then not positive. Merging
summaries adds no further error (Agarwal et al., "Mergeable Summaries", PODS 2012).
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
        missed: by how much each count may be too low; a value that is in no row occurred at most this much more often
            than the last row's.
    """

    rows: list[tuple[str, int]]
    missed: int


class Frequent:
    """Counts values.

    Args:
        kept: the least number of values that are kept. A count is too low by at most ``total / (kept + 1)``.

    Attributes:
        counts: the kept values, each with the least number of times that it occurred.
        total: how many values were added.
        missed: by how much a count may be too low; it is never too high.
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
            # It is subtracted from more than `kept` counts each time, so its sum is at most total / (kept + 1).
            less = heapq.nlargest(self._kept + 1, self.counts.values())[-1]
            self.counts = Counter({value: count - less for value, count in self.counts.items() if count > less})
            self.missed += less


def top(summaries: Iterable[Frequent], number: int) -> Top:
    """Return the most frequent values of some summaries together.

    Args:
        number: the most rows.
    """
    together: Counter[str] = Counter()
    missed = 0
    for summary in summaries:
        together.update(summary.counts)
        missed += summary.missed
    return Top(together.most_common(number), missed)
