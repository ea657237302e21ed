"""Histograms in a table's cell."""

from __future__ import annotations

import pytest

from obsctl.render.table import _bars


@pytest.mark.parametrize(
    ("counts", "text"),
    [
        ([1, 2, 4, 8], "▁▂▄█"),
        ([0, 1, 1000], "·▁█"),
        ([7], "█"),
        ([-5, 0, 3], "··█"),
        ([0, 0], "-"),
        ([], "-"),
        (None, "-"),
    ],
)
def test_the_largest_count_is_the_highest_block_and_nothing_is_a_dot(counts: list[int] | None, text: str) -> None:
    assert _bars(counts) == text
