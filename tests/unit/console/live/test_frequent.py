"""The most frequent values: in bounded memory, and with the error that is stated."""

from __future__ import annotations

from collections import Counter

import hypothesis.strategies as st
from hypothesis import given

from obsctl.console.live.frequent import Frequent, top

#: Few values, so that some are frequent, and many batches, so that some are dropped.
BATCHES = st.lists(st.lists(st.integers(0, 60).map(lambda n: str(n * n % 61)), max_size=40), max_size=30)
KEPT = 5


def counted(batches: list[list[str]]) -> tuple[Frequent, Counter[str]]:
    summary, exact = Frequent(KEPT), Counter[str]()
    for batch in batches:
        summary.add(batch)
        exact.update(batch)
    return summary, exact


@given(BATCHES)
def test_no_count_is_too_high_and_none_is_too_low_by_more_than_is_said(batches: list[list[str]]) -> None:
    summary, exact = counted(batches)
    assert summary.total == exact.total()
    assert summary.missed <= summary.total / (KEPT + 1)
    for value, count in exact.items():
        assert summary.counts[value] <= count <= summary.counts[value] + summary.missed


@given(BATCHES)
def test_it_holds_no_more_values_than_it_may(batches: list[list[str]]) -> None:
    summary, _ = counted(batches)
    assert len(summary.counts) <= 2 * KEPT


@given(st.lists(BATCHES, max_size=4))
def test_the_top_of_several_summaries_has_the_same_bound(parts: list[list[list[str]]]) -> None:
    made = [counted(part) for part in parts]
    exact = sum((one for _, one in made), Counter[str]())
    found = top((summary for summary, _ in made), 3)
    assert found.missed <= exact.total() / (KEPT + 1)
    for value, count in found.rows:
        assert count <= exact[value] <= count + found.missed
    least = found.rows[-1][1] if len(found.rows) == 3 else 0
    for value in exact.keys() - dict(found.rows).keys():
        assert exact[value] <= least + found.missed


def test_few_values_are_counted_exactly() -> None:
    summary, exact = counted([["a"] * 70 + ["b"] * 20 + ["c"]] * 50)
    assert (summary.counts, summary.missed) == (exact, 0)
    assert top([summary], 2).rows == [("a", 3500), ("b", 1000)]
