"""Sums of any window, against counting by hand."""

from __future__ import annotations

import random

from obsctl.alerter.windows.window import HIT, LINE, Window, hits, total


def test_a_window_holds_its_last_second_and_not_the_one_before_its_first() -> None:
    window = Window()
    for second in range(10):
        window.add(second, HIT)
    assert window.ending(9, 3) == 3 * HIT
    assert window.ending(2, 60) == 3 * HIT
    assert window.ending(20, 3) == 0


def test_sliding_sums_equal_single_sums_in_random_windows() -> None:
    chance = random.Random(7)  # noqa: S311
    for _ in range(50):
        window = Window()
        for _ in range(chance.randrange(1, 80)):
            window.add(chance.randrange(0, 120), chance.choice((LINE, HIT)))
        length = chance.randrange(1, 70)
        first = chance.randrange(-5, 100)
        for end, count in window.sliding(first, first + 50, length):
            assert count == window.ending(end, length)


def test_forgotten_seconds_leave_the_sum() -> None:
    window = Window()
    window.add(1, 2 * HIT + LINE)
    window.add(5, HIT)
    window.forget(5)
    assert window.kept == HIT
    window.forget(6)
    assert not window


def test_a_count_is_lines_and_hits() -> None:
    count = 4_000_000_000 * LINE + 3 * HIT - HIT
    assert (total(count), hits(count)) == (4_000_000_002, 2)


def test_a_window_comes_back_from_its_own_form() -> None:
    window, other = Window(), Window()
    window.add(1, 2 * HIT + LINE)
    window.add(5, HIT)
    other.load(window.dump())
    assert (other.cells, other.kept) == (window.cells, window.kept)
