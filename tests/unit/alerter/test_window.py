"""Sums of any window, against counting by hand."""

from __future__ import annotations

import random

from obsctl.alerter.window import EMPTY, Count, Window


def test_a_window_holds_its_last_second_and_not_the_one_before_its_first() -> None:
    window = Window()
    for second in range(10):
        window.add(second, "node1", Count(1, 1))
    assert window.ending(9, 3) == Count(3, 3)
    assert window.ending(2, 60) == Count(3, 3)
    assert window.ending(20, 3) == EMPTY


def test_sliding_sums_equal_single_sums_in_random_windows() -> None:
    chance = random.Random(7)  # noqa: S311
    for _ in range(50):
        window = Window()
        for _ in range(chance.randrange(1, 80)):
            window.add(chance.randrange(0, 120), f"node{chance.randrange(3)}", Count(1, chance.randrange(2)))
        length = chance.randrange(1, 70)
        first = chance.randrange(-5, 100)
        for end, count in window.sliding(first, first + 50, length):
            assert count == window.ending(end, length)


def test_forgotten_seconds_leave_the_total() -> None:
    window = Window()
    window.add(1, "node1", Count(3, 2))
    window.add(5, "node2", Count(1, 1))
    window.forget(5)
    assert window.total == Count(1, 1)
    assert window.hosts(5, 60) == {"node2": 1}
    window.forget(6)
    assert not window


def test_hosts_are_those_of_the_window_and_those_with_hits() -> None:
    window = Window()
    window.add(1, "node1", Count(1, 1))
    window.add(50, "node2", Count(2, 2))
    window.add(50, "node3", Count(2, 0))
    assert window.hosts(60, 30) == {"node2": 2}
