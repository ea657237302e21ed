"""When the lines of a partition were read, as their neighbours say."""

from __future__ import annotations

import random

import pytest

from obsctl.alerter.replay.from_topics import Places


def places(times: list[float]) -> list[float]:
    found = Places()
    return [place for time in times if (place := found.add(time)) is not None] + found.end()


@pytest.mark.parametrize("number", [0, 1, 2, 100, 101, 102, 199, 200, 201, 202, 1000])
def test_lines_in_order_have_their_own_times(number: int) -> None:
    """However far they are apart: no line waits for others."""
    chance = random.Random(number)  # noqa: S311 - no secret
    times = sorted(chance.uniform(0, 1e6) for _ in range(number))
    assert places(times) == times


@pytest.mark.parametrize("wrong", [3600.0, -3600.0, 1e9, -1e9])
def test_a_host_whose_clock_is_wrong_does_not_move_the_others(wrong: float) -> None:
    """One of three hosts, whose lines are in the partition as they were shipped."""
    chance = random.Random(7)  # noqa: S311 - no secret
    times = [at + (wrong if chance.random() < 1 / 3 else 0.0) for at in map(float, range(3000))]
    found = places(times)
    off = [number for number, place in enumerate(found) if abs(place - number) > 100]
    # At the ends there are neighbours on one side only.
    assert all(number < 100 or number >= 2900 for number in off)
    assert len(off) < 100


def test_lines_that_were_shipped_hours_later_have_the_place_of_those_around_them() -> None:
    times = [*map(float, range(1000)), *map(float, range(80)), *map(float, range(1000, 2000))]
    assert all(place > 800 for place in places(times)[1000:1080])
